//! Why a TLS handshake with Redis fails, in words that an operator can act on.
//!
//! With TLS 1.3 a server refuses a client's certificate, or the lack of one, only after the handshake: as an alert that the
//! first read gets, or without a word if the connection broke before that. So a server is asked again then, by a
//! handshake after which nothing is sent.

use std::io::{ErrorKind, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::RedisError;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, Stream,
};

/// How long each step of asking again may take.
const STEP_TIMEOUT: Duration = Duration::from_millis(300);

/// What is said if the server wants a certificate and gets none.
const WANTED: &str = "client certificate wanted: set REDIS_CERT and REDIS_KEY to one that it accepts";

/// What a server is found to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// It does not speak TLS.
    NoTls,
    /// It speaks TLS, and does not mind who asks.
    Tls,
    /// It does not take this client's certificate, or the lack of one.
    Refusal(String),
}

/// Returns why there is no connection, if that is for a certificate.
pub fn refusal(error: &RedisError) -> Option<String> {
    match cause(error)? {
        rustls::Error::InvalidCertificate(error) => Some(of_certificate(error)),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => Some(WANTED.into()),
        _ => None,
    }
}

/// Returns the error of TLS within one of the library.
fn cause(error: &RedisError) -> Option<&rustls::Error> {
    let source = std::error::Error::source(error)?;
    let shared = source.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>()?;
    shared.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref()
}

/// Returns what is wrong with the server's certificate. It is the same text each time, so that it is logged once.
fn of_certificate(error: &CertificateError) -> String {
    let why = match error {
        // An authority that has the name of the issuer and another key is not the issuer.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "unknown issuer; set REDIS_CA to the certificate of the authority that has signed it".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "expired; give the server a new one, or set the clock of this host if it is wrong".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "not valid yet; set the clock of this host or of the one that signed it".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "not valid for this host, {}, only for {}; set REDIS_URL to such a name, or give the server another certificate",
            expected.to_str(),
            presented.join(", ")
        ),
        CertificateError::NotValidForName => {
            "not valid for this host; set REDIS_URL to a name that it is for".to_owned()
        }
        other => format!("{other}; give the server another one"),
    };
    format!("its TLS certificate is not accepted: {why}")
}

/// Connects once more, and finds out whether the server speaks TLS and takes this client's certificate. Accepts any
/// certificate of the server, since nothing is sent to it.
pub async fn find_out(host: &str, port: u16, identity: Option<Arc<CertifiedKey>>) -> Option<Found> {
    let host = host.to_owned();
    tokio::task::spawn_blocking(move || ask(&host, port, identity)).await.ok()?
}

fn ask(host: &str, port: u16, identity: Option<Arc<CertifiedKey>>) -> Option<Found> {
    let addresses = (host, port).to_socket_addrs().ok()?;
    let mut socket =
        addresses.into_iter().find_map(|address| TcpStream::connect_timeout(&address, STEP_TIMEOUT).ok())?;
    socket.set_read_timeout(Some(STEP_TIMEOUT)).ok()?;
    socket.set_write_timeout(Some(STEP_TIMEOUT)).ok()?;
    let has_certificate = identity.is_some();
    let client = Arc::new(Client { identity, was_asked: AtomicBool::new(false) });
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let mut session = ClientConnection::new(Arc::new(config(client.clone())), name).ok()?;
    let handshake = session.complete_io(&mut socket).map(drop);
    let is_complete = handshake.is_ok();
    let end = match handshake {
        Ok(()) => Stream::new(&mut session, &mut socket).read(&mut [0]).map(drop),
        failed => failed,
    };
    let (is_silent, alert) = match &end {
        Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => (true, None),
        Err(error) => (false, alert(error)),
        Ok(()) => (false, None),
    };
    let is_tls = is_complete || alert.is_some();
    let is_refusal = !is_silent && client.was_asked.load(Ordering::Relaxed);
    Some(match alert {
        _ if !is_refusal => {
            if is_tls {
                Found::Tls
            } else {
                Found::NoTls
            }
        }
        _ if !has_certificate => Found::Refusal(WANTED.into()),
        Some(alert) => Found::Refusal(format!("{} ({alert:?})", not_accepted())),
        None => Found::Refusal(not_accepted()),
    })
}

fn not_accepted() -> String {
    "client certificate not accepted: set REDIS_CERT and REDIS_KEY to one of an authority that it trusts".to_owned()
}

fn alert(error: &std::io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

fn config(client: Arc<Client>) -> ClientConfig {
    let builder = ClientConfig::builder();
    let algorithms = builder.crypto_provider().signature_verification_algorithms;
    let verifier = Arc::new(AnyServer { algorithms });
    builder.dangerous().with_custom_certificate_verifier(verifier).with_client_cert_resolver(client)
}

/// Has the certificate of this client, and notes whether the server asked for one.
#[derive(Debug)]
struct Client {
    identity: Option<Arc<CertifiedKey>>,
    was_asked: AtomicBool,
}

impl ResolvesClientCert for Client {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.was_asked.store(true, Ordering::Relaxed);
        self.identity.clone()
    }

    fn has_certs(&self) -> bool {
        self.identity.is_some()
    }
}

/// Accepts every server.
#[derive(Debug)]
struct AnyServer {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
