//! Each secret can be in a file (contract 8).

use std::{fs, path::Path};

use reqwest::Method;

use crate::support::{Node, Redis, key};

/// Writes a file as editors and platforms do, and returns its path.
fn file(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, format!("{content}\n")).expect("a file");
    path.to_str().expect("a path").to_owned()
}

/// The variables in `--help` whose values it would not show.
async fn secrets() -> Vec<String> {
    let help = Node::run_to_exit(&[], &["--help"]).await.output;
    let names = help
        .split("[env: ")
        .skip(1)
        .filter_map(|rest| rest.split_once(']').map(|(name, _)| name.to_owned()));
    names.filter(|name| !name.contains('=')).collect()
}

#[tokio::test]
async fn every_secret_has_an_option_for_its_file() {
    let secrets = secrets().await;
    for secret in ["REDIS_URL", "REDISTOGO_URL", "REDIS_SENTINEL_PASSWORD", "ADMIN_PASSWORD", "APP_KEYS", "ESHQ_SECRET"]
    {
        assert!(secrets.iter().any(|name| name == secret), "{secret} is shown: {secrets:?}");
    }
    let help = Node::run_to_exit(&[], &["--help"]).await.output;
    for secret in secrets {
        let flag = format!("--{}-file", secret.to_lowercase().replace('_', "-"));
        assert!(help.contains(&format!("[env: {secret}_FILE=]")) && help.contains(&flag), "{secret}: {help}");
    }
}

#[tokio::test]
async fn secrets_are_read_from_their_files() {
    let (directory, redis) = (tempfile::tempdir().expect("a directory"), Redis::start().await);
    let path = |name: &str, content: &str| file(directory.path(), name, content);
    let environment = [
        ("REDIS_URL_FILE", path("url", &redis.url())),
        ("ADMIN_PASSWORD_FILE", path("password", "correct horse")),
        ("ESHQ_KEY", "shop".to_owned()),
        ("ESHQ_SECRET_FILE", path("secret", "battery-staple")),
    ];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let node = Node::start(&environment).await;
    node.post("lobby", "mason", "hi").await;
    assert!(redis.cmd::<bool>(&["EXISTS", &key("lobby")]).await);
    let dashboard = |password| node.request(Method::GET, "/dashboard").basic_auth("", Some(password));
    node.send(dashboard("correct horse")).await.expect(200);
    node.send(dashboard("correct horse\n")).await.expect(401);
    let call = |secret| node.request(Method::POST, "/socket?channel=news").basic_auth("shop", Some(secret));
    node.send(call("battery-staple")).await.expect(200);
    node.send(call("staple")).await.expect(401);
    // The commands for keys have them as well.
    let purge = Node::run_to_exit(&environment, &["keys", "purge", "shop", "--yes"]).await;
    assert!(purge.status.success() && purge.output.contains("logs: "), "{}", purge.output);
    let purge = ["keys", "purge", "shop", "--yes", "--redis-url-file", environment[0].1];
    let purge = Node::run_to_exit(&environment[2..], &purge).await;
    assert!(purge.status.success(), "{}", purge.output);
}

#[tokio::test]
async fn a_flag_goes_before_the_file_in_a_variable() {
    let environment = [("ADMIN_PASSWORD_FILE", "/nonexistent/password"), ("BIND", "192.0.2.1:1")];
    let started = Node::run_to_exit(&environment, &["--admin-password", "correct horse"]).await;
    assert!(started.output.contains("BIND 192.0.2.1:1: "), "{}", started.output);
}

#[tokio::test]
async fn a_bad_secret_is_named_with_its_file_and_not_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    for (variable, content) in [
        ("REDIS_URL", "http://:hunter2@127.0.0.1"),
        ("ADMIN_PASSWORD", "hunter2\u{1}"),
        ("ESHQ_SECRET", "hunter2,"),
    ] {
        let path = file(directory.path(), variable, content);
        let file_variable = format!("{variable}_FILE");
        let key = if variable == "ESHQ_SECRET" { "shop" } else { "" };
        let refusal = Node::run_to_exit(&[(&file_variable, &path), ("ESHQ_KEY", key)], &[]).await;
        let expected = format!("ERROR {variable} in {path}: ");
        assert!(!refusal.status.success() && refusal.output.contains(&expected), "{}", refusal.output);
        assert!(!refusal.output.contains("hunter2"), "{}", refusal.output);
    }
}

#[tokio::test]
async fn a_secret_that_is_set_twice_ends_the_start() {
    let refusal = Node::run_to_exit(&[("ADMIN_PASSWORD", "hunter2"), ("ADMIN_PASSWORD_FILE", "/dev/null")], &[]).await;
    let expected = "ADMIN_PASSWORD and ADMIN_PASSWORD_FILE are both set";
    assert!(!refusal.status.success() && refusal.output.contains(expected), "{}", refusal.output);
    assert!(!refusal.output.contains("hunter2"), "{}", refusal.output);
}

/// The commands that are clients are not concerned by the variables of a node.
#[tokio::test]
async fn clients_read_no_secret_of_a_node() {
    let environment = [("ADMIN_PASSWORD_FILE", "/nonexistent/password"), ("REDIS_URL_FILE", "/nonexistent/url")];
    let made = Node::run_to_exit(&environment, &["keys", "new"]).await;
    assert!(made.status.success(), "{}", made.output);
}
