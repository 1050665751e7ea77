//! Pages of another site, on plain HTTP under a name that is no localhost, in both browsers: with `es.js`, and with a
//! copy of the original library.

use reqwest::Method;
use serde_json::{Value, json};

use super::app::{App, KEY, KNOWS_APP, SECRET};
use crate::support::{Browser, BrowserKind, Node, Redis, Tab, free_port, in_both_browsers, wait_for};

in_both_browsers! {
    pages_of_other_sites_lose_nothing_and_repeat_nothing,
}

async fn pages_of_other_sites_lose_nothing_and_repeat_nothing(kind: BrowserKind) {
    let browser = kind.start_with_hosts(&["app.test", "hub.test"]).await;
    tokio::join!(page_with_es_js(&browser), page_with_the_original_library(&browser));
}

/// A hub of two nodes: pages read from the first, which is killed, and the app talks to the second.
struct Hub {
    redis: Redis,
    bind: String,
    node: Node,
    other: Node,
}

impl Hub {
    async fn start() -> Hub {
        let redis = Redis::start().await;
        let bind = format!("127.0.0.1:{}", free_port());
        let node = start_node(&redis, &bind).await;
        let other = Node::on(&redis, &KNOWS_APP).await;
        Hub { redis, bind, node, other }
    }

    /// Returns the origin of the first node as pages spell it.
    fn origin(&self) -> String {
        format!("http://hub.test:{}", self.node.address().port())
    }

    /// Sends an event, untyped if `kind` is empty. Returns what a page keeps of it, but for its id.
    async fn send(&self, channel: &str, kind: &str, data: &str) -> (String, String) {
        let fields = [("channel", channel), ("type", kind), ("data", data)];
        let request = self.other.request(Method::POST, "/event").basic_auth(KEY, Some(SECRET)).form(&fields);
        self.other.send(request).await.expect(200);
        (if kind.is_empty() { "message" } else { kind }.to_owned(), data.to_owned())
    }

    async fn restart_node(&mut self) {
        self.node = start_node(&self.redis, &self.bind).await;
    }
}

async fn start_node(redis: &Redis, bind: &str) -> Node {
    Node::on(redis, &[&KNOWS_APP[..], &[("BIND", bind)]].concat()).await
}

/// A page that records what its library hands to it.
struct Page<'b> {
    browser: &'b Browser,
    tab: Tab,
    /// What was sent to its channel.
    sent: Vec<(String, String)>,
}

impl Page<'_> {
    async fn open<'b>(browser: &'b Browser, url: &str) -> Page<'b> {
        let tab = browser.open_tab(url).await;
        let page = Page { browser, tab, sent: Vec::new() };
        page.opened_more_often_than(0).await;
        page
    }

    async fn run(&self, script: &str) -> Value {
        self.browser.run_in(&self.tab, script).await
    }

    async fn opened(&self) -> u64 {
        self.run("return opened").await.as_u64().expect("a number")
    }

    /// Waits until its stream was opened once more.
    async fn opened_more_often_than(&self, before: u64) {
        wait_for("an open stream", async || (self.opened().await > before).then_some(())).await;
    }

    /// Sends an event as the page, and waits for it.
    async fn send_from_page(&mut self, text: &str) {
        self.run(&format!("es.send({})", json!(text))).await;
        self.sent.push(("message".to_owned(), text.to_owned()));
        self.has_all_that_was_sent().await;
    }

    /// Waits until what was sent is there, each event once and in order.
    async fn has_all_that_was_sent(&self) {
        let seen = wait_for(&format!("the last of {:?}", self.sent), async || {
            let seen: Vec<[String; 3]> = serde_json::from_value(self.run("return seen").await).expect("events");
            (seen.len() >= self.sent.len()).then_some(seen)
        })
        .await;
        let events: Vec<_> = seen.iter().map(|[kind, data, _]| (kind.clone(), data.clone())).collect();
        assert_eq!(events, self.sent);
        assert!(seen.iter().all(|[_, _, id]| !id.is_empty()), "{seen:?}");
    }
}

/// The channel of the page with `es.js`, whose name has to be percent-encoded.
const CHANNEL: &str = "a b&c";

async fn page_with_es_js(browser: &Browser) {
    let mut hub = Hub::start().await;
    let page = include_str!("page.html").replace("HUB", &hub.origin());
    let app = App::start(vec![("/page", page)], hub.other.address()).await;
    let mut page = Page::open(browser, &app.url("/page")).await;
    assert_eq!(page.run("return isSecureContext").await, false);
    page.sent.push(hub.send(CHANNEL, "", "two\nlines <b>").await);
    page.sent.push(hub.send(CHANNEL, "post:created", "typed").await);
    hub.send(CHANNEL, "unheard", "of a type that the page does not listen to").await;
    page.has_all_that_was_sent().await;

    // The node is killed and comes back: the browser goes on with the same socket.
    let opened = page.opened().await;
    hub.node.kill();
    page.sent.push(hub.send(CHANNEL, "post:created", "while it was down").await);
    page.sent.push(hub.send(CHANNEL, "", "this, too").await);
    hub.restart_node().await;
    page.opened_more_often_than(opened).await;
    page.has_all_that_was_sent().await;
    assert_eq!(app.requests().len(), 1);

    // The socket is lost meanwhile: the page asks for another, and goes on where it was.
    let socket = page.run("return es.socket_id").await;
    hub.node.kill();
    page.sent.push(hub.send(CHANNEL, "", "without a socket").await);
    let _: u64 = hub.redis.cmd(&["DEL", &format!("chat:socket:{{{}}}", socket.as_str().expect("a socket"))]).await;
    hub.restart_node().await;
    page.has_all_that_was_sent().await;
    page.sent.push(hub.send(CHANNEL, "", "live again").await);
    page.has_all_that_was_sent().await;
    assert_ne!(page.run("return es.socket_id").await, socket);

    // The page is loaded anew in a burst of events, and says where it was.
    page.sent.push(hub.send(CHANNEL, "", "before the reload").await);
    page.run("location.reload()").await;
    page.sent.push(hub.send(CHANNEL, "", "during the reload").await);
    page.has_all_that_was_sent().await;

    let requests = app.requests();
    assert_eq!(requests.len(), 3, "{requests:#?}");
    for (number, request) in requests.iter().enumerate() {
        assert_eq!(request.body, "channel=a%20b%26c&presence_id=ada");
        assert_eq!(request.headers["cookie"], "session=ada");
        assert_eq!(request.headers["x-asked"], ["1", "2", "1"][number], "called for each request");
    }
    let users = hub.other.request(Method::GET, "/channel/a%20b%26c/users").basic_auth(KEY, Some(SECRET));
    assert_eq!(hub.other.send(users).await.json(), json!(["ada"]));

    page.run("es.close()").await;
    wait_for("the end of the stream", async || (hub.node.open_streams().await == 0.0).then_some(())).await;
}

async fn page_with_the_original_library(browser: &Browser) {
    const CHANNEL: &str = "old chat";
    let mut hub = Hub::start().await;
    let page = include_str!("old-page.html").replace("HUB", &hub.origin());
    let library = include_str!("old-library.js").to_owned();
    let app = App::start(vec![("/page", page), ("/old-library.js", library)], hub.other.address()).await;
    let mut page = Page::open(browser, &app.url("/page")).await;
    // The frame is told in this order that it binds a type, and what it sends: once this is back, the type is bound.
    page.send_from_page("hello <b>").await;
    page.sent.push(hub.send(CHANNEL, "news", "typed").await);
    hub.send(CHANNEL, "unheard", "of a type that the page does not listen to").await;
    page.sent.push(hub.send(CHANNEL, "", "two\nlines").await);
    page.has_all_that_was_sent().await;

    let opened = page.opened().await;
    hub.node.kill();
    page.sent.push(hub.send(CHANNEL, "news", "while it was down").await);
    page.sent.push(hub.send(CHANNEL, "", "this, too").await);
    hub.restart_node().await;
    page.opened_more_often_than(opened).await;
    page.send_from_page("bound again").await; // as after each opening, and yet the next one comes once
    page.sent.push(hub.send(CHANNEL, "news", "typed again").await);
    page.sent.push(hub.send(CHANNEL, "", "and untyped").await);
    page.has_all_that_was_sent().await;
    assert_eq!(app.requests().len(), 1);

    // After a silence the library asks for another socket, in another frame.
    let opened = page.opened().await;
    page.run("isSilent = true").await;
    page.opened_more_often_than(opened).await;
    page.send_from_page("from another frame").await;
    page.sent.push(hub.send(CHANNEL, "news", "to another frame").await);
    page.has_all_that_was_sent().await;
    assert_eq!(app.requests().len(), 2);
    assert_eq!(page.run("return document.querySelectorAll('iframe').length").await, 1);
}
