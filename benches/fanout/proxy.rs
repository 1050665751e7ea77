//! The proxies of `deploy/`, each with its configuration there, of which only the addresses are changed.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use tempfile::TempDir;

use crate::{
    Failure,
    hubs::{
        kind::on_path,
        process::{Program, ends_with_us, free_address},
    },
};

const NGINX: &str = include_str!("../../deploy/nginx.conf");
const HAPROXY: &str = include_str!("../../deploy/haproxy.cfg");
const CADDY: &str = include_str!("../../deploy/Caddyfile");

/// The addresses of the nodes in the configurations.
const NODES: [&str; 2] = ["127.0.0.1:8081", "127.0.0.1:8082"];

/// What goes before the Caddyfile: Caddy is to listen on the loopback interface alone, and to install nothing.
const CADDY_OPTIONS: &str = "{\n\tadmin off\n\tdefault_bind 127.0.0.1\n\tskip_install_trust\n}\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    Nginx,
    HaProxy,
    Caddy,
}

pub const PROXY_KINDS: [ProxyKind; 3] = [ProxyKind::Nginx, ProxyKind::HaProxy, ProxyKind::Caddy];

impl ProxyKind {
    pub fn name(self) -> &'static str {
        match self {
            ProxyKind::Nginx => "nginx",
            ProxyKind::HaProxy => "HAProxy",
            ProxyKind::Caddy => "Caddy",
        }
    }

    fn program(self) -> &'static str {
        match self {
            ProxyKind::Nginx => "nginx",
            ProxyKind::HaProxy => "haproxy",
            ProxyKind::Caddy => "caddy",
        }
    }

    pub fn is_installed(self) -> bool {
        on_path(self.program()).is_some()
    }
}

/// A running proxy in front of two nodes. It ends when it is dropped.
pub struct Proxy {
    pub program: Program,
    pub address: SocketAddr,
    _folder: TempDir,
}

impl Proxy {
    pub fn start(kind: ProxyKind, nodes: [SocketAddr; 2]) -> Result<Self, Failure> {
        let (address, folder) = (free_address(), tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?);
        let mut command = command(kind, address, nodes, folder.path())?;
        let program = Program::start_with_log(&mut command, address, &folder.path().join("log"))?;
        Ok(Self { program, address, _folder: folder })
    }
}

fn command(kind: ProxyKind, address: SocketAddr, nodes: [SocketAddr; 2], folder: &Path) -> Result<Command, Failure> {
    let program = on_path(kind.program()).ok_or_else(|| format!("no {}", kind.program()))?;
    let file = folder.join("configuration");
    Ok(match kind {
        ProxyKind::Nginx => {
            let scratch: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|part| format!("  {part}_temp_path {}/{part};\n", folder.display()))
                .concat();
            let text = replace(&with_nodes(NGINX, nodes), "listen 80;", &format!("listen {address};"))?;
            fs::write(&file, replace(&text, "http {\n", &format!("http {{\n{scratch}"))?)?;
            let mut command = ends_with_us(program, "TERM");
            command.arg("-e").arg(folder.join("error.log")).arg("-p").arg(folder).arg("-c").arg(file);
            // Its workers could not read the folder as another user.
            command.arg("-g").arg(format!("daemon off; user root; pid {}/pid;", folder.display()));
            command
        }
        ProxyKind::HaProxy => {
            let text = with_nodes(HAPROXY, nodes);
            fs::write(&file, replace(&text, "bind :80\n", &format!("bind {address}\n"))?)?;
            let mut command = ends_with_us(program, "KILL");
            command.args(["-db", "-f"]).arg(file);
            command
        }
        ProxyKind::Caddy => {
            fs::write(&file, format!("{CADDY_OPTIONS}{CADDY}"))?;
            let mut command = ends_with_us(program, "KILL");
            command
                .env_clear()
                .envs(["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"].map(|name| (name, folder)))
                .env("SITE", format!(":{}", address.port()))
                .env("NODES", nodes.map(|node| node.to_string()).join(" "))
                .args(["run", "--adapter", "caddyfile", "--config"])
                .arg(file);
            command
        }
    })
}

fn with_nodes(text: &str, nodes: [SocketAddr; 2]) -> String {
    let [first, second] = nodes.map(|node| node.to_string());
    text.replace(NODES[0], &first).replace(NODES[1], &second)
}

/// Replaces the only occurrence of a part.
fn replace(text: &str, part: &str, with: &str) -> Result<String, Failure> {
    match text.matches(part).count() {
        1 => Ok(text.replace(part, with)),
        count => Err(format!("{count} times {part:?} in the configuration of a proxy").into()),
    }
}
