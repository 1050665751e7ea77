//! The list of keys: what ends the start, what is warned of, and how it is read again.

use std::fs;

use nix::sys::signal::Signal;
use reqwest::Method;
use tempfile::TempDir;

use crate::support::{Answer, Node, Redis, Stream, eventually};

const SECRET: &str = "0123456789abcdef-secret";

/// A file with keys.
struct KeyFile {
    directory: TempDir,
}

impl KeyFile {
    fn new(text: &str) -> KeyFile {
        let file = KeyFile { directory: tempfile::tempdir().expect("a directory") };
        file.write(text);
        file
    }

    fn path(&self) -> String {
        self.directory.path().join("keys").to_string_lossy().into_owned()
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).expect("a file");
    }
}

#[tokio::test]
async fn a_bad_entry_ends_the_start_and_is_told_without_secrets() {
    let file = KeyFile::new(&format!("# keys\nshop:{SECRET}\nblog:tooshortsecret\n"));
    let path = file.path();
    let list = format!("shop:{SECRET},blog:{SECRET}:news");
    for (environment, told) in [
        (("APP_KEYS", list.as_str()), "APP_KEYS: entry 2 (key blog): a prefix ends in ~"),
        (
            ("APP_KEYS_FILE", &path),
            &format!("APP_KEYS_FILE {path}: line 3 (key blog): a secret has 16 to 128"),
        ),
        (("ESHQ_KEY", "shop"), "ESHQ_KEY is set without ESHQ_SECRET"),
        (("ESHQ_SECRET", SECRET), "ESHQ_SECRET is set without ESHQ_KEY"),
    ] {
        let refusal = Node::run_to_exit(&[environment], &[]).await;
        assert_eq!(refusal.status.code(), Some(1), "{}", refusal.output);
        assert!(refusal.output.contains(told), "{told:?} is not in {}", refusal.output);
        assert!(!refusal.output.contains(SECRET) && !refusal.output.contains("tooshort"), "{}", refusal.output);
    }
}

#[tokio::test]
async fn a_key_has_one_prefix_and_no_prefix_begins_another() {
    for (list, told) in [
        (format!("shop:{SECRET},shop:{SECRET}2:"), "a key has one prefix"),
        (format!("shop:{SECRET},blog:{SECRET}:private-shop~blog~"), "no prefix may begin"),
    ] {
        let refusal = Node::run_to_exit(&[("APP_KEYS", &list)], &[]).await;
        assert!(!refusal.status.success() && refusal.output.contains(told), "{}", refusal.output);
        assert!(refusal.output.contains("entry 1") && refusal.output.contains("entry 2"), "{}", refusal.output);
    }
    let list = format!("shop:{SECRET},shop:{SECRET}2,blog:{SECRET}:news~,wiki:{SECRET}:news~");
    Node::start(&[("APP_KEYS", &list)]).await;
}

#[tokio::test]
async fn open_channels_are_warned_of_and_private_ones_are_not() {
    let list = format!("shop:{SECRET},blog:{SECRET}:news~,wiki:{SECRET}:");
    let node = Node::start(&[("APP_KEYS", &list)]).await;
    for key in ["blog", "wiki"] {
        let line = node.logged(&format!("key={key}")).await;
        assert!(line.contains(" WARN ") && line.contains("everybody reads and writes"), "{line}");
    }
    assert!(!node.log().contains("shop") && !node.log().contains(SECRET), "{}", node.log());
}

#[tokio::test]
async fn a_private_room_in_rooms_ends_the_start_once_there_are_keys() {
    let rooms = ("ROOMS", "lobby,private-den");
    Node::start(&[rooms]).await.page("/private-den").await.html(200);
    let (list, file) = (format!("shop:{SECRET}"), KeyFile::new(""));
    for keys in [("APP_KEYS", list.as_str()), ("APP_KEYS_FILE", &file.path())] {
        let refusal = Node::run_to_exit(&[rooms, keys], &[]).await;
        assert!(!refusal.status.success() && refusal.output.contains("ROOMS: private-den"), "{}", refusal.output);
    }
}

#[tokio::test]
async fn sighup_reads_the_file_and_a_bad_line_changes_nothing() {
    let file = KeyFile::new("# none yet\n");
    let node = Node::start(&[("APP_KEYS_FILE", &file.path())]).await;
    file.write(&format!("shop:{SECRET}\nblog:{SECRET}:news~\n"));
    node.signal(Signal::SIGHUP);
    node.logged("key=blog").await;
    assert!(node.logged("SIGHUP: read").await.contains("keys=2"));
    file.write(&format!("shop:{SECRET}\n\nblog:bad\n"));
    node.signal(Signal::SIGHUP);
    let line = node.logged("SIGHUP: the keys stay as they are").await;
    assert!(line.contains(" ERROR ") && line.contains("line 3") && !line.contains(SECRET), "{line}");
    node.page("/lobby").await.html(200);
}

async fn call(node: &Node, secret: &str, path: &str) -> Answer {
    let request = node.request(Method::POST, path).basic_auth("shop", Some(secret));
    node.send(request.form(&[("channel", "news"), ("data", "hi")])).await
}

/// An app changes its secret without a gap; then its key is taken away.
#[tokio::test]
async fn secrets_can_be_changed_and_keys_taken_away_without_a_restart() {
    const NEW: &str = "another-secret-0123";
    let file = KeyFile::new(&format!("shop:{SECRET}\n"));
    let node = Node::start(&[("APP_KEYS_FILE", &file.path())]).await;
    let reload = async |text: &str, is_good: &str, secret: &str| {
        file.write(text);
        node.signal(Signal::SIGHUP);
        let was_read = async || (call(&node, secret, "/event").await.text() == is_good).then_some(());
        eventually("another list of keys", was_read).await;
    };
    reload(&format!("shop:{SECRET}\nshop:{NEW}\n"), "{}", NEW).await;
    assert_eq!(call(&node, SECRET, "/event").await.status, 200);
    let socket = call(&node, SECRET, "/socket").await.expect(200).json();
    let path = format!("/eventsource?socket={}", socket["socket"].as_str().expect("an id"));
    let mut stream = Stream::open(&node, &path, &[]).await;
    reload(&format!("shop:{NEW}\n"), "Access Denied - Bad Credentials", SECRET).await;
    call(&node, NEW, "/event").await.expect(200);
    reload("", "User not found", NEW).await;
    assert_eq!(node.get(&path).await.expect(404).text(), "Socket Not Found");
    let last = stream.read_to_end().await.pop().expect("a block");
    assert_eq!((last.event.as_deref(), &last.json()["reason"]), (Some("backoff"), &"expired".into()));
    node.get("/private-shop~news").await.problem(401);
    // Sockets of a revoked app stay revoked, even if the key is given out again.
    reload(&format!("shop:{NEW}:\n"), "{}", NEW).await;
    assert!(node.logged("key=shop").await.contains(" WARN "));
}

/// What a socket is a pass to is another room then.
#[tokio::test]
async fn sockets_end_when_their_key_gets_another_prefix() {
    let redis = Redis::start().await;
    let file = KeyFile::new(&format!("shop:{SECRET}\n"));
    let node = Node::on(&redis, &[("APP_KEYS_FILE", &file.path())]).await;
    let path = async || {
        let socket = call(&node, SECRET, "/socket").await.expect(200).json();
        format!("/eventsource?socket={}", socket["socket"].as_str().expect("an id"))
    };
    let (read, idle) = (path().await, path().await);
    let mut stream = Stream::open(&node, &read, &[]).await;
    file.write(&format!("shop:{SECRET}:other~\n"));
    node.signal(Signal::SIGHUP);
    node.logged("SIGHUP: read").await;
    for path in [&read, &idle] {
        assert_eq!(node.get(path).await.expect(404).text(), "Socket Not Found");
    }
    let last = stream.read_to_end().await.pop().expect("a block");
    assert_eq!((last.event.as_deref(), &last.json()["reason"]), (Some("backoff"), &"expired".into()));
    assert_eq!(Stream::open(&node, &path().await, &[]).await.head.status, 200);
    // Back to the default, which a socket does not name.
    let named = path().await;
    file.write(&format!("shop:{SECRET}\n"));
    node.signal(Signal::SIGHUP);
    let was_read = async || (node.log().matches("SIGHUP: read").count() == 2).then_some(());
    eventually("another list of keys", was_read).await;
    assert_eq!(node.get(&named).await.expect(404).text(), "Socket Not Found");
}

/// There is nothing to read, and a process that has keys does not end because of a terminal that closes.
#[tokio::test]
async fn sighup_without_a_file_changes_nothing() {
    let node = Node::start(&[("APP_KEYS", &format!("shop:{SECRET}"))]).await;
    node.signal(Signal::SIGHUP);
    assert!(node.logged("SIGHUP").await.contains("APP_KEYS_FILE"));
    node.page("/lobby").await.html(200);
}
