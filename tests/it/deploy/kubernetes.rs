//! The example for Kubernetes: valid where its schemas are installed, and true to what a node takes and serves.

use std::process::Command;

use super::platforms::{help, seconds_after};
use crate::support::{
    Node,
    repository::{in_target, root, text},
};

const FILE: &str = "deploy/kubernetes.yaml";

/// Returns the values that follow a word in a text, up to a bracket, a comma or the end of the line.
fn values<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let ends = |c: char| c.is_whitespace() || ",}]\"'".contains(c);
    text.split(word).skip(1).map(|rest| rest.split(ends).next().unwrap_or_default()).collect()
}

/// Returns the value of a variable of the container.
fn variable<'a>(file: &'a str, name: &str) -> &'a str {
    let (_, rest) = file.split_once(&format!("{{ name: {name}, value: ")).unwrap_or_else(|| panic!("no {name}"));
    rest.split('}').next().unwrap_or_default().trim().trim_matches('"')
}

#[test]
fn kubernetes_example_is_valid() {
    let path = in_target("python").join("bin/kubernetes-validate");
    if !path.exists() {
        eprintln!("kubernetes-validate is not installed: the example was not checked against the schemas");
        return;
    }
    let output = Command::new(path).args(["--strict", FILE]).current_dir(root()).output().expect("the program");
    assert!(output.status.success(), "{output:?}");
    // Of a kind that it does not know it only says so.
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let objects = text(FILE).lines().filter(|line| line.starts_with("kind: ")).count();
    assert_eq!(said.matches(" passed for resource ").count(), objects, "{said}");
}

#[test]
fn kubernetes_example_sets_only_existing_options() {
    let (file, help) = (text(FILE), help());
    let names: Vec<&str> =
        values(&file, "- { name: ").into_iter().filter(|name| *name == name.to_uppercase()).collect();
    assert!(names.contains(&"REDIS_URL_FILE") && names.contains(&"TRUSTED_PROXIES"), "{names:?}");
    for name in names.into_iter().chain(["NODE"]) {
        assert!(help.contains(&format!("[env: {name}=")), "{name} is not an option");
    }
}

/// Secrets come as files, of keys that the command in the comment makes.
#[test]
fn kubernetes_example_reads_its_secrets_from_files() {
    let file = text(FILE);
    let mount = values(&file, "mountPath: ")[0];
    let keys = values(&file, "--from-literal=");
    for name in ["REDIS_URL_FILE", "ADMIN_PASSWORD_FILE", "APP_KEYS_FILE"] {
        let path = variable(&file, name);
        let key = path.strip_prefix(&format!("{mount}/")).unwrap_or_else(|| panic!("{path} is not in {mount}"));
        assert!(keys.iter().any(|made| made.starts_with(&format!("{key}="))), "{key} is not among {keys:?}");
    }
    for name in ["REDIS_URL", "ADMIN_PASSWORD", "APP_KEYS"] {
        assert!(!file.contains(&format!("name: {name},")), "{name} is in the environment");
    }
}

/// A node that is killed while it drains cuts its streams all at once, and what sends requests there learns of the end late.
#[test]
fn kubernetes_example_lets_nodes_drain() {
    let file = text(FILE);
    let (grace, drain) = (seconds_after(&file, "DRAIN_GRACE, value: \""), seconds_after(&file, "DRAIN, value: \""));
    let limit = seconds_after(&file, "terminationGracePeriodSeconds: ");
    assert!(limit > grace + drain, "{limit} s are less than {grace} + {drain}");
    let (_, probe) = file.split_once("readinessProbe:").expect("a probe");
    let noticed = seconds_after(probe, "periodSeconds: ") * seconds_after(probe, "failureThreshold: ");
    assert!(grace >= noticed, "unready is noticed after {noticed} s, and the node listens for {grace} s");
}

#[tokio::test]
async fn kubernetes_example_probes_what_a_node_serves() {
    let file = text(FILE);
    let node = Node::start(&[]).await;
    let probes = values(&file, "httpGet: { path: ");
    assert_eq!(probes, ["/readyz", "/healthz", "/healthz"]);
    for path in probes {
        node.get(path).await.expect(200);
    }
    let port = seconds_after(&file, "containerPort: ").to_string();
    assert!(variable(&file, "BIND").ends_with(&format!(":{port}")), "BIND has another port than {port}");
}

#[test]
fn kubernetes_example_survives_a_machine() {
    let file = text(FILE);
    for part in ["kind: PodDisruptionBudget", "topologySpreadConstraints:", "maxUnavailable: 0", "runAsNonRoot: true"] {
        assert!(file.contains(part), "{part}");
    }
    assert!(seconds_after(&file, "replicas: ") >= 2);
    // The read timeout of the ingress is longer than the longest HEARTBEAT.
    assert!(seconds_after(&file, "proxy-read-timeout: \"") > 60);
}
