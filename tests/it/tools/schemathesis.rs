//! Schemathesis (PyPI) reads `/openapi.json` of a node and makes requests of it, good and bad ones: no answer may be a 5xx,
//! or one that is not described there.

use std::process::Command;

use crate::support::{
    Node,
    repository::{in_target, root},
};

/// What every answer is checked for. Which values are good and bad is left out: a name or an id that breaks its rule is 404
/// in one place and a gap in another, and the tests of those places say which.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance";

/// Runs Schemathesis, where it is installed, against a node that has everything: keys, a password, a message. It has one
/// worker, since Hypothesis is not safe to be used by several threads.
async fn assert_answers_as_described(examples: u32, phases: &str) {
    let program = in_target("python").join("bin/schemathesis");
    if !program.exists() {
        eprintln!("schemathesis is not installed: the answers were not checked");
        return;
    }
    let environment = [
        ("APP_KEYS", "shop:0123456789abcdef"),
        ("ADMIN_PASSWORD", "correct horse"),
        ("MAX_STREAMS_PER_ADDRESS", "0"),
    ];
    let node = Node::start(&environment).await;
    let id = node.post("everyone", "mason", "hi").await;
    let folder = root().join("tests/schemathesis");
    let working_directory = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(program);
    command
        .arg("--config-file")
        .arg(folder.join("schemathesis.toml"))
        .arg("run")
        .arg(node.url("/openapi.json"));
    command.args(["--checks", CHECKS, "--phases", phases, "--max-examples", &examples.to_string(), "--seed", "1"]);
    command.args(["--continue-on-failure", "--warnings", "off", "--suppress-health-check", "all"]);
    command.env("SCHEMATHESIS_HOOKS", "hooks").env("PYTHONPATH", &folder).env("MESSAGE_ID", &id);
    command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(working_directory.path());
    let output = command.output().expect("the program");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(node.metric("tiny_chat_messages_published_total").await > Some(1.0), "no post was accepted: {text}");
}

#[tokio::test]
async fn every_answer_is_described_in_the_openapi_document() {
    assert_answers_as_described(10, "examples,fuzzing").await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn every_answer_to_many_requests_is_described() {
    assert_answers_as_described(200, "examples,coverage,fuzzing,stateful").await;
}
