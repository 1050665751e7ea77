//! What docs/hub.md shows works as it is copied, in each language whose runtime is here.

use std::{collections::BTreeSet, fs, path::Path};

use reqwest::Method;
use tempfile::TempDir;
use tokio::process::Command;

use super::runtimes::has;
use crate::support::{BINARY, DEADLINE, Node, Stream, free_port, repository::text, within};

/// The languages of the page: their headings, the program that runs what follows, and its file.
const LANGUAGES: [(&str, &str, &str); 6] = [
    ("curl", "bash", "send.sh"),
    ("Ruby", "ruby", "send.rb"),
    ("Python", "python3", "send.py"),
    ("PHP", "php", "send.php"),
    ("Node", "node", "send.mjs"),
    ("Clojure", "clojure", "send.clj"),
];

/// Returns the first block of code after a line of the page.
fn block_after(page: &str, line: &str) -> String {
    let (_, rest) = page.split_once(&format!("\n{line}")).unwrap_or_else(|| panic!("no {line:?}"));
    let (_, block) = rest.split_once("\n```").expect("a block");
    let (_, code) = block.split_once('\n').expect("code");
    code.split("```").next().unwrap_or_default().to_owned()
}

/// Runs a program in the folder with these variables, and returns what it printed.
async fn run(folder: &Path, program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).envs(environment.iter().copied()).kill_on_drop(true);
    let output = within(DEADLINE, program, command.output()).await.expect("a program");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn each_language_of_the_guide_sends_an_event() {
    let (page, folder) = (text("docs/hub.md"), TempDir::new().expect("a folder"));
    let node = Node::start(&[("APP_KEYS", "shop:0123456789abcdef")]).await;
    let request = node.request(Method::POST, "/socket").basic_auth("shop", Some("0123456789abcdef"));
    let socket = node.send(request.form(&[("channel", "news")])).await.expect(200).json();
    let path = format!("/eventsource?socket={}", socket["socket"].as_str().expect("an id"));
    let mut stream = Stream::open(&node, &path, &[]).await;
    let url = node.url("");
    let environment = [("ESHQ_URL", url.as_str()), ("ESHQ_KEY", "shop"), ("ESHQ_SECRET", "0123456789abcdef")];
    let (here, missing): (Vec<_>, Vec<_>) = LANGUAGES.into_iter().partition(|(_, program, _)| has(program));
    missing.iter().for_each(|(language, ..)| eprintln!("NOT RUN: {language} is not installed"));
    for (language, program, file) in &here {
        fs::write(folder.path().join(file), block_after(&page, &format!("### {language}\n"))).expect("a file");
        run(folder.path(), program, &[file], &environment).await;
    }
    let mut sent = BTreeSet::new();
    while sent.len() < here.len() {
        let block = stream.next_content().await;
        if block.event.is_none() {
            sent.extend(block.data);
        }
    }
    assert_eq!(sent, here.iter().map(|(language, ..)| format!("hello from {language}")).collect());
}

#[tokio::test]
async fn the_files_of_the_guide_start_a_hub() {
    let (page, folder) = (text("docs/hub.md"), TempDir::new().expect("a folder"));
    let programs = Path::new(BINARY).parent().expect("a folder").display();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
    let provisioning = block_after(&page, "This makes a key for an app and its hub.");
    run(folder.path(), "bash", &["-ec", &provisioning], &[("PATH", &path)]).await;
    let settings = fs::read_to_string(folder.path().join(".env")).expect("settings");
    let address = format!("127.0.0.1:{}", free_port());
    let settings = settings.replace("localhost:8080", &address);
    let settings: Vec<(&str, &str)> = settings.lines().filter_map(|line| line.split_once('=')).collect();
    let value = |name: &str| settings.iter().find(|(known, _)| *known == name).expect("a setting").1;
    let procfile = block_after(&page, "A `Procfile` starts both");
    assert!(procfile.starts_with("hub: tiny-chat\nweb: "), "{procfile}");
    let node = Node::start(&settings).await;
    assert!(value("ESHQ_URL").ends_with(&node.address().to_string()));
    let request = node.request(Method::POST, "/event").basic_auth(value("ESHQ_KEY"), Some(value("ESHQ_SECRET")));
    node.send(request.form(&[("channel", "news"), ("data", "hi")])).await.expect(200);
}
