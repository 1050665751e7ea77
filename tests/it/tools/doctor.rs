//! `tiny-chat doctor` in front of an nginx with exactly one mistake in its configuration.

use crate::{
    deploy::{NGINX_EXAMPLE, nginx_config},
    support::{Node, Proxy, Redis, WebServer, eventually, free_port},
};

const TRUST_PROXY: [(&str, &str); 2] = [("TRUSTED_PROXIES", "127.0.0.1"), ("HEARTBEAT", "1")];

/// Replaces one setting of the nginx example, and returns the exit code and the output of the doctor.
async fn examine_misconfigured(node: &Node, right: &str, wrong: &str, flags: &[&str]) -> (i32, String) {
    assert!(NGINX_EXAMPLE.contains(right), "{right} is not in deploy/nginx.conf");
    let nginx = WebServer::start_nginx(|port| nginx_config([node, node], port).replace(right, wrong)).await;
    examine(&nginx.url("/"), flags).await
}

async fn examine(url: &str, flags: &[&str]) -> (i32, String) {
    let run = Node::run_to_exit(&[], &[&["doctor", url], flags].concat()).await;
    (run.status.code().expect("a code"), run.output)
}

/// Checks that exactly these checks are broken, and that the output contains these parts.
#[track_caller]
fn assert_broken(run: &(i32, String), checks: &[&str], parts: &[&str]) {
    let (code, output) = run;
    let lines = output.lines().filter_map(|line| line.strip_prefix("BROKEN "));
    let found: Vec<_> = lines.map(|line| line.get(..16).unwrap_or(line).trim()).collect();
    assert_eq!(found, checks, "{output}");
    assert_eq!(*code, 1, "{output}");
    for part in parts {
        assert!(output.contains(part), "no {part:?} in\n{output}");
    }
}

#[tokio::test]
async fn doctor_finds_nothing_wrong_without_a_proxy() {
    let node = Node::start(&[("HEARTBEAT", "1")]).await;
    let (code, output) = examine(&node.url("/"), &["--room", "surgery", "--idle", "3"]).await;
    assert_eq!(code, 0, "{output}");
    for part in [
        "one by one",
        "in time: ",
        "exactly the 3 later messages",
        "this machine's own address",
        "HTTP/1.1 only",
        "only over TLS",
    ] {
        assert!(output.contains(part), "no {part:?} in\n{output}");
    }
    assert_eq!(node.stored("surgery").await.len(), 5);
}

#[tokio::test]
async fn doctor_finds_a_buffering_proxy() {
    let node = Node::start(&TRUST_PROXY).await;
    // With HTTP/1.1 nginx passes each chunk on at once, whatever it buffers.
    let wrong = "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering; proxy_http_version 1.0;";
    let run = examine_misconfigured(&node, "proxy_buffering off;", wrong, &[]).await;
    assert_broken(&run, &["buffering"], &["proxy_buffering off;", "flush_interval -1"]);
}

#[tokio::test]
async fn doctor_finds_a_proxy_that_compresses_streams() {
    let node = Node::start(&TRUST_PROXY).await;
    let wrong = "gzip on; gzip_proxied any; gzip_types text/event-stream;";
    let run = examine_misconfigured(&node, "gzip off;", wrong, &[]).await;
    assert_broken(&run, &["compression"], &["(gzip)", "gzip_types without text/event-stream"]);
}

/// Browsers read such a stream all the same, so these are notes.
#[tokio::test]
async fn doctor_finds_a_proxy_that_takes_chunks_and_charset_away() {
    let node = Node::start(&TRUST_PROXY).await;
    let wrong = "proxy_buffering off; chunked_transfer_encoding off; proxy_hide_header Content-Type; \
                 add_header Content-Type text/event-stream;";
    let (code, output) = examine_misconfigured(&node, "proxy_buffering off;", wrong, &[]).await;
    assert_eq!(code, 0, "{output}");
    for part in ["note    framing", "no chunked_transfer_encoding off", "note    charset", "no proxy_hide_header"] {
        assert!(output.contains(part), "no {part:?} in\n{output}");
    }
}

#[tokio::test]
async fn doctor_finds_a_proxy_that_cuts_idle_streams() {
    let node = Node::start(&[("TRUSTED_PROXIES", "127.0.0.1"), ("HEARTBEAT", "30")]).await;
    let run =
        examine_misconfigured(&node, "proxy_read_timeout 75s;", "proxy_read_timeout 2s;", &["--idle", "10"]).await;
    assert_broken(&run, &["idle stream"], &[" s of silence", "proxy_read_timeout 75s", "timeout server 75s"]);
}

/// A node that is killed while the doctor listens is no proxy that cuts streams: the next stream stays open.
#[tokio::test]
async fn doctor_does_not_blame_the_proxy_for_a_killed_node() {
    let redis = Redis::start().await;
    // At a port that the system gives out, another test's node could follow the one that is killed.
    let binds = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let node = async |bind| Node::on(&redis, &[&TRUST_PROXY[..], &[("BIND", bind)]].concat()).await;
    let mut nodes = [node(&binds[0]).await, node(&binds[1]).await];
    let nginx = WebServer::start_nginx(|port| nginx_config([&nodes[0], &nodes[1]], port)).await;
    let mut doctor = Node::spawn_command(&["doctor", &nginx.url("/"), "--idle", "30"]);
    eventually("the phase of listening", async || doctor.line_with("… listening")).await;
    let killed = eventually("one node with the only stream", async || {
        let streams = [nodes[0].open_streams().await, nodes[1].open_streams().await];
        [[1.0, 0.0], [0.0, 1.0]].iter().position(|only| *only == streams)
    })
    .await;
    nodes[killed].kill();
    let code = doctor.exit().await.code();
    let output = doctor.output();
    assert!(output.contains("note    idle stream     cut after") && output.contains("was not cut"), "{output}");
    assert!(!output.contains("proxy_read_timeout") && code == Some(0), "{output}");
}

#[tokio::test]
async fn doctor_finds_a_proxy_that_drops_last_event_id() {
    let node = Node::start(&TRUST_PROXY).await;
    let (right, wrong) = ("Connection \"\";", "Connection \"\"; proxy_set_header Last-Event-ID \"\";");
    let run = examine_misconfigured(&node, right, wrong, &[]).await;
    assert_broken(
        &run,
        &["resume"],
        &["Last-Event-ID does not reach the node", "?lastEventId= works", "header_up -Last-Event-ID"],
    );
}

#[tokio::test]
async fn doctor_finds_a_proxy_that_hides_client_addresses() {
    let node = Node::start(&TRUST_PROXY).await;
    let run = examine_misconfigured(&node, "X-Forwarded-For $remote_addr;", "X-Forwarded-For \"\";", &[]).await;
    assert_broken(
        &run,
        &["clients"],
        &["(nginx", "does not forward the client's address", "proxy_set_header X-Forwarded-For $remote_addr;"],
    );
}

#[tokio::test]
async fn doctor_finds_an_untrusted_proxy() {
    let node = Node::start(&[("HEARTBEAT", "1")]).await;
    let run = examine_misconfigured(&node, "listen", "listen", &[]).await;
    assert_broken(
        &run,
        &["clients"],
        &["but the node does not trust it: all of its clients count as 127.0.0.1", "TRUSTED_PROXIES=127.0.0.1"],
    );
}

#[tokio::test]
async fn doctor_finds_a_proxy_that_forwards_forged_addresses() {
    let node = Node::start(&TRUST_PROXY).await;
    let run =
        examine_misconfigured(&node, "X-Forwarded-For $remote_addr;", "X-Forwarded-For $http_x_forwarded_for;", &[])
            .await;
    assert_broken(&run, &["clients"], &["a forged X-Forwarded-For is believed"]);
}

/// On the machine of a proxy that the nodes trust, the doctor is believed whatever it says.
#[tokio::test]
async fn doctor_on_a_trusted_machine_cannot_judge_client_addresses() {
    let node = Node::start(&TRUST_PROXY).await;
    let (code, output) = examine(&node.url("/"), &["--idle", "1"]).await;
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("note    clients         cannot tell from here"), "{output}");
}

#[tokio::test]
async fn doctor_finds_nodes_that_share_no_redis() {
    let (one, other) = (Redis::start().await, Redis::start().await);
    let nodes = [Node::on(&one, &TRUST_PROXY).await, Node::on(&other, &TRUST_PROXY).await];
    let nginx = WebServer::start_nginx(|port| nginx_config([&nodes[0], &nodes[1]], port)).await;
    let (code, output) = examine(&nginx.url("/"), &[]).await;
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("requests: the nodes do not share one Redis"), "{output}");
    assert!(!output.contains("proxy_buffering"), "a missing message is reported as a buffered one:\n{output}");
}

#[tokio::test]
async fn doctor_gives_up_if_nothing_is_answered() {
    let node = Node::start(&[]).await;
    let proxy = Proxy::to(node.address()).await;
    proxy.silence();
    let (code, output) = examine(&proxy.url("/"), &[]).await;
    assert_eq!(code, 2, "{output}");
    assert!(output.contains("no answer within 10 s"), "{output}");
}

#[tokio::test]
async fn doctor_exits_2_if_it_cannot_examine_the_address() {
    let unused = format!("http://127.0.0.1:{}/", free_port());
    let other_site = WebServer::start_nginx(|port| {
        format!("events {{}}\nhttp {{\n  server {{ listen 127.0.0.1:{port}; return 200 hello; }}\n}}\n")
    })
    .await;
    let redirecting = WebServer::start_nginx(|port| {
        format!("events {{}}\nhttp {{\n  server {{ listen 127.0.0.1:{port}; return 301 https://chat.example$request_uri; }}\n}}\n")
    })
    .await;
    for (url, why) in [
        (unused.as_str(), "no connection"),
        (&other_site.url("/"), "no tiny-chat answers there"),
        (&redirecting.url("/"), "examine https://chat.example"),
        ("chat.example", "is not a URL"),
        ("ftp://chat.example", "is not an http or https URL"),
    ] {
        let (code, output) = examine(url, &[]).await;
        assert_eq!(code, 2, "{url}: {output}");
        assert!(output.contains("Could not examine it: ") && output.contains(why), "{url}: {output}");
    }
}

/// Behind a proxy some calls reach a node that does not know the key.
#[tokio::test]
async fn doctor_tries_the_key_of_an_app_at_each_node() {
    let redis = Redis::start().await;
    let keys = ("APP_KEYS", "shop:0123456789abcdef");
    let with_keys = [TRUST_PROXY[0], TRUST_PROXY[1], keys];
    let nodes = [Node::on(&redis, &with_keys).await, Node::on(&redis, &with_keys).await];
    let nginx = WebServer::start_nginx(|port| nginx_config([&nodes[0], &nodes[1]], port)).await;
    let key = |key: &'static str| ["--idle", "1", "--key", key];
    let (code, output) = examine(&nginx.url("/"), &key("shop:0123456789abcdef")).await;
    assert!(code == 0 && output.contains("good    app key         8 signed calls were accepted"), "{output}");
    let run = examine(&nginx.url("/"), &key("shop:fedcba9876543210")).await;
    assert_broken(&run, &["app key"], &["Access Denied - Bad Credentials", "the same secret"]);
    assert!(!run.1.contains("fedcba9876543210"), "{}", run.1);
    let without = Node::on(&redis, &TRUST_PROXY).await;
    let nginx = WebServer::start_nginx(|port| nginx_config([&nodes[0], &without], port)).await;
    let run = examine(&nginx.url("/"), &key("shop:0123456789abcdef")).await;
    assert_broken(&run, &["app key"], &["a node has no keys at all"]);
}
