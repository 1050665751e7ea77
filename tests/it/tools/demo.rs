//! The witness (`examples/witness`): it must see every fault it is there to see, and a short demo must end well and
//! leave nothing behind.

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

/// Of what a liar is told, this message is what it lies about, and to one reader only.
const LIE_AT: usize = 3;

/// A demo is a quarter of a minute; this machine may be busy.
const DEMO: Duration = Duration::from_secs(120);

/// Where cargo puts the witness. It is built here: who runs one test has not built the examples.
static WITNESS: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_BIN_EXE_tiny-chat")).parent().expect("a target folder");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--quiet", "--example", "witness"]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo");
    assert!(built.success(), "the witness cannot be built");
    folder.join("examples/witness")
});

/// A witness that runs. It is never killed, since it has to end the nodes it may have started.
struct Witness(Child);

impl Witness {
    fn start(arguments: &[&str]) -> Witness {
        let mut command = tokio::process::Command::new(WITNESS.as_path());
        let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Witness(command.spawn().expect("the witness starts"))
    }

    fn pid(&self) -> u32 {
        self.0.id().expect("it runs")
    }

    fn terminate(&self) {
        if let Some(Ok(pid)) = self.0.id().map(i32::try_from) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }

    /// Whether it found nothing wrong, and all it said.
    async fn verdict(mut self, limit: Duration) -> (bool, String) {
        let (mut out, mut err) = (self.0.stdout.take().expect("piped"), self.0.stderr.take().expect("piped"));
        let (mut said, mut complained) = (String::new(), String::new());
        let end =
            async { tokio::join!(out.read_to_string(&mut said), err.read_to_string(&mut complained), self.0.wait()) };
        let (.., status) = within(limit, "the witness's verdict", end).await;
        (status.expect("it can be asked").success(), said + &complained)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.terminate();
    }
}

/// What one reader is told wrongly.
#[derive(Clone, Copy, PartialEq)]
enum Lie {
    None,
    Lost,
    Twice,
    Reordered,
    Gap,
    StoredTwice,
}

/// A chat that says what it likes.
struct Liar {
    url: String,
    said: Arc<watch::Sender<Vec<String>>>,
}

impl Liar {
    async fn start(lie: Lie) -> Liar {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/lobby", listener.local_addr().expect("an address"));
        let said: Arc<watch::Sender<Vec<String>>> = Arc::default();
        let (frames, readers) = (Arc::clone(&said), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(answer(client, Arc::clone(&frames), Arc::clone(&readers), lie));
            }
        });
        Liar { url, said }
    }
}

async fn answer(mut client: TcpStream, said: Arc<watch::Sender<Vec<String>>>, readers: Arc<AtomicUsize>, lie: Lie) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        client.read_buf(&mut request).await.expect("a request");
    }
    let request = String::from_utf8(request).expect("text");
    if request.starts_with("GET /subscribe/lobby") {
        let deceived = readers.fetch_add(1, Ordering::Relaxed) == 0;
        return tell(client, said.subscribe(), if deceived { lie } else { Lie::None }).await;
    }
    let (_, data) = request.split_once("\r\n\r\n").expect("a body");
    let mut number = 0;
    said.send_modify(|said| {
        said.push(data.to_owned());
        number = said.len();
        if lie == Lie::StoredTwice && number == LIE_AT {
            said.push(data.to_owned());
        }
    });
    let body = format!(r#"{{"id":"1000-{number}"}}"#);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = client.write_all((head + &body).as_bytes()).await;
}

/// Whether a request has its head, and a POST its JSON object.
fn is_whole(request: &[u8]) -> bool {
    let end = if request.starts_with(b"POST") { "}" } else { "\r\n\r\n" };
    request.ends_with(end.as_bytes())
}

async fn tell(mut reader: TcpStream, mut said: watch::Receiver<Vec<String>>, lie: Lie) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n\
        retry: 50\nid: 1000-0\n\nevent: status\ndata: {\"live\":true,\"node\":\"liar\",\"heartbeat\":15}\n\n";
    reader.write_all(head.as_bytes()).await.expect("a reader");
    for number in 1.. {
        let mut frames = Vec::new();
        let count = if lie == Lie::Reordered && number == LIE_AT { number + 1 } else { number };
        let Ok(all) = said.wait_for(|said| said.len() >= count).await.map(|all| all.clone()) else {
            return;
        };
        let frame = |number: usize| format!("id: 1000-{number}\ndata: {}\n\n", all[number - 1]);
        match lie {
            Lie::Reordered if number == LIE_AT => frames.push(frame(number + 1)),
            Lie::Reordered if number == LIE_AT + 1 => frames.push(frame(LIE_AT)),
            Lie::Lost if number == LIE_AT => {}
            Lie::Twice if number == LIE_AT => frames.extend([frame(number), frame(number)]),
            Lie::Gap if number == LIE_AT => frames.extend(["event: gap\ndata: {}\n\n".to_owned(), frame(number)]),
            _ => frames.push(frame(number)),
        }
        if reader.write_all(frames.concat().as_bytes()).await.is_err() {
            return;
        }
    }
}

/// What the witness finds after some messages, of which one is lied about.
async fn found(lie: Lie) -> (bool, String) {
    let liar = Liar::start(lie).await;
    let mut witness = Witness::start(&["watch", &liar.url, "--readers", "4", "--rate", "50"]);
    let enough = async { liar.said.subscribe().wait_for(|said| said.len() >= LIE_AT + 5).await.map(|_| ()) };
    within(DEADLINE, "some messages", enough).await.expect("a liar");
    drop(witness.0.stdin.take());
    witness.verdict(DEADLINE).await
}

#[tokio::test]
async fn a_chat_without_faults_is_found_flawless() {
    let (flawless, text) = found(Lie::None).await;
    assert!(text.contains("lost 0, twice 0, out of order 0, gaps 0"), "{text}");
    assert!(flawless && text.contains("Nobody missed anything."), "{text}");
}

#[tokio::test]
async fn every_fault_is_found_and_named() {
    let faults = [
        (Lie::Lost, "lost 1, twice 0, out of order 0, gaps 0"),
        (Lie::Twice, "lost 0, twice 1, out of order 0, gaps 0"),
        (Lie::Reordered, "lost 0, twice 0, out of order 1, gaps 0"),
        (Lie::Gap, "lost 0, twice 0, out of order 0, gaps 1"),
        (Lie::StoredTwice, "lost 0, twice 4, out of order 0, gaps 0"),
    ];
    for (lie, finding) in faults {
        let (flawless, text) = found(lie).await;
        assert!(text.contains(finding), "{finding}:\n{text}");
        assert!(!flawless && text.contains("Not as promised."), "{finding}:\n{text}");
    }
}

#[tokio::test]
async fn a_short_demo_loses_nothing_and_says_so() {
    let (flawless, text) = Witness::start(&["demo", "--quick"]).verdict(DEMO).await;
    for act in ["chat-1 killed", "chat-2 stopped", "Redis killed"] {
        assert!(text.matches(act).count() >= 2, "no {act}:\n{text}");
    }
    assert!(flawless && text.contains("Nobody missed anything."), "{text}");
}

#[tokio::test]
async fn a_demo_that_is_interrupted_leaves_no_process_behind() {
    let mut demo = Witness::start(&["demo", "--quick"]);
    let mut lines = BufReader::new(demo.0.stdout.take().expect("piped")).lines();
    let title = async { while !lines.next_line().await.expect("lines").expect("a title").contains("open http://") {} };
    within(DEMO, "the demo's title", title).await;
    let children = children(demo.pid());
    assert_eq!(children.len(), 4, "three nodes and a Redis");
    demo.terminate();
    within(DEADLINE, "the end of the demo", demo.0.wait()).await.expect("it can be asked");
    for child in children {
        eventually("the end of its children", async || (!Path::new(&format!("/proc/{child}")).exists()).then_some(()))
            .await;
    }
}

/// The processes that were started by any thread of this one.
fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
    let lists = threads.map(|thread| fs::read_to_string(thread.expect("a thread").path().join("children")));
    let lists: Vec<String> = lists.map(|list| list.expect("its children")).collect();
    lists
        .iter()
        .flat_map(|list| list.split_whitespace())
        .map(|pid| pid.parse().expect("a pid"))
        .collect()
}
