//! A Sentinel that says what a test wants it to say.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::broadcast,
    task::JoinSet,
};

/// How many switches may be told before a connection has passed them on.
const MAX_PENDING: usize = 16;

/// It answers every question with the same address, whatever master is asked for.
pub struct FakeSentinel {
    address: SocketAddr,
    named: Arc<Mutex<(SocketAddr, u64)>>,
    switches: broadcast::Sender<String>,
    _tasks: JoinSet<()>,
}

impl FakeSentinel {
    /// Starts one that names this master, with this epoch.
    pub async fn start(master: SocketAddr, epoch: u64) -> FakeSentinel {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (named, switches) = (Arc::new(Mutex::new((master, epoch))), broadcast::Sender::new(MAX_PENDING));
        let (answers, told) = (named.clone(), switches.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, answers.clone(), told.subscribe()));
            }
        });
        FakeSentinel { address, named, switches, _tasks: tasks }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Names another master from now on.
    pub fn name(&self, master: SocketAddr, epoch: u64) {
        *self.named.lock().expect("a lock") = (master, epoch);
    }

    /// Tells of a switch of `mymaster`.
    pub fn tell_switch(&self, from: SocketAddr, to: SocketAddr) {
        let text = format!("mymaster {} {} {} {}", from.ip(), from.port(), to.ip(), to.port());
        let _ = self.switches.send(text);
    }
}

async fn serve(mut socket: TcpStream, named: Arc<Mutex<(SocketAddr, u64)>>, mut switches: broadcast::Receiver<String>) {
    let mut received = Vec::new();
    loop {
        tokio::select! {
            read = socket.read_buf(&mut received) => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
            }
            Ok(text) = switches.recv() => {
                let push = format!(">3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n{}", bulk(&text));
                if socket.write_all(push.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
        while let Some(words) = take_command(&mut received) {
            let reply = answer(&words, *named.lock().expect("a lock"));
            if socket.write_all(reply.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

fn answer(words: &[String], (master, epoch): (SocketAddr, u64)) -> String {
    let word = |index: usize| words.get(index).map(|word| word.to_uppercase()).unwrap_or_default();
    match (word(0).as_str(), word(1).as_str()) {
        ("HELLO", _) => format!("%1\r\n{}:3\r\n", bulk("proto")),
        ("CLIENT", _) => "+OK\r\n".into(),
        ("SUBSCRIBE", _) => format!(">3\r\n{}{}:1\r\n", bulk("subscribe"), bulk(&words[1])),
        ("SENTINEL", "MASTER") => format!("%1\r\n{}{}", bulk("config-epoch"), bulk(&epoch.to_string())),
        ("SENTINEL", _) => format!("*2\r\n{}{}", bulk(&master.ip().to_string()), bulk(&master.port().to_string())),
        _ => "-ERR unknown command\r\n".into(),
    }
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// Takes a command that has arrived whole.
fn take_command(received: &mut Vec<u8>) -> Option<Vec<String>> {
    let mut at = 0;
    let mut number = |after: u8| -> Option<usize> {
        let rest = received.get(at..)?;
        assert!(
            rest.first().is_none_or(|first| *first == after),
            "not a command: {:?}",
            String::from_utf8_lossy(rest)
        );
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        at += end + 2;
        if after == b'$' {
            let length: usize = std::str::from_utf8(&rest[1..end]).ok()?.parse().ok()?;
            at += length + 2;
            return (at <= received.len()).then_some(length);
        }
        std::str::from_utf8(&rest[1..end]).ok()?.parse().ok()
    };
    let count = number(b'*')?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        words.push(number(b'$')?);
    }
    // The words once more, now that all are there.
    let mut rest = received.drain(..at).collect::<Vec<u8>>();
    let mut parsed = Vec::with_capacity(count);
    rest.drain(..rest.windows(2).position(|pair| pair == b"\r\n")? + 2);
    for length in words {
        rest.drain(..rest.windows(2).position(|pair| pair == b"\r\n")? + 2);
        parsed.push(String::from_utf8_lossy(&rest[..length]).into_owned());
        rest.drain(..length + 2);
    }
    Some(parsed)
}
