//! `tiny-chat health`, by which containers check a node (contract § 8).

use std::{
    io::Write,
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::support::{Node, eventually, free_port};

/// Returns the exit code and the output of `tiny-chat health` with this environment.
async fn health(environment: &[(&str, &str)], arguments: &[&str]) -> (i32, String) {
    let exited = Node::run_to_exit(environment, &[&["health"], arguments].concat()).await;
    assert!(exited.output.lines().count() == 1 || exited.status.code() == Some(2), "{}", exited.output);
    (exited.status.code().expect("an exit code"), exited.output)
}

/// Listens and answers each connection with these texts, one after another with a pause between them, without an end.
fn answer_with(texts: &'static [&'static str], pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        let mut open = Vec::new();
        while let Ok((mut connection, _)) = listener.accept() {
            for text in texts {
                thread::sleep(pause); // a slow server, not a synchronisation
                if connection.write_all(text.as_bytes()).is_err() {
                    break;
                }
            }
            open.push(connection);
        }
    });
    address
}

#[tokio::test]
async fn health_finds_the_node_at_bind_or_port() {
    let node = Node::start(&[]).await;
    let (bind, port) = (node.address().to_string(), node.address().port().to_string());
    let expected = (0, format!("{bind}: ready"));
    for environment in [[("BIND", bind.as_str())], [("PORT", &port)], [("BIND", &format!("0.0.0.0:{port}"))]] {
        assert_eq!(health(&environment, &[]).await, expected, "{environment:?}");
    }
    assert_eq!(health(&[("BIND", "127.0.0.1:1")], &["--bind", &bind]).await, expected);
    assert_eq!(health(&[("BIND", ""), ("PORT", &format!(" {port}\n"))], &[]).await, expected);
    // A value that no node would take is not its concern.
    assert_eq!(health(&[("BIND", &bind), ("HISTORY", "none"), ("REDIS_URL", "nonsense")], &[]).await, expected);
}

#[tokio::test]
async fn health_is_1_where_no_node_is_ready() {
    let closed = format!("127.0.0.1:{}", free_port());
    let (code, output) = health(&[("BIND", &closed)], &[]).await;
    assert!(code == 1 && output.starts_with(&format!("{closed}: Connection refused")), "{code} {output}");
    let node = Node::launch(&[("REDIS_URL", &format!("redis://127.0.0.1:{}", free_port()))]).await;
    let bind = node.address().to_string();
    let expected = format!("{bind}: 503 The message store has not been reached since this node started.");
    assert_eq!(health(&[("BIND", &bind)], &[]).await, (1, expected));
    let address = answer_with(&["* OK IMAP4rev1\r\n", "\r\n"], Duration::ZERO);
    let (code, output) = health(&[("BIND", &address)], &["--timeout", "1"]).await;
    assert_eq!((code, output), (1, format!("{address}: no answer within 1 s")));
}

#[tokio::test]
async fn health_is_1_while_a_node_drains() {
    let node = Node::start(&[("DRAIN_GRACE", "30")]).await;
    let bind = node.address().to_string();
    node.signal(Signal::SIGTERM);
    let environment = [("BIND", bind.as_str())];
    let expected = (1, format!("{bind}: 503 This node is draining."));
    eventually("a node that is not ready", async || (health(&environment, &[]).await == expected).then_some(())).await;
}

/// Neither silence nor an answer of which a part comes again and again holds it up.
#[tokio::test]
async fn health_ends_at_its_deadline() {
    const DRIP: [&str; 100] = ["HTTP/1.1 200 OK\r\n"; 100];
    for address in [answer_with(&[], Duration::ZERO), answer_with(&DRIP, Duration::from_millis(50))] {
        let started = Instant::now();
        let (code, output) = health(&[("BIND", &address)], &["--timeout", "1"]).await;
        assert_eq!((code, output), (1, format!("{address}: no answer within 1 s")));
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn health_refuses_port_0() {
    for (environment, word) in [
        ([("BIND", "127.0.0.1:0")], "Port 0"),
        ([("PORT", "0")], "Port 0"),
        ([("BIND", "nonsense")], "nonsense"),
    ] {
        let (code, output) = health(&environment, &[]).await;
        assert!(code == 2 && output.contains(word), "{environment:?}: {code} {output}");
    }
}
