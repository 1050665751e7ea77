//! A Redis behind TLS whose certificates an authority of one's own has signed.

use std::{fs, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, date_time_ymd,
};
use redis::{FromRedisValue, ToRedisArgs};
use tempfile::TempDir;

use super::{Node, Redis, free_port};

/// A directory with `ca.pem`, the authority to trust, and the certificates of servers and clients.
pub struct Certificates(TempDir);

impl Certificates {
    pub fn write() -> Certificates {
        let directory = tempfile::tempdir().expect("a directory");
        write_certificates(directory.path());
        Certificates(directory)
    }

    /// Returns the path of a file.
    pub fn file(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("a path").to_owned()
    }

    /// Returns the options of a server for localhost that wants no certificate of clients, but for its port.
    pub fn options(&self) -> Vec<String> {
        let files = [("cert", "redis.pem"), ("key", "redis.key"), ("ca-cert", "ca.pem")];
        let files = files.into_iter().flat_map(|(option, name)| [format!("--tls-{option}-file"), self.file(name)]);
        files.chain(["--tls-auth-clients".to_owned(), "no".to_owned()]).collect()
    }
}

/// A Redis with TLS, and its certificates.
pub struct TlsRedis {
    redis: Redis,
    port: u16,
    certificates: Certificates,
}

impl TlsRedis {
    /// Starts a Redis that wants no certificate of clients.
    pub async fn start() -> TlsRedis {
        TlsRedis::with(&[]).await
    }

    /// The same with further options.
    pub async fn with(further: &[&str]) -> TlsRedis {
        let (certificates, port) = (Certificates::write(), free_port());
        let (options, port_option) = (certificates.options(), port.to_string());
        let options = ["--tls-port", &port_option].into_iter().chain(options.iter().map(String::as_str));
        let options = options.chain(further.iter().copied());
        let redis = Redis::with(&options.collect::<Vec<_>>()).await;
        TlsRedis { redis, port, certificates }
    }

    pub fn url(&self) -> String {
        format!("rediss://localhost:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn file(&self, name: &str) -> String {
        self.certificates.file(name)
    }

    /// Sends one command without TLS.
    pub async fn cmd<T: FromRedisValue>(&self, words: &[impl ToRedisArgs]) -> T {
        self.redis.cmd(words).await
    }

    /// Shows clients another certificate from now on.
    pub async fn show(&self, name: &str) {
        let (certificate, key) = (self.file(&format!("{name}.pem")), self.file(&format!("{name}.key")));
        let words = ["CONFIG", "SET", "tls-cert-file", &certificate, "tls-key-file", &key];
        let _: String = self.cmd(&words).await;
    }

    /// Launches a node that trusts the authority, with this identity if it is not empty.
    pub async fn launch(&self, url: &str, identity: &str) -> Node {
        let (ca, certificate, key) =
            (self.file("ca.pem"), self.file(&format!("{identity}.pem")), self.file(&format!("{identity}.key")));
        let of_client = [("REDIS_CERT", certificate.as_str()), ("REDIS_KEY", key.as_str())];
        let of_client = if identity.is_empty() { &[] } else { &of_client[..] };
        Node::launch(&[&[("REDIS_URL", url), ("REDIS_CA", ca.as_str())], of_client].concat()).await
    }
}

/// Writes the certificates of an authority and those that it has signed, and the same of an authority that is not trusted
/// and has its name: for localhost, for another host, of the past and of the future.
fn write_certificates(directory: &Path) {
    let write = |name: &str, content: String| fs::write(directory.join(name), content).expect("a file");
    for (prefix, authority) in [("", authority()), ("other-", authority())] {
        write(&format!("{prefix}ca.pem"), authority.pem());
        let long_ago = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        let far_away = (date_time_ymd(2101, 1, 1), date_time_ymd(2102, 1, 1));
        for (name, host, validity) in [
            ("redis", "localhost", None),
            ("elsewhere", "redis.example", None),
            ("expired", "localhost", Some(long_ago)),
            ("future", "localhost", Some(far_away)),
        ] {
            let key = KeyPair::generate().expect("a key");
            let mut certificate = CertificateParams::new([host.to_owned()]).expect("parameters");
            if let Some((from, to)) = validity {
                (certificate.not_before, certificate.not_after) = (from, to);
            }
            let certificate = certificate.signed_by(&key, &authority).expect("a certificate");
            write(&format!("{prefix}{name}.pem"), certificate.pem());
            write(&format!("{prefix}{name}.key"), key.serialize_pem());
        }
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut authority = CertificateParams::new([]).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name = DistinguishedName::new();
    authority.distinguished_name.push(DnType::CommonName, "tests");
    CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("an authority")
}
