//! The recipes of examples/ (docs/recipes.md), each started as its README says, with the packages that it names, against
//! two nodes of which one is killed.

mod in_browser; // pages; its name puts it into the lane of the browsers
mod installation;
mod programs;

use std::{path::PathBuf, process::Command};

use tokio::net::TcpStream;

use crate::support::{LoadBalancer, Node, Process, Redis, eventually, free_port, live_streams_of, repository::text};

/// A recipe whose packages are installed.
pub struct Recipe {
    folder: PathBuf,
    /// The commands of its README.
    lines: Vec<String>,
}

impl Recipe {
    pub async fn new(name: &str) -> Recipe {
        let readme = text(&format!("examples/{name}/README.md"));
        let block = readme.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("commands");
        // A comment stands after two spaces at least.
        let lines: Vec<String> = block
            .lines()
            .map(|line| line.split("  #").next().unwrap_or_default().trim_end().to_owned())
            .collect();
        let folder = installation::install(name, &lines).await;
        Recipe { folder, lines }
    }

    /// Returns the variables with which the README starts the chat.
    pub fn chat_environment(&self) -> Vec<(&str, &str)> {
        let line = self.lines.iter().find_map(|line| line.strip_suffix("tiny-chat &")).expect("a chat");
        line.split_whitespace().filter_map(|word| word.split_once('=')).collect()
    }

    /// Returns a command of the README that contains these words, to be run for a chat at this address.
    pub fn command(&self, words: &str, chat: &str) -> Command {
        let line = self.lines.iter().find(|line| line.contains(words)).unwrap_or_else(|| panic!("no {words}"));
        let mut command = Command::new("bash");
        // Without a pipe the program takes the place of the shell, so that killing the one ends the other.
        let script = if line.contains(" | ") { line.clone() } else { format!("exec env {line}") };
        command.args(["-c", &script]).current_dir(&self.folder);
        command.env("CHAT", chat).env("ESHQ_URL", chat);
        command
    }

    /// Starts the server of the README, which its last command is, for a chat at this address.
    pub async fn serve(&self, chat: &str) -> Served {
        let port = free_port();
        let last = self.lines.last().expect("a command");
        let mut process = Process::spawn(self.command(last, chat).env("PORT", port.to_string()));
        eventually("the server of the recipe", async || {
            assert!(process.try_wait().is_none(), "the server ended:\n{}", process.output());
            TcpStream::connect(("localhost", port)).await.ok()
        })
        .await;
        Served { _process: process, url: format!("http://localhost:{port}") }
    }
}

/// A recipe's server that runs until its test ends.
pub struct Served {
    _process: Process,
    pub url: String,
}

/// Two nodes with one Redis, behind one address.
pub struct Chat {
    _redis: Redis,
    nodes: Vec<Node>,
    balancer: LoadBalancer,
}

impl Chat {
    pub async fn start(environment: &[(&str, &str)]) -> Chat {
        let redis = Redis::start().await;
        let nodes = vec![Node::on(&redis, environment).await, Node::on(&redis, environment).await];
        let balancer = LoadBalancer::start(nodes.iter().map(Node::address).collect()).await;
        Chat { _redis: redis, nodes, balancer }
    }

    pub fn url(&self) -> String {
        self.balancer.url("")
    }

    /// Returns a node that lives.
    pub fn node(&self) -> &Node {
        &self.nodes[0]
    }

    /// Waits until so many streams are live at all nodes.
    pub async fn wait_for_live_streams(&self, count: usize) {
        let are_live = async || (live_streams_of(&self.nodes).await as usize == count).then_some(());
        eventually(&format!("{count} live streams"), are_live).await;
    }

    /// Kills a node that has a stream.
    pub async fn kill_a_node_with_streams(&mut self) {
        let index = eventually("a node with a stream", async || {
            for (index, node) in self.nodes.iter().enumerate() {
                if node.open_streams().await > 0.0 {
                    return Some(index);
                }
            }
            None
        })
        .await;
        self.nodes.remove(index).kill();
    }
}
