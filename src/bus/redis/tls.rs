//! The certificates of connections over TLS, from files in PEM.

use std::sync::Arc;

use redis::{ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};

/// The contents of the files for TLS.
#[derive(Clone, Default)]
pub struct TlsFiles {
    /// The certificates of the authorities that are trusted instead of the public ones (`REDIS_CA`).
    pub ca: Option<Vec<u8>>,
    /// The certificate of this client, with those between it and an authority (`REDIS_CERT`).
    pub certificate: Option<Vec<u8>>,
    /// The private key of that certificate (`REDIS_KEY`).
    pub key: Option<Vec<u8>>,
}

impl TlsFiles {
    /// Returns the name of the first variable that is set.
    fn first(&self) -> Option<&'static str> {
        let files = [("REDIS_CA", &self.ca), ("REDIS_CERT", &self.certificate), ("REDIS_KEY", &self.key)];
        files.into_iter().find_map(|(variable, file)| file.as_ref().map(|_| variable))
    }

    /// Returns the same settings of connections with these certificates, and this client's own.
    ///
    /// # Errors
    /// If the files cannot be used. The error names the variable.
    pub fn apply(self, info: ConnectionInfo) -> Result<(ConnectionInfo, Option<Arc<CertifiedKey>>), String> {
        let Some(first) = self.first() else {
            return Ok((info, None));
        };
        if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            return Err(format!("{first}: it is for TLS, and the scheme of the URL is one without: rediss:// has it"));
        }
        if let Some(ca) = &self.ca {
            check_authorities(ca).map_err(|why| format!("REDIS_CA: {why}"))?;
        }
        let mut identity = None;
        let client_tls = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => {
                identity = Some(Arc::new(read_identity(&certificate, &key)?));
                Some(ClientTlsConfig { client_cert: certificate, client_key: key })
            }
            (Some(_), None) => return Err("REDIS_CERT: it needs its private key, REDIS_KEY, too".into()),
            (None, Some(_)) => return Err("REDIS_KEY: it needs its certificate, REDIS_CERT, too".into()),
            (None, None) => None,
        };
        let certificates = TlsCertificates { client_tls, root_cert: self.ca };
        let client = redis::Client::build_with_tls(info, certificates).map_err(|error| format!("{first}: {error}"))?;
        Ok((client.get_connection_info().clone(), identity))
    }
}

/// Returns the certificates of a file. The library accepts a file without any, and then every handshake fails.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err("the file has no certificate in PEM".into()),
    }
}

fn check_authorities(pem: &[u8]) -> Result<(), String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store
            .add(certificate)
            .map_err(|error| format!("a certificate in the file cannot be read ({error})"))?;
    }
    Ok(())
}

/// Reads a certificate and its key.
fn read_identity(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, String> {
    let chain = certificates(certificate).map_err(|why| format!("REDIS_CERT: {why}"))?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| "REDIS_KEY: the file has no private key in PEM, or one with a passphrase")?;
    let provider = CryptoProvider::get_default().map_or_else(ring::default_provider, |known| (**known).clone());
    match CertifiedKey::from_der(chain, key, &provider) {
        Ok(identity) => Ok(identity),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err("REDIS_KEY: it is not the key of the certificate in REDIS_CERT".into())
        }
        Err(rustls::Error::InvalidCertificate(error)) => {
            Err(format!("REDIS_CERT: the certificate cannot be read ({error})"))
        }
        Err(error) => Err(format!("REDIS_KEY: the key cannot be used ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo;

    use super::*;

    /// Returns a certificate and its key.
    fn identity() -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (Some(identity.cert.pem().into()), Some(identity.signing_key.serialize_pem().into()))
    }

    #[test]
    fn files_that_cannot_be_used_are_refused_by_name() {
        let ((certificate, key), (other, _)) = (identity(), identity());
        let files = |ca: &Option<Vec<u8>>, certificate: &Option<Vec<u8>>, key: &Option<Vec<u8>>| TlsFiles {
            ca: ca.clone(),
            certificate: certificate.clone(),
            key: key.clone(),
        };
        let apply = |url: &str, files: TlsFiles| files.apply(url.into_connection_info().unwrap()).map(drop);
        let (none, text) = (None, Some(b"no PEM".to_vec()));
        let garbled = Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec());
        for (ca, certificate, key, variable) in [
            (&text, &none, &none, "REDIS_CA: "),
            (&key, &none, &none, "REDIS_CA: "),
            (&garbled, &none, &none, "REDIS_CA: "),
            (&none, &certificate, &none, "REDIS_CERT: it needs"),
            (&none, &none, &key, "REDIS_KEY: it needs"),
            (&none, &text, &key, "REDIS_CERT: "),
            (&none, &garbled, &key, "REDIS_CERT: "),
            (&none, &certificate, &text, "REDIS_KEY: "),
            (&none, &certificate, &certificate, "REDIS_KEY: "),
            (&none, &other, &key, "REDIS_KEY: it is not the key"),
        ] {
            let refusal = apply("rediss://localhost", files(ca, certificate, key)).unwrap_err();
            assert!(refusal.starts_with(variable), "{refusal}");
        }
        assert_eq!(apply("rediss://localhost", files(&certificate, &certificate, &key)), Ok(()));
        for url in ["redis://localhost", "valkey://localhost", "unix:///socket"] {
            let refusal = apply(url, files(&none, &certificate, &key)).unwrap_err();
            assert!(refusal.starts_with("REDIS_CERT: it is for TLS"), "{refusal}");
        }
    }
}
