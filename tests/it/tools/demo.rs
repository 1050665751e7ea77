//! `faulttest watch` and `faulttest demo`: they report every fault that they look for, and a short demo finds none and leaves no
//! process behind.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::Child,
    sync::watch,
    time::Duration,
};

use crate::support::{DEADLINE, eventually, within};

/// The number of the message with the fault, which only one reader receives.
const FAULTY_MESSAGE: usize = 3;

/// A demo takes a quarter of a minute, and longer on a busy machine.
const DEMO_DEADLINE: Duration = Duration::from_secs(120);

/// The path of the program. It is built here, because running a single test does not build the examples.
pub static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_BIN_EXE_tiny-chat")).parent().expect("a target folder");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--quiet", "--example", "faulttest"]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo");
    assert!(built.success(), "the fault test cannot be built");
    folder.join("examples/faulttest")
});

/// A running watcher. It is never killed, because it has to end the nodes that it started.
struct Watcher(Child);

impl Watcher {
    fn start(arguments: &[&str]) -> Watcher {
        let mut command = tokio::process::Command::new(PROGRAM.as_path());
        let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Watcher(command.spawn().expect("it starts"))
    }

    fn pid(&self) -> u32 {
        self.0.id().expect("it runs")
    }

    fn terminate(&self) {
        if let Some(Ok(pid)) = self.0.id().map(i32::try_from) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }

    /// Waits for its exit. Returns whether it found no fault, and its output.
    async fn verdict(mut self, limit: Duration) -> (bool, String) {
        let (mut out, mut err) = (self.0.stdout.take().expect("piped"), self.0.stderr.take().expect("piped"));
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let end =
            async { tokio::join!(out.read_to_string(&mut stdout), err.read_to_string(&mut stderr), self.0.wait()) };
        let (.., status) = within(limit, "its verdict", end).await;
        (status.expect("an exit status").success(), stdout + &stderr)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.terminate();
    }
}

/// What is wrong with the stream of one reader.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    Lost,
    Twice,
    Reordered,
    Gap,
    StoredTwice,
}

/// A server with a fault that the program has to find.
struct FaultyServer {
    url: String,
    messages: Arc<watch::Sender<Vec<String>>>,
}

impl FaultyServer {
    async fn start(fault: Fault) -> FaultyServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/lobby", listener.local_addr().expect("an address"));
        let messages: Arc<watch::Sender<Vec<String>>> = Arc::default();
        let (frames, readers) = (Arc::clone(&messages), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(answer(client, Arc::clone(&frames), Arc::clone(&readers), fault));
            }
        });
        FaultyServer { url, messages }
    }
}

async fn answer(
    mut client: TcpStream,
    messages: Arc<watch::Sender<Vec<String>>>,
    readers: Arc<AtomicUsize>,
    fault: Fault,
) {
    let mut request = Vec::new();
    while !is_complete(&request) {
        client.read_buf(&mut request).await.expect("a request");
    }
    let request = String::from_utf8(request).expect("text");
    if request.starts_with("GET /subscribe/lobby") {
        let is_faulty = readers.fetch_add(1, Ordering::Relaxed) == 0;
        return send_stream(client, messages.subscribe(), if is_faulty { fault } else { Fault::None }).await;
    }
    let (_, data) = request.split_once("\r\n\r\n").expect("a body");
    let mut number = 0;
    messages.send_modify(|messages| {
        messages.push(data.to_owned());
        number = messages.len();
        if fault == Fault::StoredTwice && number == FAULTY_MESSAGE {
            messages.push(data.to_owned());
        }
    });
    let body = format!(r#"{{"id":"1000-{number}"}}"#);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = client.write_all((head + &body).as_bytes()).await;
}

/// Returns true if a request has its head, and a POST its JSON object.
fn is_complete(request: &[u8]) -> bool {
    let end = if request.starts_with(b"POST") { "}" } else { "\r\n\r\n" };
    request.ends_with(end.as_bytes())
}

/// Sends the messages as an event stream, one of them with the fault.
async fn send_stream(mut reader: TcpStream, mut messages: watch::Receiver<Vec<String>>, fault: Fault) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n\
        retry:50\nid: 1000-0\nevent: status\ndata: {\"live\":true,\"node\":\"server\",\"heartbeat\":15}\n\n";
    reader.write_all(head.as_bytes()).await.expect("a reader");
    for number in 1.. {
        let mut frames = Vec::new();
        let count = if fault == Fault::Reordered && number == FAULTY_MESSAGE {
            number + 1
        } else {
            number
        };
        let Ok(all) = messages.wait_for(|messages| messages.len() >= count).await.map(|all| all.clone()) else {
            return;
        };
        let frame = |number: usize| format!("id: 1000-{number}\ndata: {}\n\n", all[number - 1]);
        match fault {
            Fault::Reordered if number == FAULTY_MESSAGE => frames.push(frame(number + 1)),
            Fault::Reordered if number == FAULTY_MESSAGE + 1 => frames.push(frame(FAULTY_MESSAGE)),
            Fault::Lost if number == FAULTY_MESSAGE => {}
            Fault::Twice if number == FAULTY_MESSAGE => frames.extend([frame(number), frame(number)]),
            Fault::Gap if number == FAULTY_MESSAGE => {
                frames.extend(["event: gap\ndata: {}\n\n".to_owned(), frame(number)])
            }
            _ => frames.push(frame(number)),
        }
        if reader.write_all(frames.concat().as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Lets the program watch a server with this fault for some messages. Returns whether it found none, and its output.
async fn watch_server(fault: Fault) -> (bool, String) {
    let server = FaultyServer::start(fault).await;
    let mut watcher = Watcher::start(&["watch", &server.url, "--readers", "4", "--rate", "50"]);
    let enough = async {
        server
            .messages
            .subscribe()
            .wait_for(|messages| messages.len() >= FAULTY_MESSAGE + 5)
            .await
            .map(|_| ())
    };
    within(DEADLINE, "some messages", enough).await.expect("a server");
    drop(watcher.0.stdin.take());
    watcher.verdict(DEADLINE).await
}

#[tokio::test]
async fn server_without_a_fault_is_flawless() {
    let (flawless, text) = watch_server(Fault::None).await;
    assert!(text.contains("lost 0, twice 0, out of order 0, gaps 0"), "{text}");
    assert!(flawless && text.contains("Nobody missed anything."), "{text}");
}

#[tokio::test]
async fn every_fault_is_found_and_named() {
    let faults = [
        (Fault::Lost, "lost 1, twice 0, out of order 0, gaps 0"),
        (Fault::Twice, "lost 0, twice 1, out of order 0, gaps 0"),
        (Fault::Reordered, "lost 0, twice 0, out of order 1, gaps 0"),
        (Fault::Gap, "lost 0, twice 0, out of order 0, gaps 1"),
        (Fault::StoredTwice, "lost 0, twice 4, out of order 0, gaps 0"),
    ];
    for (fault, finding) in faults {
        let (flawless, text) = watch_server(fault).await;
        assert!(text.contains(finding), "{finding}:\n{text}");
        assert!(!flawless && text.contains("Not as promised."), "{finding}:\n{text}");
    }
}

#[tokio::test]
async fn short_demo_loses_nothing_and_says_so() {
    let (flawless, text) = Watcher::start(&["demo", "--quick"]).verdict(DEMO_DEADLINE).await;
    for act in ["chat-1 killed", "chat-2 stopped", "Redis killed"] {
        assert!(text.matches(act).count() >= 2, "no {act}:\n{text}");
    }
    assert!(flawless && text.contains("Nobody missed anything."), "{text}");
}

#[tokio::test]
async fn interrupted_demo_leaves_no_process_behind() {
    let mut demo = Watcher::start(&["demo", "--quick"]);
    let mut lines = BufReader::new(demo.0.stdout.take().expect("piped")).lines();
    let title = async { while !lines.next_line().await.expect("lines").expect("a title").contains("open http://") {} };
    within(DEMO_DEADLINE, "the demo's title", title).await;
    let children = children(demo.pid());
    assert_eq!(children.len(), 4, "three nodes and a Redis");
    demo.terminate();
    within(DEADLINE, "the end of the demo", demo.0.wait()).await.expect("an exit status");
    for child in children {
        eventually("the end of its children", async || (!Path::new(&format!("/proc/{child}")).exists()).then_some(()))
            .await;
    }
}

/// Returns the processes that any thread of this process has started.
pub fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
    let lists = threads.map(|thread| fs::read_to_string(thread.expect("a thread").path().join("children")));
    let lists: Vec<String> = lists.map(|list| list.expect("its children")).collect();
    lists
        .iter()
        .flat_map(|list| list.split_whitespace())
        .map(|pid| pid.parse().expect("a pid"))
        .collect()
}
