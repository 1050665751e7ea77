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

/// Runs a node that does not start, and returns what it says.
async fn refusal(environment: &[(&str, &str)]) -> String {
    let refusal = Node::run_to_exit(environment, &[]).await;
    assert!(!refusal.status.success(), "{environment:?}");
    refusal.output
}

#[tokio::test]
async fn files_that_cannot_be_used_end_the_start_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str| directory.path().join(name).to_str().expect("a path").to_owned();
    write_certificates(directory.path());
    fs::write(file("text"), "this is no certificate").expect("a file");
    let schemes = [
        "rediss://localhost",
        "valkeys://localhost",
        "rediss-sentinel://localhost/m",
        "valkeys-cluster://localhost",
    ];
    for url in schemes {
        for (variable, name, other) in [
            ("REDIS_CA", "missing", None),
            ("REDIS_CA", "text", None),
            ("REDIS_CA", "redis.key", None),
            ("REDIS_CA", "", None),
            ("REDIS_CERT", "missing", Some(("REDIS_KEY", "redis.key"))),
            ("REDIS_CERT", "text", Some(("REDIS_KEY", "redis.key"))),
            ("REDIS_CERT", "redis.pem", None),
            ("REDIS_KEY", "missing", Some(("REDIS_CERT", "redis.pem"))),
            ("REDIS_KEY", "text", Some(("REDIS_CERT", "redis.pem"))),
            ("REDIS_KEY", "redis.key", None),
            ("REDIS_KEY", "redis.key", Some(("REDIS_CERT", "ca.pem"))),
        ] {
            let (path, beside) = (file(name), other.map(|(variable, name)| (variable, file(name))));
            let beside = beside.iter().map(|(variable, path)| (*variable, path.as_str()));
            let environment: Vec<_> =
                [("REDIS_URL", url), (variable, path.as_str())].into_iter().chain(beside).collect();
            let said = refusal(&environment).await;
            assert!(said.contains(&format!("ERROR {variable}: ")), "{environment:?}: {said}");
        }
    }
    for url in ["redis://localhost", "unix:///socket", "redis-sentinel://localhost/m", "valkey-cluster://localhost"] {
        for (variable, name) in [("REDIS_CA", "ca.pem"), ("REDIS_CERT", "redis.pem"), ("REDIS_KEY", "redis.key")] {
            let said = refusal(&[("REDIS_URL", url), (variable, &file(name))]).await;
            assert!(said.contains(&format!("ERROR {variable}: ")) && said.contains("TLS"), "{url} {variable}: {said}");
        }
    }
}

#[tokio::test]
async fn passwords_of_redis_are_in_no_output() {
    let values = [("REDIS_URL", "redis-sentinel://u:hunter2@127.0.0.1:1/m"), ("REDIS_SENTINEL_PASSWORD", "hunter3")];
    for arguments in [&["--help"][..], &["--heartbeat", "x"]] {
        let output = Node::run_to_exit(&values, arguments).await.output;
        assert!(!output.contains("hunter"), "{output}");
    }
    let said = refusal(&[values[1], ("REDIS_URL", "redis://127.0.0.1:1")]).await;
    assert!(said.contains("ERROR REDIS_SENTINEL_PASSWORD: ") && !said.contains("hunter"), "{said}");
}
