//! A Redis behind TLS whose certificate an authority of one's own has signed.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::support::{Node, Redis, Stream, free_port};

/// A Redis with TLS, and the directory with `ca.pem`, the authority to trust.
struct TlsRedis {
    redis: Redis,
    port: u16,
    directory: TempDir,
}

impl TlsRedis {
    async fn start() -> TlsRedis {
        let directory = tempfile::tempdir().expect("a directory");
        write_certificates(directory.path());
        let file = |name: &str| directory.path().join(name).to_str().expect("a path").to_owned();
        let (certificate, key, port) = (file("redis.pem"), file("redis.key"), free_port());
        let (port_option, ca) = (port.to_string(), file("ca.pem"));
        let options = ["--tls-port", &port_option, "--tls-cert-file", &certificate, "--tls-key-file", &key];
        let trust = ["--tls-ca-cert-file", &ca, "--tls-auth-clients", "no"];
        let redis = Redis::with(&[&options[..], &trust].concat()).await;
        TlsRedis { redis, port, directory }
    }

    fn url(&self) -> String {
        format!("rediss://localhost:{}", self.port)
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("a path").to_owned()
    }
}

/// Writes the certificate of an authority and one that it has signed, for localhost.
fn write_certificates(directory: &Path) {
    let mut authority = CertificateParams::new([]).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(["localhost".to_owned()]).expect("parameters");
    let server = server.signed_by(&key, &authority).expect("a certificate");
    for (name, content) in
        [("ca.pem", authority.pem()), ("redis.pem", server.pem()), ("redis.key", key.serialize_pem())]
    {
        fs::write(directory.join(name), content).expect("a file");
    }
}

#[tokio::test]
async fn redis_ca_is_trusted_by_every_connection() {
    let server = TlsRedis::start().await;
    let (url, ca) = (server.url(), server.file("ca.pem"));
    let node = Node::start(&[("REDIS_URL", &url), ("REDIS_CA", &ca)]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let id = node.post("lobby", "mason", "over TLS").await;
    assert_eq!(reader.next_message().await.id, id);
    assert_eq!(node.stored("lobby").await.len(), 1);

    let line = Node::launch(&[("REDIS_URL", &url)]).await.logged("Redis refuses this node").await;
    assert!(line.contains("certificate is not accepted") && line.contains("REDIS_CA"), "{line}");
    let plain = format!("redis://localhost:{}", server.port);
    let line = Node::launch(&[("REDIS_URL", &plain)]).await.logged("Redis refuses this node").await;
    assert!(line.contains("use rediss://"), "{line}");
    server.redis.cmd::<u64>(&["DBSIZE"]).await;
}

#[tokio::test]
async fn redis_ca_that_cannot_be_used_ends_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str| directory.path().join(name).to_str().expect("a path").to_owned();
    write_certificates(directory.path());
    fs::write(file("text"), "this is no certificate").expect("a file");
    for (url, ca) in [
        ("rediss://localhost", file("missing")),
        ("rediss://localhost", file("text")),
        ("rediss://localhost", file("redis.key")),
        ("redis://localhost", file("ca.pem")),
    ] {
        let refusal = Node::run_to_exit(&[("REDIS_URL", url), ("REDIS_CA", &ca)], &[]).await;
        assert!(!refusal.status.success() && refusal.output.contains("REDIS_CA"), "{url} {ca}: {}", refusal.output);
    }
}
