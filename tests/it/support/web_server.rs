//! A real nginx, Caddy or HAProxy in front of nodes, with a directory that goes with it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use reqwest::{Client, Response, redirect};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::{Answer, DEADLINE, eventually, free_port, process::Process, within};

pub struct WebServer {
    port: u16,
    directory: TempDir,
    process: Process,
    client: Client,
}

impl WebServer {
    /// An nginx with this configuration, where `PORT` stands for its port. It runs in one process, which cannot leave
    /// another one behind.
    pub async fn nginx(configuration: impl Fn(u16) -> String) -> WebServer {
        WebServer::listening(|directory, port| {
            let scratch: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|part| format!("  {part}_temp_path {}/{part};\n", directory.display()))
                .concat();
            let text = configuration(port).replacen("http {\n", &format!("http {{\n{scratch}"), 1);
            let file = directory.join("nginx.conf");
            fs::write(&file, text).expect("a file for nginx");
            let globals = format!("daemon off; master_process off; pid {}/pid;", directory.display());
            let mut command = Command::new(program("nginx"));
            command.arg("-p").arg(directory).arg("-c").arg(file).arg("-g").arg(globals);
            command
        })
        .await
    }

    /// A Caddy with this Caddyfile and environment.
    pub async fn caddy(configuration: &str, environment: impl Fn(u16) -> Vec<(&'static str, String)>) -> WebServer {
        WebServer::listening(|directory, port| {
            let file = directory.join("Caddyfile");
            fs::write(&file, configuration).expect("a file for Caddy");
            let mut command = Command::new(program("caddy"));
            command
                .env_clear()
                .env("HOME", directory)
                .env("XDG_DATA_HOME", directory)
                .envs(environment(port))
                .args(["run", "--adapter", "caddyfile", "--config"])
                .arg(file);
            command
        })
        .await
    }

    /// A HAProxy with this configuration. It runs in one process, too.
    pub async fn haproxy(configuration: impl Fn(u16) -> String) -> WebServer {
        WebServer::listening(|directory, port| {
            let file = directory.join("haproxy.cfg");
            fs::write(&file, configuration(port)).expect("a file for HAProxy");
            let mut command = Command::new(program("haproxy"));
            command.args(["-db", "-f"]).arg(file);
            command
        })
        .await
    }

    async fn listening(command: impl Fn(&Path, u16) -> Command) -> WebServer {
        loop {
            let (directory, port) = (tempfile::tempdir().expect("a directory"), free_port());
            let mut process = Process::spawn(&mut command(directory.path(), port));
            let listens = eventually("the proxy", async || {
                if process.ended().is_some() {
                    let output = process.output();
                    assert!(output.contains("in use") || output.contains("cannot bind"), "the proxy ended:\n{output}");
                    return Some(false);
                }
                TcpStream::connect(("127.0.0.1", port)).await.ok().map(|_| true)
            })
            .await;
            let client = Client::builder().redirect(redirect::Policy::none()).timeout(DEADLINE).no_proxy().build();
            if listens {
                return WebServer { port, directory, process, client: client.expect("a client") };
            } // the port was taken: try the next
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The directory that holds what the server keeps.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The status of the answer to a GET.
    pub async fn status(&self, path: &str) -> u16 {
        self.client.get(self.url(path)).send().await.expect("an answer").status().as_u16()
    }

    /// The id of a message that must be taken. A 502 leaves open whether it was: no proxy here sends a post to a second
    /// node, so it is repeated with its key, as the page does.
    pub async fn post(&self, room: &str, message: &str) -> String {
        let form = [("message", message), ("key", &message.replace(' ', "-"))];
        eventually("an answer that tells", async || {
            let request = self.client.post(self.url(&format!("/{room}"))).form(&form);
            let answer = Answer::read(request.send().await.expect("an answer")).await;
            (answer.status != 502).then(|| answer.id())
        })
        .await
    }

    /// A reader of a room; with an id, it resumes there.
    pub async fn reader(&self, room: &str, id: Option<&str>) -> Reader {
        let request = self.client.get(self.url(&format!("/subscribe/{room}")));
        let request = id.into_iter().fold(request, |request, id| request.header("Last-Event-ID", id));
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        let mut reader = Reader { response, text: String::new() };
        reader.until("event: status").await;
        reader
    }

    /// Everything it wrote.
    pub fn log(&self) -> String {
        self.process.output()
    }
}

/// An open stream that came through: what it said so far.
pub struct Reader {
    response: Response,
    text: String,
}

impl Reader {
    /// Reads on until this was said; gives everything since the beginning.
    pub async fn until(&mut self, part: &str) -> &str {
        while !self.text.contains(part) {
            let chunk = within(DEADLINE, part, self.response.chunk()).await;
            let chunk = chunk.expect("the stream is not broken").expect("the stream goes on");
            self.text.push_str(std::str::from_utf8(&chunk).expect("a chunk of whole characters"));
        }
        &self.text
    }
}

/// Debian keeps nginx and HAProxy where not everybody looks.
fn program(name: &str) -> PathBuf {
    let usual = Path::new("/usr/sbin").join(name);
    if usual.exists() { usual } else { name.into() }
}
