//! The clients that are run: how each is started, and what is expected of it.

use std::{path::Path, process::Command};

use super::installation;
use crate::support::repository::{read, root, text};

/// How a library is used.
#[derive(Clone, Copy, PartialEq)]
pub enum Usage {
    /// As its documentation shows it.
    AsDocumented,
    /// With the line that docs/clients.md advises.
    Mended,
    /// As its requests and its parser, without the library.
    Replayed,
}

/// What a client is expected to do when its stream is cut or refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Promise {
    /// Each message arrives once, whatever happens.
    Keeps,
    /// Everything arrives up to the first cut, and nothing after it: the client does not come back.
    Ends,
    /// The client comes back without its cursor: messages are missing, but none arrives twice.
    Loses,
}

/// What runs a program of `tests/clients`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Runtime {
    Node,
    /// Python with packages of PyPI.
    Python,
    /// Python without packages.
    BarePython,
    Rust,
    Curl,
    Wget,
    /// A page in Chromium.
    Chromium,
}

pub struct Client {
    /// The name of the package.
    pub package: &'static str,
    pub usage: Usage,
    pub promise: Promise,
    pub runtime: Runtime,
    /// The program, and its arguments after the address.
    program: &'static [&'static str],
}

impl Client {
    /// Returns the package with its version and registry, and how it is used.
    pub fn title(&self) -> String {
        let usage = match self.usage {
            Usage::AsDocumented => "",
            Usage::Mended => ", mended",
            Usage::Replayed => ", replayed",
        };
        format!("{} ({}{usage})", self.name(), self.source())
    }

    /// Returns the package with its version.
    pub fn name(&self) -> String {
        format!("{} {}", self.package.trim_end_matches("-3"), installation::version(self))
            .trim_end()
            .to_owned()
    }

    /// Returns where the package comes from.
    pub fn source(&self) -> &'static str {
        match self.runtime {
            Runtime::Chromium if self.package == "Chromium" => "browser",
            Runtime::Node | Runtime::Chromium => "npm",
            Runtime::Python => "PyPI",
            Runtime::BarePython => "RubyGems",
            Runtime::Rust => "crates.io",
            Runtime::Curl | Runtime::Wget => "shell",
        }
    }

    /// Returns the command that reads the stream at this address.
    pub fn command(&self, url: &str) -> Command {
        let [program, arguments @ ..] = self.program else {
            panic!("{} has no program", self.package)
        };
        let file = |folder: &str| root().join("tests/clients").join(folder).join(program);
        let mut command = match self.runtime {
            Runtime::Node => run("node", &installation::folder("npm").join(program)),
            Runtime::Python | Runtime::BarePython => run("python3", &file("python")),
            Runtime::Rust => Command::new(installation::folder("rust").join("debug").join(program)),
            Runtime::Curl | Runtime::Wget => run("bash", &file("shell")),
            Runtime::Chromium => panic!("{} runs on a page", self.package),
        };
        command
            .arg(url)
            .args(arguments)
            .env("PYTHONPATH", installation::folder("python"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Returns the script that reads the stream at this address, for a page of its origin.
    pub fn script(&self, url: &str) -> String {
        let [program, library @ ..] = self.program else {
            panic!("{} has no program", self.package)
        };
        let library: String = library
            .iter()
            .map(|file| read(&installation::folder("npm").join("node_modules").join(file)).text)
            .collect();
        let program = text(&format!("tests/clients/browser/{program}"));
        // This library puts itself where it is told to; `this` of a script of WebDriver is the window.
        format!("window._eventSourceImportPrefix = 'Polyfill';\n{library}\nconst url = '{url}';\n{program}")
    }
}

fn run(interpreter: &str, file: &Path) -> Command {
    let mut command = Command::new(interpreter);
    command.arg(file);
    command
}

/// The library of eventsource-polyfill, among the packages of npm.
const POLYFILL: &str = "eventsource-polyfill/dist/eventsource.js";

/// Returns all clients, in the order of the table.
pub fn catalogue() -> Vec<Client> {
    use Promise::{Ends, Keeps, Loses};
    use Runtime::{BarePython, Chromium, Curl, Node, Python, Rust, Wget};
    use Usage::{AsDocumented, Mended, Replayed};

    let client = |package, usage, promise, runtime, program| Client { package, usage, promise, runtime, program };
    vec![
        client("eventsource", AsDocumented, Keeps, Node, &["eventsource.js", "eventsource"]),
        client("eventsource-3", AsDocumented, Keeps, Node, &["eventsource.js", "eventsource-3"]),
        client("eventsource-parser", Mended, Keeps, Node, &["eventsource-parser.js"]),
        client("@microsoft/fetch-event-source", AsDocumented, Keeps, Node, &["fetch-event-source.js"]),
        client("@microsoft/fetch-event-source", Mended, Keeps, Node, &["fetch-event-source-mended.js"]),
        client("event-source-plus", AsDocumented, Keeps, Node, &["event-source-plus.js"]),
        client("eventsource-client", AsDocumented, Keeps, Node, &["eventsource-client.js"]),
        client("launchdarkly-eventsource", AsDocumented, Keeps, Node, &["launchdarkly-eventsource.js"]),
        client("extended-eventsource", AsDocumented, Keeps, Node, &["extended-eventsource.js"]),
        client("event-source-polyfill", AsDocumented, Keeps, Node, &["event-source-polyfill.js"]),
        client("Chromium", AsDocumented, Keeps, Chromium, &["eventsource.js"]),
        client("eventsource-polyfill", AsDocumented, Ends, Chromium, &["eventsource-polyfill.js", POLYFILL]),
        client("eventsource-polyfill", Mended, Keeps, Chromium, &["eventsource-polyfill-mended.js", POLYFILL]),
        client("sseclient-py", AsDocumented, Ends, Python, &["sseclient_py_readme.py"]),
        client("sseclient-py", Mended, Keeps, Python, &["sseclient_py_mended.py"]),
        client("httpx-sse", AsDocumented, Ends, Python, &["httpx_sse_readme.py"]),
        client("httpx-sse", Mended, Keeps, Python, &["httpx_sse_mended.py"]),
        client("aiohttp-sse-client", AsDocumented, Ends, Python, &["aiohttp_sse_client_readme.py"]),
        client("aiohttp-sse-client", Mended, Keeps, Python, &["aiohttp_sse_client_mended.py"]),
        client("requests", AsDocumented, Ends, Python, &["requests_lines_readme.py"]),
        client("requests", Mended, Keeps, Python, &["requests_lines_mended.py"]),
        client("requests-sse", AsDocumented, Keeps, Python, &["requests_sse_readme.py"]),
        client("launchdarkly-eventsource", AsDocumented, Ends, Python, &["launchdarkly_eventsource_readme.py"]),
        client("launchdarkly-eventsource", Mended, Keeps, Python, &["launchdarkly_eventsource_mended.py"]),
        client("eventsource-client", AsDocumented, Ends, Rust, &["eventsource-client"]),
        client("eventsource-client", Mended, Keeps, Rust, &["eventsource-client-mended"]),
        client("reqwest-eventsource", AsDocumented, Ends, Rust, &["reqwest-eventsource"]),
        client("reqwest-eventsource", Mended, Keeps, Rust, &["reqwest-eventsource-mended"]),
        client("em-eventsource 0.1.0", Replayed, Keeps, BarePython, &["em_eventsource.py", "0.1.0"]),
        client("em-eventsource 0.3.2", Replayed, Keeps, BarePython, &["em_eventsource.py", "0.3.2"]),
        client("curl", Mended, Keeps, Curl, &["curl.sh"]),
        client("wget", AsDocumented, Loses, Wget, &["wget.sh"]),
        client("wget", Mended, Keeps, Wget, &["wget-mended.sh"]),
    ]
}
