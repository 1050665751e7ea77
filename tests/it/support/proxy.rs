//! A TCP proxy between two programs that simulates network failures.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

use super::resp;

/// A proxy that runs until its test ends. Every change of its mode breaks the connections it has, unless its method
/// says otherwise.
pub struct Proxy {
    address: SocketAddr,
    mode: Arc<watch::Sender<Mode>>,
    route: Arc<Mutex<Route>>,
    connections: Arc<AtomicUsize>,
}

/// Where new connections lead, and what they lose.
#[derive(Clone)]
struct Route {
    server: SocketAddr,
    /// How long a byte takes in each direction.
    delay: Duration,
    /// What the answers of all connections share; `None` if it is not limited.
    bandwidth: Option<Bandwidth>,
    loss: Arc<watch::Sender<Loss>>,
    requests: Arc<Mutex<Requests>>,
}

/// The requests of all connections, as long as they are not pipelined, which browsers do not.
#[derive(Default)]
struct Requests {
    /// The paths of every GET.
    got: Vec<String>,
    /// The parts of the paths whose next GET is not answered.
    failing: Vec<String>,
}

impl Requests {
    /// Notes what a client sent. Returns true if it gets no answer.
    fn fails(&mut self, sent: &[u8]) -> bool {
        let Some(line) = sent.strip_prefix(b"GET ") else {
            return false;
        };
        let end = line.iter().position(|byte| byte.is_ascii_whitespace()).unwrap_or(line.len());
        let path = String::from_utf8_lossy(&line[..end]).into_owned();
        let failing = self.failing.iter().position(|part| path.contains(part));
        self.got.push(path);
        failing.map(|index| self.failing.swap_remove(index)).is_some()
    }
}

#[derive(Clone)]
struct Bandwidth {
    bytes_per_second: u64,
    free_at: Arc<Mutex<Instant>>,
}

impl Bandwidth {
    /// Returns when so many bytes, sent now, have passed.
    fn passed_at(&self, bytes: usize) -> Instant {
        let mut free_at = self.free_at.lock().unwrap();
        let takes = Duration::from_micros(bytes as u64 * 1_000_000 / self.bytes_per_second);
        *free_at = (*free_at).max(Instant::now()) + takes;
        *free_at
    }
}

/// What is lost on the way from the server.
#[derive(Clone, Copy, PartialEq)]
enum Loss {
    Nothing,
    /// Messages of Redis' Pub/Sub.
    Announcements,
    /// All that goes over connections without subscriptions.
    Replies,
    Everything,
}

/// The command of Redis, or a part of it.
const SUBSCRIBE: &[u8] = b"SUBSCRIBE";

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Forwards both directions.
    Open,
    /// Closes new connections.
    Cut,
    /// Answers every request with 503.
    Unavailable,
    /// Accepts connections and forwards nothing.
    Silent,
    /// Forwards both directions until the next POST.
    CutAtNextPost,
}

impl Proxy {
    /// Starts a proxy that forwards to a server.
    pub async fn to(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mode = Arc::new(watch::Sender::new(Mode::Open));
        let loss = Arc::new(watch::Sender::new(Loss::Nothing));
        let route = Arc::new(Mutex::new(Route {
            server,
            delay: Duration::ZERO,
            bandwidth: None,
            loss,
            requests: Arc::default(),
        }));
        let connections = Arc::default();
        tokio::spawn(serve(listener, Arc::clone(&route), Arc::clone(&mode), Arc::clone(&connections)));
        Proxy { address, mode, route, connections }
    }

    /// Starts a proxy through which a round trip takes this long, that of connecting included.
    pub async fn with_round_trip(server: SocketAddr, round_trip: Duration) -> Proxy {
        let proxy = Proxy::to(server).await;
        proxy.route.lock().unwrap().delay = round_trip / 2;
        proxy
    }

    /// Starts a proxy whose answers share this bandwidth.
    pub async fn with_bandwidth(server: SocketAddr, bytes_per_second: u64) -> Proxy {
        let proxy = Proxy::to(server).await;
        let free_at = Arc::new(Mutex::new(Instant::now()));
        proxy.route.lock().unwrap().bandwidth = Some(Bandwidth { bytes_per_second, free_at });
        proxy
    }

    /// Leads new connections to another server, as a changed name does, and keeps the others.
    pub fn lead_to(&self, server: SocketAddr) {
        self.route.lock().unwrap().server = server;
    }

    /// Loses the announcements of Redis on the connections that there are, and nothing on new ones.
    pub fn lose_announcements(&self) {
        self.lose(Loss::Announcements);
    }

    /// Loses all that Redis sends on the connections that there are and have no subscriptions, and nothing on others.
    pub fn lose_replies_to_commands(&self) {
        self.lose(Loss::Replies);
    }

    /// Loses all that the server sends on the connections that there are, and nothing on new ones.
    pub fn lose_responses(&self) {
        self.lose(Loss::Everything);
    }

    fn lose(&self, loss: Loss) {
        let mut route = self.route.lock().unwrap();
        route.loss.send_replace(loss);
        route.loss = Arc::new(watch::Sender::new(Loss::Nothing));
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the number of connections that were ever accepted.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Returns the path of every GET that was forwarded or failed, in order.
    pub fn requests(&self) -> Vec<String> {
        self.route.lock().unwrap().requests.lock().unwrap().got.clone()
    }

    /// Closes the connection of the next GET whose path contains `part`, instead of forwarding it.
    pub fn fail_once(&self, part: &str) {
        self.route.lock().unwrap().requests.lock().unwrap().failing.push(part.to_owned());
    }

    /// Closes every connection, old and new.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    /// Answers every request with 503, like a proxy whose server is down.
    pub fn unavailable(&self) {
        self.mode.send_replace(Mode::Unavailable);
    }

    /// Keeps connections open and accepts new ones, but forwards nothing.
    pub fn silence(&self) {
        self.mode.send_replace(Mode::Silent);
    }

    /// Keeps forwarding until the next POST. That request reaches the server, and before its response or anything else
    /// is forwarded, every connection is closed.
    pub fn cut_at_the_next_post(&self) {
        self.mode.send_replace(Mode::CutAtNextPost);
    }

    /// Forwards new connections again.
    pub fn restore(&self) {
        self.mode.send_replace(Mode::Open);
    }
}

async fn serve(
    listener: TcpListener,
    route: Arc<Mutex<Route>>,
    mode: Arc<watch::Sender<Mode>>,
    connections: Arc<AtomicUsize>,
) {
    while let Ok((mut client, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::Relaxed);
        let mode = Arc::clone(&mode);
        let route = route.lock().unwrap().clone();
        tokio::spawn(async move {
            let mut changes = mode.subscribe();
            let current = *changes.borrow_and_update();
            let broken = async {
                while changes.changed().await.is_ok() {
                    if *changes.borrow_and_update() != Mode::CutAtNextPost {
                        break;
                    }
                }
            };
            tokio::select! {
                biased;
                _ = broken => {}
                end = forward(&mut client, route, current, &mode) => {
                    if let Ok(Some(post)) = end {
                        discard_response(post, &mode).await;
                    }
                }
            }
            // Without a server behind it, the client is kept waiting.
            while *changes.borrow_and_update() == Mode::Silent && changes.changed().await.is_ok() {}
        });
    }
}

/// Forwards until one side closes. Returns the POST that the mode `CutAtNextPost` waits for, with the connection to the
/// server on which it has not been sent yet.
async fn forward(
    client: &mut TcpStream,
    route: Route,
    current: Mode,
    mode: &watch::Sender<Mode>,
) -> io::Result<Option<(Vec<u8>, TcpStream)>> {
    match current {
        Mode::Open if !route.delay.is_zero() || route.bandwidth.is_some() => forward_slowly(client, route).await?,
        Mode::Open | Mode::CutAtNextPost => {
            let mut server = TcpStream::connect(route.server).await?;
            let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
            let (mut responses, mut has_subscribed) = (resp::Values::default(), false);
            loop {
                tokio::select! {
                    count = client.read(&mut up) => {
                        let sent = &up[..count?];
                        if sent.starts_with(b"POST ") && *mode.borrow() == Mode::CutAtNextPost {
                            mode.send_replace(Mode::Silent);
                            return Ok(Some((sent.to_vec(), server)));
                        }
                        if sent.is_empty() || route.requests.lock().unwrap().fails(sent) {
                            return Ok(None);
                        }
                        has_subscribed |= sent.windows(SUBSCRIBE.len()).any(|word| word == SUBSCRIBE);
                        server.write_all(sent).await?;
                    }
                    count = server.read(&mut down) => {
                        let sent = &down[..count?];
                        if sent.is_empty() {
                            return Ok(None);
                        }
                        let loss = *route.loss.borrow();
                        match loss {
                            Loss::Replies if !has_subscribed => {}
                            Loss::Nothing | Loss::Replies => client.write_all(sent).await?,
                            Loss::Announcements => client.write_all(&responses.take(sent, false)).await?,
                            Loss::Everything => {}
                        }
                    }
                }
            }
        }
        Mode::Cut => {}
        Mode::Silent => std::future::pending().await,
        Mode::Unavailable => {
            client.readable().await?;
            let answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            client.write_all(answer.as_bytes()).await?;
        }
    }
    Ok(None)
}

/// Forwards both directions with a delay, which the first byte has twice, as if the connection had to be established, and
/// with the bandwidth of the route.
async fn forward_slowly(client: &mut TcpStream, route: Route) -> io::Result<()> {
    sleep(2 * route.delay).await;
    let mut server = TcpStream::connect(route.server).await?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        end = copy_slowly(from_client, to_server, |_| Instant::now() + route.delay) => end,
        end = copy_slowly(from_server, to_client, |bytes| {
            route.bandwidth.as_ref().map_or_else(Instant::now, |bandwidth| bandwidth.passed_at(bytes)) + route.delay
        }) => end,
    }
}

/// Copies in the same pieces; `arrival` is when one of so many bytes arrives that is sent now.
async fn copy_slowly(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    arrival: impl Fn(usize) -> Instant,
) -> io::Result<()> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reading = async {
        let mut buffer = vec![0; 65_536];
        loop {
            let count = from.read(&mut buffer).await?;
            if count == 0 || sender.send((arrival(count), buffer[..count].to_vec())).is_err() {
                return io::Result::Ok(());
            }
        }
    };
    let writing = async {
        while let Some((due, sent)) = receiver.recv().await {
            sleep_until(due).await;
            to.write_all(&sent).await?;
        }
        io::Result::Ok(())
    };
    tokio::select! {
        end = reading => end,
        end = writing => end,
    }
}

/// Sends the POST to the server, waits for the response, and closes every connection instead of forwarding it.
async fn discard_response((post, mut server): (Vec<u8>, TcpStream), mode: &watch::Sender<Mode>) {
    let _ = server.write_all(&post).await;
    let _ = server.read(&mut [0; 1024]).await;
    mode.send_replace(Mode::Cut);
}
