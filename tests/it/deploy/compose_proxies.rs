//! The compose file with three nodes behind a proxy of one's choice, run on processes: the commands that stand there make
//! the configuration, with the addresses of nodes on this machine.

use std::process::Command;

use super::compose_files::{block, script};
use super::{CADDY_EXAMPLE, HAPROXY_EXAMPLE, NGINX_EXAMPLE};
use crate::support::{Node, Redis, WebServer, eventually, free_port};

const FILE: &str = include_str!("../../../deploy/compose-proxies.yml");

/// Starts three nodes, whose addresses are those of the file in the configuration of the proxy.
async fn start_nodes(redis: &Redis) -> [Node; 3] {
    let node = async |number: u32| {
        let (name, bind) = (format!("chat-{number}"), format!("127.0.0.1:{}", free_port()));
        let environment = [("NODE", name.as_str()), ("BIND", &bind), ("TRUSTED_PROXIES", "127.0.0.1")];
        Node::on(redis, &environment).await
    };
    [node(1).await, node(2).await, node(3).await]
}

fn with_addresses(text: &str, nodes: &[Node; 3]) -> String {
    let addresses = nodes.iter().zip(["172.31.86.11", "172.31.86.12", "172.31.86.13"]);
    addresses.fold(text.to_owned(), |text, (node, address)| {
        text.replace(&format!("{address}:8080"), &node.address().to_string())
    })
}

/// Returns the configuration that the command of a service makes of an example, with the addresses of these nodes.
fn configuration(service: &str, example: &str, nodes: &[Node; 3]) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let command = script(block(FILE, service));
    let (sed, _) = command.split_once(" && exec ").expect("a configuration, and then the proxy");
    let (sed, _) = sed.split_once(" /example/").expect("the example");
    let path = directory.path().join("example");
    std::fs::write(&path, example).expect("a file");
    let output = Command::new("sh").arg("-c").arg(format!("{sed} example")).current_dir(directory.path()).output();
    let output = output.expect("a shell");
    assert!(output.status.success(), "{output:?}");
    with_addresses(&String::from_utf8(output.stdout).expect("UTF-8"), nodes)
}

/// Checks that readers of the proxy are at all three nodes, and that those of one that is killed come back.
async fn assert_balances(proxy: &WebServer, mut nodes: [Node; 3]) {
    let mut readers = Vec::new();
    for _ in 0..6 {
        readers.push(proxy.subscribe("lobby", None).await);
    }
    for node in &nodes {
        eventually("a reader at each node", async || (node.open_streams().await > 0.0).then_some(())).await;
    }
    let id = proxy.post("lobby", "hi").await;
    for reader in &mut readers {
        reader.read_until(&id).await;
    }
    nodes[0].kill();
    let mut back = proxy.subscribe("lobby", Some(&id)).await;
    let next = proxy.post("lobby", "still here").await;
    back.read_until(&next).await;
    assert_eq!(proxy.get_status("/metrics").await, 404);
}

#[tokio::test]
async fn compose_file_puts_three_nodes_behind_nginx() {
    let redis = Redis::start().await;
    let nodes = start_nodes(&redis).await;
    let configuration = configuration("  nginx:", NGINX_EXAMPLE, &nodes);
    let nginx =
        WebServer::start_nginx(|port| configuration.replace("listen 80;", &format!("listen 127.0.0.1:{port};"))).await;
    assert_balances(&nginx, nodes).await;
}

#[tokio::test]
async fn compose_file_puts_three_nodes_behind_haproxy() {
    let redis = Redis::start().await;
    let nodes = start_nodes(&redis).await;
    let configuration = configuration("  haproxy:", HAPROXY_EXAMPLE, &nodes);
    let haproxy =
        WebServer::start_haproxy(|port| configuration.replace("bind :80\n", &format!("bind 127.0.0.1:{port}\n"))).await;
    assert_balances(&haproxy, nodes).await;
}

#[tokio::test]
async fn compose_file_puts_three_nodes_behind_caddy() {
    let redis = Redis::start().await;
    let nodes = start_nodes(&redis).await;
    let caddy = block(FILE, "  caddy:").lines().find_map(|line| line.trim().strip_prefix("NODES: "));
    let upstreams = with_addresses(caddy.expect("the nodes"), &nodes);
    let caddy = WebServer::start_caddy(CADDY_EXAMPLE, |port| {
        vec![("SITE", format!("http://127.0.0.1:{port}")), ("NODES", upstreams.clone())]
    })
    .await;
    assert_balances(&caddy, nodes).await;
}

/// The nodes take the addresses of clients from the proxy alone.
#[test]
fn compose_file_trusts_its_proxy_alone() {
    let trusted = FILE.lines().find_map(|line| line.trim().strip_prefix("TRUSTED_PROXIES: ")).expect("an address");
    assert!(block(FILE, "x-proxy:").contains(&format!("ipv4_address: {trusted} ")), "{trusted} is not the proxy");
}
