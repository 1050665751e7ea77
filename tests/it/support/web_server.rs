//! A real nginx, Caddy or HAProxy in front of nodes, with a directory of its own.

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
    /// Starts an nginx with the configuration for a port. It runs as one process, so it leaves none behind when killed.
    pub async fn start_nginx(configuration: impl Fn(u16) -> String) -> WebServer {
        WebServer::start(|directory, port| {
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

    /// Starts a Caddy with this Caddyfile, and the environment for a port. Two defaults are turned off: the listener for
    /// redirects, which needs port 80, and installing its certificate authority on this machine.
    pub async fn start_caddy(
        configuration: &str,
        environment: impl Fn(u16) -> Vec<(&'static str, String)>,
    ) -> WebServer {
        WebServer::start(|directory, port| {
            let file = directory.join("Caddyfile");
            let globals = "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n";
            fs::write(&file, format!("{globals}{configuration}")).expect("a file for Caddy");
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

    /// Starts a HAProxy with the configuration for a port, as one process.
    pub async fn start_haproxy(configuration: impl Fn(u16) -> String) -> WebServer {
        WebServer::start(|directory, port| {
            let file = directory.join("haproxy.cfg");
            fs::write(&file, configuration(port)).expect("a file for HAProxy");
            let mut command = Command::new(program("haproxy"));
            command.args(["-db", "-f"]).arg(file);
            command
        })
        .await
    }

    /// Starts the command for a free port and waits until it listens.
    async fn start(command: impl Fn(&Path, u16) -> Command) -> WebServer {
        loop {
            let (directory, port) = (tempfile::tempdir().expect("a directory"), free_port());
            let mut process = Process::spawn(&mut command(directory.path(), port));
            let listens = eventually("the proxy", async || {
                if process.try_wait().is_some() {
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
            } // the port is in use: try the next one
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Returns the directory that the server writes to.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Sends a GET and returns the status of the response.
    pub async fn get_status(&self, path: &str) -> u16 {
        self.client.get(self.url(path)).send().await.expect("an answer").status().as_u16()
    }

    /// Publishes a message, which must be accepted, and returns its id.
    ///
    /// After a 502 it is unknown whether the message was stored, since no proxy here retries a POST at another node. It
    /// is repeated with its key, as the page does.
    pub async fn post(&self, room: &str, message: &str) -> String {
        let form = [("message", message), ("key", &message.replace(' ', "-"))];
        eventually("an answer other than 502", async || {
            let request = self.client.post(self.url(&format!("/{room}"))).form(&form);
            let answer = Answer::read(request.send().await.expect("an answer")).await;
            (answer.status != 502).then(|| answer.id())
        })
        .await
    }

    /// Subscribes to a room through the proxy, with a cursor if there is one, and waits for the status.
    pub async fn subscribe(&self, room: &str, cursor: Option<&str>) -> ProxiedStream {
        let mut request = self.client.get(self.url(&format!("/subscribe/{room}")));
        if let Some(cursor) = cursor {
            request = request.header("Last-Event-ID", cursor);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        let mut stream = ProxiedStream { response, text: String::new() };
        stream.read_until("event: status").await;
        stream
    }

    /// Returns the memory of its process in KiB.
    pub fn memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid())).expect("its status");
        let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("its memory");
        anonymous.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Returns everything the server has written to stdout and stderr.
    pub fn log(&self) -> String {
        self.process.output()
    }
}

/// An open stream through a proxy, with the text received so far.
pub struct ProxiedStream {
    response: Response,
    text: String,
}

impl ProxiedStream {
    /// Reads on until the text contains `part`, and returns all text since the beginning.
    pub async fn read_until(&mut self, part: &str) -> &str {
        while !self.text.contains(part) {
            let chunk = within(DEADLINE, part, self.response.chunk()).await;
            let chunk = chunk.expect("the stream is not broken").expect("the stream does not end");
            self.text.push_str(std::str::from_utf8(&chunk).expect("a chunk of complete characters"));
        }
        &self.text
    }
}

/// Returns the path of a program. Debian installs nginx and HAProxy in a directory that is not in every `PATH`.
fn program(name: &str) -> PathBuf {
    let in_sbin = Path::new("/usr/sbin").join(name);
    if in_sbin.exists() { in_sbin } else { name.into() }
}
