//! The compose files with Sentinel and with a cluster, run on processes: their servers with the settings and commands that
//! stand there, on free ports of this machine.

use std::{path::Path, process::Command};

use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Node, Process, Program, Redis, Stream, eventually, free_port};

const SENTINEL: &str = include_str!("../../../deploy/compose-sentinel.yml");
const PUBLISHED: &str = include_str!("../../../deploy/compose.yml");
const CLUSTER: &str = include_str!("../../../deploy/compose-cluster.yml");

/// Returns the text of a service, or of another block at the left or one level in.
pub fn block<'a>(file: &'a str, name: &str) -> &'a str {
    let (_, rest) = file.split_once(&format!("\n{name}")).expect("a block");
    let indent = name.len() - name.trim_start().len();
    let is_next = |line: &str| !line.trim().is_empty() && line.len() - line.trim_start().len() <= indent;
    let end = rest.lines().skip(1).find(|line| is_next(line)).and_then(|line| rest.find(&format!("\n{line}\n")));
    &rest[..end.unwrap_or(rest.len())]
}

/// Returns the lines of a text that begins with this line, of which all are indented further than it.
fn indented_text(block: &str, first: &str) -> String {
    let mut lines = block.lines().skip_while(|line| line.trim() != first);
    let indent = lines.next().map_or(0, |line| line.len() - line.trim_start().len());
    let text = lines.take_while(|line| line.len() - line.trim_start().len() > indent);
    text.map(|line| format!("{}\n", line.trim())).collect()
}

/// Returns the script of a command of the form `sh -c SCRIPT`.
pub fn script(block: &str) -> String {
    let script = block.lines().skip_while(|line| line.trim() != "- -c").nth(1).expect("a script");
    script.trim().trim_start_matches("- ").replace("$$", "$")
}

/// Starts what a service runs. Its settings are given as the image gives them.
fn start(script: &str, argument: &str, settings: &str, directory: &Path) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", script, argument]).env("SETTINGS", settings).current_dir(directory);
    Process::spawn(&mut command)
}

async fn ask(port: u16, words: &[&str]) -> Option<Vec<String>> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).ok()?;
    let mut connection = client.get_multiplexed_async_connection().await.ok()?;
    redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await.ok()
}

#[tokio::test]
async fn compose_file_with_sentinel_survives_its_master() {
    let [first, second] = [free_port(), free_port()];
    let sentinel_ports = [free_port(), free_port(), free_port()];
    let directories: Vec<TempDir> = (0..5).map(|_| tempfile::tempdir().expect("a directory")).collect();
    let here = |settings: &str, port: u16, directory: &Path| {
        let settings = settings.replace("redis-1 6379", &format!("127.0.0.1 {first}"));
        let settings = settings.replace("dir /data", &format!("dir {}", directory.display()));
        settings + &format!("port {port}\n")
    };
    let settings = indented_text(block(SENTINEL, "  redis-1:"), "SETTINGS: |");
    let replica = indented_text(block(SENTINEL, "  redis-2:"), "- |");
    assert!(settings.contains("noeviction") && replica.contains("replicaof redis-1 6379"), "{settings}{replica}");
    let mut servers = Vec::new();
    let roles = [("  redis-1:", first, String::new()), ("  redis-2:", second, replica)];
    for ((name, port, role), directory) in roles.iter().zip(&directories) {
        let role = role.replace("redis-2", "127.0.0.1").replace("redis-1 6379", &format!("127.0.0.1 {first}"));
        let settings = here(&settings, *port, directory.path());
        servers.push(start(&script(block(SENTINEL, name)), &role, &settings, directory.path()));
        eventually("a server", async || ask(*port, &["KEYS", "*"]).await).await;
    }
    let is_synced = async || ask(second, &["ROLE"]).await.filter(|role| role[3] == "connected");
    eventually("a replica in sync", is_synced).await;
    let sentinel = block(SENTINEL, "  sentinel-1:");
    let settings = indented_text(sentinel, "SETTINGS: |");
    let _sentinels: Vec<Process> = sentinel_ports
        .iter()
        .zip(&directories[2..])
        .map(|(port, directory)| {
            start(&script(sentinel), "", &here(&settings, *port, directory.path()), directory.path())
        })
        .collect();
    let mut url = SENTINEL.lines().find_map(|line| line.trim().strip_prefix("REDIS_URL: ")).expect("a URL").to_owned();
    for (number, port) in sentinel_ports.iter().enumerate() {
        url = url.replace(&format!("sentinel-{}", number + 1), &format!("127.0.0.1:{port}"));
    }
    let node = Node::start(&[("REDIS_URL", &url)]).await;
    let mut stream = Stream::live(&node, "lobby").await;
    node.post("lobby", "mason", "before").await;
    for port in sentinel_ports {
        eventually("Sentinels that know all others and the replica", async || {
            let master = ask(port, &["SENTINEL", "MASTER", "chat"]).await?;
            let value = |name: &str| master.iter().position(|word| word == name).map(|at| master[at + 1].clone());
            (value("num-other-sentinels")? == "2" && value("num-slaves")? == "1").then_some(())
        })
        .await;
    }
    servers[0].kill();
    let after = eventually("a post to the new master", async || {
        let post = node.publish("lobby", json!({ "message": "after", "key": "after" })).await;
        post.id_if_stored()
    })
    .await;
    stream.next_message().await;
    assert_eq!(stream.next_message().await.id, after);
    let master = ask(sentinel_ports[0], &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "chat"]).await;
    assert_eq!(master.expect("a master")[1], second.to_string());
}

/// Returns the words of a line of shell, of which some are quoted.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split('"').enumerate();
    parts
        .flat_map(|(number, part)| if number % 2 == 1 { vec![part] } else { part.split_whitespace().collect() })
        .collect()
}

#[tokio::test]
async fn compose_file_with_the_published_image_keeps_messages() {
    let (chat, redis) = (block(PUBLISHED, "  chat:"), block(PUBLISHED, "  redis:"));
    assert!(
        chat.contains("image: ghcr.io/tiny-chat/tiny-chat:${TAG:-1}") && !PUBLISHED.contains("build:"),
        "{chat}"
    );
    assert!(chat.contains("ports: [\"${PORT:-8080}:8080\"]"), "{chat}");
    let command = redis
        .lines()
        .find_map(|line| line.trim().strip_prefix("command: redis-server "))
        .expect("a command");
    let command = command.replace("${REDIS_MEMORY:-1gb}", "1gb");
    let server = Redis::of(Program::Redis, &words(&command)).await;
    let environment = chat.lines().skip_while(|line| line.trim() != "environment:").skip(1);
    let environment = environment.take_while(|line| line.starts_with("      "));
    let environment = environment.map(|line| line.trim().split_once(": ").expect("a variable"));
    let value = |value: &str| match value.split_once(" #").map_or(value, |(value, _)| value) {
        default if default.ends_with(":-}") => String::new(),
        value => value.replace("redis://redis:6379", &server.url()),
    };
    let environment: Vec<(&str, String)> = environment.map(|(name, text)| (name, value(text))).collect();
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert!(environment.iter().any(|(name, _)| *name == "REDIS_URL"), "{environment:?}");
    let node = Node::start(&environment).await;
    let id = node.post("lobby", "mason", "hi").await;
    drop(node);
    assert_eq!(Node::start(&environment).await.newest("lobby").await["id"], *id);
}

#[tokio::test]
async fn compose_file_with_a_cluster_shares_the_rooms() {
    let command = block(CLUSTER, "x-server:").lines().skip_while(|line| !line.contains("command: >-")).skip(1);
    let command: String = command.take_while(|line| line.starts_with("    ")).collect();
    let quoted: Vec<&str> = command.split('"').collect();
    let mut options: Vec<&str> = quoted[0].split_whitespace().skip(1).collect();
    options.push(quoted[1]);
    let servers = join_all((0..3).map(|_| Redis::of(Program::Redis, &options))).await;
    let addresses: Vec<String> = servers.iter().map(|server| server.address().to_string()).collect();
    let create = script(block(CLUSTER, "  cluster:")).replace("-h redis-1", &format!("-p {}", servers[0].port()));
    let run = |create: &str| Command::new("sh").args(["-c", create]).env("SERVERS", addresses.join(" ")).output();
    for words in ["[OK] All 16384 slots covered", ""] {
        // The second time there is nothing to do.
        let output = run(&create).expect("a shell");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains(words) && text.is_empty() == words.is_empty(), "{output:?}");
    }
    let mut url = CLUSTER.lines().find_map(|line| line.trim().strip_prefix("REDIS_URL: ")).expect("a URL").to_owned();
    for (number, address) in addresses.iter().enumerate() {
        url = url.replace(&format!("redis-{}", number + 1), address);
    }
    let node = Node::start(&[("REDIS_URL", &url)]).await;
    for number in 0..10 {
        let room = format!("room-{number}");
        let mut stream = Stream::live(&node, &room).await;
        let id = node.post(&room, "mason", "hi").await;
        assert_eq!(stream.next_message().await.id, id);
    }
    for server in &servers {
        assert_ne!(server.cmd::<u64>(&["DBSIZE"]).await, 0, "no room is at {}", server.address());
    }
}
