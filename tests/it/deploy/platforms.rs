//! The files for platforms that start the program: Procfile, app.json, and a systemd unit.

use std::{fs, process::Command};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{
    BINARY, Node, Redis, free_port,
    repository::{root, text},
};

/// Returns the output of `--help`, which lists every option.
pub fn help() -> String {
    let output = Command::new(BINARY).arg("--help").output().expect("the program");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs the `web` line of the Procfile as the platform does: in a shell, with the port in the environment.
async fn start_procfile(environment: &[(&str, &str)]) -> Node {
    let procfile = text("Procfile");
    let line = procfile.lines().find_map(|line| line.strip_prefix("web: ")).expect("a line for web");
    assert!(line.contains("./target/release/tiny-chat"), "{line}");
    let mut shell = Command::new("bash");
    shell.env_clear().args(["-c", &line.replace("./target/release/tiny-chat", BINARY)]);
    shell.envs(environment.iter().copied()).env("PATH", std::env::var("PATH").expect("a PATH"));
    Node::start_command(&mut shell).await
}

#[tokio::test]
async fn procfile_starts_a_node_with_the_platforms_port_and_redis() {
    let (redis, port) = (Redis::start().await, free_port().to_string());
    let mut node = start_procfile(&[("PORT", &port), ("REDIS_URL", &redis.url()), ("DYNO", "web.1")]).await;
    node.ready().await;
    let id = node.post("lobby", "mason", "hi").await;
    assert_eq!(Node::on(&redis, &[]).await.newest("lobby").await["id"], *id);
    assert_eq!(node.get(&format!("/history/lobby/{id}")).await.json()["node"], "web.1");
    node.signal(Signal::SIGTERM);
    assert_eq!(node.exit().await.code(), Some(0), "the signal reaches the program, not a shell");
}

#[tokio::test]
async fn procfile_starts_a_node_without_redis() {
    let node = start_procfile(&[("PORT", &free_port().to_string())]).await;
    node.ready().await;
    node.post("lobby", "mason", "hi").await;
}

#[test]
fn app_json_sets_only_existing_options() {
    let app: Value = serde_json::from_str(&text("app.json")).expect("JSON");
    let (help, options) = (help(), app["env"].as_object().expect("options"));
    assert!(options.contains_key("TRUSTED_PROXIES"), "without it all clients share one limit");
    for option in options.keys() {
        assert!(help.contains(&format!("[env: {option}=")), "{option} is not an option");
    }
}

/// The button in README.md deploys this repository as app.json says.
#[test]
fn deploy_button_leads_to_app_json() {
    let app: Value = serde_json::from_str(&text("app.json")).expect("JSON");
    let repository = app["repository"].as_str().expect("a repository");
    assert!(text("README.md").contains(&format!("https://www.heroku.com/deploy?template={repository})")));
    let logo = app["logo"].as_str().and_then(|logo| logo.split_once("/main/")).expect("a file of the repository").1;
    assert!(root().join(logo).exists(), "{logo}");
    let cargo = text("Cargo.toml");
    if let Some(line) = cargo.lines().find(|line| line.starts_with("repository = ")) {
        assert_eq!(line, format!("repository = \"{repository}\""));
    }
}

#[test]
fn systemd_unit_is_valid() {
    let (unit, options) = (text("deploy/tiny-chat.service"), text("deploy/tiny-chat.env"));
    let named = options.lines().filter_map(|line| Some(line.strip_prefix('#')?.split_once('=')?.0));
    let named: Vec<&str> = named.filter(|name| !name.contains(' ')).collect();
    assert!(named.contains(&"REDIS_URL") && named.contains(&"TRUSTED_PROXIES"), "{named:?}");
    for option in named {
        let is_option = ['=', ']'].iter().any(|end| help().contains(&format!("[env: {option}{end}")));
        assert!(is_option, "{option} is not an option");
    }
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("tiny-chat.service");
    fs::write(&path, unit.replace("ExecStart=tiny-chat\n", &format!("ExecStart={BINARY}\n"))).expect("a file");
    match Command::new("systemd-analyze").arg("verify").arg(&path).output() {
        Ok(output) => assert!(output.status.success() && output.stderr.is_empty(), "{output:?}"),
        Err(_) => eprintln!("systemd-analyze is not installed: the unit was not verified"),
    }
}

/// Returns the seconds that follow a word in a file.
pub fn seconds_after(text: &str, word: &str) -> u64 {
    let (_, rest) = text.split_once(word).unwrap_or_else(|| panic!("no {word}"));
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("seconds")
}

/// A node that is killed while it drains cuts its streams all at once.
#[test]
fn nodes_have_time_to_drain_before_they_are_killed() {
    let help = help();
    let default = |option| {
        let (_, rest) = help.split_once(&format!("[env: {option}=")).expect("an option");
        seconds_after(rest, "[default: ")
    };
    let drain = default("DRAIN_GRACE") + default("DRAIN");
    for (file, word) in [
        ("deploy/tiny-chat.service", "TimeoutStopSec="),
        ("docker-compose.yml", "stop_grace_period: "),
        ("docker-compose.yml", "docker stop --time "),
        ("deploy/compose.yml", "stop_grace_period: "),
        ("deploy/compose-sentinel.yml", "stop_grace_period: "),
        ("deploy/compose-cluster.yml", "stop_grace_period: "),
        ("deploy/compose-proxies.yml", "stop_grace_period: "),
        ("deploy/kubernetes.yaml", "terminationGracePeriodSeconds: "),
        ("scripts/compose-test", "docker stop --time "),
        ("docs/operations.md", "terminationGracePeriodSeconds: "),
    ] {
        let limit = seconds_after(&text(file), word);
        assert!(limit > drain, "{word} of {file} is {limit} s, a drain takes {drain} s");
    }
    let kubernetes = text("docs/operations.md");
    let (_, row) = kubernetes.split_once("| a Kubernetes service (`deploy/kubernetes.yaml`) | `").expect("a row");
    let limit = seconds_after(&kubernetes, "terminationGracePeriodSeconds: ");
    assert!(limit > seconds_after(row, "") + default("DRAIN"), "{limit} s are too short");
}
