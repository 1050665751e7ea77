//! An app that uses a hub: a server of pages that vouches for their users at a node.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use reqwest::Client;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// The app's credentials.
pub const KEY: &str = "app";
pub const SECRET: &str = "a-secret-of-the-tests";

/// The environment of a node that knows the app.
pub const KNOWS_APP: [(&str, &str); 2] = [("ESHQ_KEY", KEY), ("ESHQ_SECRET", SECRET)];

/// An app that runs until its test ends.
pub struct App {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<SocketRequest>>>,
}

/// A request of a page for a socket.
#[derive(Clone, Debug)]
pub struct SocketRequest {
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl App {
    /// Starts an app with these files, by path, that asks this node for sockets.
    pub async fn start(files: Vec<(&'static str, String)>, node: SocketAddr) -> App {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::<Mutex<Vec<SocketRequest>>>::default();
        let (files, seen) = (Arc::new(files), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (files, seen) = (Arc::clone(&files), Arc::clone(&seen));
                tokio::spawn(async move { answer(client, &files, node, &seen).await });
            }
        });
        App { address, requests }
    }

    /// Returns the address of a file under a name that is no localhost.
    pub fn url(&self, path: &str) -> String {
        format!("http://app.test:{}{path}", self.address.port())
    }

    /// Returns the requests for sockets so far.
    pub fn requests(&self) -> Vec<SocketRequest> {
        self.requests.lock().unwrap().clone()
    }
}

/// Answers one request.
async fn answer(
    client: TcpStream,
    files: &[(&str, String)],
    node: SocketAddr,
    seen: &Mutex<Vec<SocketRequest>>,
) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let (path, request) = read_request(&mut client).await?;
    let (status, kind, body) = match files.iter().find(|(known, _)| *known == path) {
        Some((_, text)) => {
            ("200 OK", if path.ends_with(".js") { "text/javascript" } else { "text/html" }, text.clone())
        }
        None if path == "/eshq/socket" => {
            seen.lock().unwrap().push(request.clone());
            ("200 OK", "application/json", socket(node, request.body).await)
        }
        None => ("404 Not Found", "text/plain", String::new()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {length}\r\n\
         Set-Cookie: session=ada; Path=/\r\nConnection: close\r\n\r\n"
    );
    client.write_all((head + &body).as_bytes()).await?;
    client.shutdown().await
}

/// Asks the node for a socket with the fields of a form.
async fn socket(node: SocketAddr, form: String) -> String {
    let client = Client::builder().no_proxy().build().expect("a client");
    let request = client
        .post(format!("http://{node}/socket"))
        .basic_auth(KEY, Some(SECRET))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form);
    request.send().await.expect("an answer").text().await.expect("a text")
}

/// Reads a request, and returns its path with it.
async fn read_request(client: &mut BufReader<TcpStream>) -> io::Result<(String, SocketRequest)> {
    let (mut first, mut headers) = (String::new(), HashMap::new());
    client.read_line(&mut first).await?;
    loop {
        let mut line = String::new();
        client.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
    let mut body = vec![0; length];
    client.read_exact(&mut body).await?;
    let path = first.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
    Ok((path, SocketRequest { headers, body: String::from_utf8_lossy(&body).into_owned() }))
}
