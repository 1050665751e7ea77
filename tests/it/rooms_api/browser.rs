//! Pages of the chat article and of the tutorial, as they were, in browsers that outlive nodes.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Browser, BrowserKind, Bus, Node, WebServer, free_port, in_both_browsers, on_every_bus, repository::root, wait_for,
};

on_every_bus!(old_page_shows_each_line_at_once_and_once);

in_both_browsers!(
    old_page_misses_nothing_when_its_nodes_are_killed,
    snippets_of_the_tutorial_go_on_when_their_node_is_killed,
);

/// What `npm ci` installs for the article's page.
const ANGULAR: &str = "node_modules/angular/angular.js";

const FAST: [(&str, &str); 2] = [("HEARTBEAT", "1"), ("ROOMS", "lobby,garden")];

/// A site as it was set up at the time: an nginx with the pages and, behind it, two nodes, or one that stands for both.
struct Site {
    nodes: Vec<Node>,
    addresses: [String; 2],
    nginx: WebServer,
    folder: TempDir,
}

impl Site {
    /// Starts a site with the article's page. Returns `None`, and says so, if there is no AngularJS.
    async fn with_angular(bus: &Bus) -> Option<Site> {
        let site = Site::start(bus).await;
        let copied = fs::copy(root().join(ANGULAR), site.folder.path().join("angular.js"));
        if copied.is_err() {
            eprintln!("NOT TESTED: the chat article's page. npm ci installs its AngularJS.");
        }
        copied.is_ok().then_some(site)
    }

    async fn start(bus: &Bus) -> Site {
        let folder = TempDir::new().expect("a folder");
        let pages = [
            ("chat.html", include_str!("browser/chat.html")),
            ("tutorial.html", include_str!("browser/tutorial.html")),
        ];
        for (name, page) in pages {
            fs::write(folder.path().join(name), page).expect("a file");
        }
        let addresses = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let nginx = WebServer::start_nginx(|port| configuration(port, &addresses, &folder)).await;
        let mut site = Site { nodes: Vec::new(), addresses, nginx, folder };
        site.start_node(bus, 0).await;
        if bus.store().is_some() {
            site.start_node(bus, 1).await;
        }
        site
    }

    async fn start_node(&mut self, bus: &Bus, number: usize) {
        let node = bus.node(&[&[("BIND", self.addresses[number].as_str())], &FAST[..]].concat()).await;
        if number < self.nodes.len() {
            self.nodes[number] = node;
        } else {
            self.nodes.push(node);
        }
    }

    /// Opens the article's page and waits until its stream is open and its chats are there.
    async fn open_chat(&self, browser: &Browser) {
        browser.open(&self.nginx.url("/chat.html")).await;
        entered(browser).await;
    }
}

/// Returns the configuration of the proxy: the second node is for when the first one is gone.
fn configuration(port: u16, nodes: &[String; 2], folder: &TempDir) -> String {
    let root = folder.path().display();
    format!(
        "events {{}}
http {{
  types {{ text/html html; text/javascript js; }}
  upstream nodes {{ server {} max_fails=0; server {} max_fails=0 backup; }}
  server {{
    listen 127.0.0.1:{port};
    root {root};
    location ~ ^/(rooms|users|api)(/|$) {{
      proxy_pass http://nodes;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_set_header Host $http_host;
    }}
  }}
}}
",
        nodes[0], nodes[1]
    )
}

async fn entered(browser: &Browser) {
    browser.until("return window.isReady && window.source.readyState === 1").await;
}

/// Returns the lines that the page shows, those of its own marked with a `*`.
async fn lines(browser: &Browser) -> Vec<String> {
    const SHOWN: &str = "return [...document.querySelectorAll('li')].map((line) => (line.className.includes('mine') ? '*' : '') + line.textContent)";
    serde_json::from_value(browser.run(SHOWN).await).expect("lines")
}

/// Waits until the last line is this one, and checks all of them.
async fn assert_lines(browser: &Browser, expected: &[&str]) {
    let last = expected.last().expect("a line");
    let what = format!("the line {last:?}");
    let shown = wait_for(&what, async || {
        Some(lines(browser).await).filter(|lines| lines.last().is_some_and(|line| line == last))
    });
    assert_eq!(shown.await, expected);
}

/// Types a line, and checks that it is shown before anything else can happen.
async fn say(browser: &Browser, text: &str) {
    browser.type_into("input", text).await;
    let shown = browser
        .run("document.querySelector('button').click(); return [...document.querySelectorAll('li')].pop().textContent")
        .await;
    assert_eq!(shown, Value::from(text), "shown at once");
}

/// Posts a chat directly to a node.
async fn post(node: &Node, text: &str) {
    node.post("lobby", "mason", text).await;
}

async fn old_page_shows_each_line_at_once_and_once(bus: Bus) {
    let Some(site) = Site::with_angular(&bus).await else {
        return;
    };
    let (ada, bob) = tokio::join!(Browser::start(), Browser::start());
    site.open_chat(&ada).await;
    site.open_chat(&bob).await;
    say(&ada, "<b>hi</b> & 'hello'").await;
    assert_lines(&bob, &["<b>hi</b> & 'hello'"]).await;
    say(&bob, "hello ada").await;
    assert_lines(&ada, &["*<b>hi</b> & 'hello'", "hello ada"]).await;
    assert_lines(&bob, &["<b>hi</b> & 'hello'", "*hello ada"]).await;
    ada.reload().await;
    entered(&ada).await;
    assert_lines(&ada, &["*<b>hi</b> & 'hello'", "hello ada"]).await;
    post(&site.nodes[0], "from a node").await;
    assert_lines(&ada, &["*<b>hi</b> & 'hello'", "hello ada", "from a node"]).await;
    assert_lines(&bob, &["<b>hi</b> & 'hello'", "*hello ada", "from a node"]).await;
    assert_eq!(site.nodes[0].stored("lobby").await.len(), 3);
}

async fn old_page_misses_nothing_when_its_nodes_are_killed(kind: BrowserKind) {
    let bus = Bus::redis().await;
    let Some(mut site) = Site::with_angular(&bus).await else {
        return;
    };
    let browser = kind.start().await;
    site.open_chat(&browser).await;
    say(&browser, "one").await;
    wait_for("the line in the log", async || site.nodes[1].stored("lobby").await.pop()).await;
    site.nodes[0].kill();
    post(&site.nodes[1], "two").await;
    post(&site.nodes[1], "three").await;
    assert_lines(&browser, &["*one", "two", "three"]).await;
    say(&browser, "four").await;
    wait_for("the line in the log", async || site.nodes[1].stored("lobby").await.get(3).cloned()).await;
    site.start_node(&bus, 0).await;
    post(&site.nodes[0], "five").await;
    site.nodes[1].kill();
    post(&site.nodes[0], "six").await;
    assert_lines(&browser, &["*one", "two", "three", "*four", "five", "six"]).await;
    site.open_chat(&browser).await;
    assert_lines(&browser, &["*one", "two", "three", "*four", "five", "six"]).await;
}

async fn snippets_of_the_tutorial_go_on_when_their_node_is_killed(kind: BrowserKind) {
    let bus = Bus::redis().await;
    let mut site = Site::start(&bus).await;
    let browser = kind.start().await;
    browser.open(&site.nginx.url("/tutorial.html")).await;
    let items = async |list: &str| {
        let script = format!("return [...document.querySelectorAll('#{list} li')].map((line) => line.textContent)");
        serde_json::from_value::<Vec<String>>(browser.run(&script).await).expect("lines")
    };
    let at_least = async |list: &str, count: usize| {
        let what = format!("{count} {list}");
        wait_for(&what, async || Some(items(list).await).filter(|items| items.len() >= count)).await
    };
    browser.until("return events.readyState === 1 && heartbeat.readyState === 1").await;
    post(&site.nodes[0], "one").await;
    assert_eq!(at_least("events", 1).await, ["one"]);
    let before = at_least("heartbeats", 2).await.len();
    site.nodes[0].kill();
    post(&site.nodes[1], "two").await;
    post(&site.nodes[1], "three").await;
    assert_eq!(at_least("events", 3).await, ["one", "two", "three"]);
    let heartbeats = at_least("heartbeats", before + 3).await;
    assert!(heartbeats.iter().all(|heartbeat| heartbeat == "OK"), "{heartbeats:?}");
    site.start_node(&bus, 0).await;
}
