//! A page without scripts of its own, on which a test opens plain `EventSource`s: what a browser makes of a stream,
//! without our page that mends it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Browser, driver::Tab, wait_for};

/// Opens a stream that keeps what it receives, and counts how often it was opened.
const LISTEN: &str = "const [name, url] = GIVEN;
    const source = new EventSource(url);
    const stream = { source, opened: 0, received: [] };
    (window.streams ??= {})[name] = stream;
    source.onopen = () => stream.opened += 1;
    const keep = ({ type, data, lastEventId }) => stream.received.push({ event: type, id: lastEventId, data });
    for (const type of ['message', 'status', 'gap', 'backoff']) source.addEventListener(type, keep);";

/// A tab with a file of a server's origin that is no page of ours.
pub struct BarePage<'b> {
    browser: &'b Browser,
    tab: Tab,
}

/// What an `EventSource` handed to the page.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Received {
    pub event: String,
    /// The last id that the browser knew then.
    pub id: String,
    pub data: String,
}

impl Received {
    pub fn is_message(&self) -> bool {
        self.event == "message"
    }

    /// Returns true if this is a status that says whether the node reaches the message store.
    pub fn is_status(&self, live: bool) -> bool {
        self.event == "status" && self.json()["live"] == live
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("JSON")
    }
}

impl BarePage<'_> {
    /// Opens `/robots.txt` of an origin in a new tab.
    pub async fn open<'b>(browser: &'b Browser, origin: &str) -> BarePage<'b> {
        let tab = browser.open_tab(&format!("{origin}/robots.txt")).await;
        BarePage { browser, tab }
    }

    /// Opens an `EventSource`.
    pub async fn open_stream<'p>(&'p self, name: &'p str, path: &str) -> BareStream<'p> {
        self.run(&LISTEN.replace("GIVEN", &json!([name, path]).to_string())).await;
        BareStream { page: self, name }
    }

    /// Opens an `EventSource` and waits until it is live.
    pub async fn listen<'p>(&'p self, name: &'p str, path: &str) -> BareStream<'p> {
        let stream = self.open_stream(name, path).await;
        stream.status(true).await;
        stream
    }

    /// Returns the protocol that the page came over, such as `h2`.
    pub async fn protocol(&self) -> Value {
        self.run("return performance.getEntriesByType('navigation')[0].nextHopProtocol").await
    }

    /// Waits until the last status of each stream is from this node.
    pub async fn all_from(&self, node: &str) {
        let last = "Object.values(streams).map(({ received }) => received.findLast(({ event }) => event === 'status'))";
        let script = format!("return {last}.every(({{ data }}) => JSON.parse(data).node === {})", json!(node));
        wait_for(&format!("streams of {node}"), async || (self.run(&script).await == true).then_some(())).await;
    }

    async fn run(&self, script: &str) -> Value {
        self.browser.run_in(&self.tab, script).await
    }
}

/// An `EventSource` on a bare page.
pub struct BareStream<'p> {
    page: &'p BarePage<'p>,
    name: &'p str,
}

impl BareStream<'_> {
    /// Returns everything received so far.
    pub async fn received(&self) -> Vec<Received> {
        serde_json::from_value(self.ask("received").await).expect("events")
    }

    /// Returns how often the stream was opened.
    pub async fn opened(&self) -> u64 {
        self.ask("opened").await.as_u64().expect("a number")
    }

    /// Waits until what was received is right, and returns it.
    pub async fn until(&self, what: &str, right: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        wait_for(&format!("{what} at {}", self.name), async || {
            let received = self.received().await;
            right(&received).then_some(received)
        })
        .await
    }

    /// Waits for a status that says whether the node reaches the message store.
    pub async fn status(&self, live: bool) {
        let what = format!("a status that is {live}");
        self.until(&what, |received| received.iter().any(|event| event.is_status(live))).await;
    }

    /// Waits until the stream was opened more often than this.
    pub async fn reopened(&self, before: u64) {
        let what = format!("another stream at {}", self.name);
        wait_for(&what, async || (self.opened().await > before).then_some(())).await;
    }

    /// Waits for the message with the last of these ids, and checks that all came, each once and in order, and nothing
    /// else.
    pub async fn received_exactly(&self, ids: &[String]) {
        let last = ids.last().expect("an id");
        let has_last = format!("received.some(({{ event, id }}) => event === 'message' && id === {})", json!(last));
        wait_for(&format!("{last} at {}", self.name), async || (self.ask(&has_last).await == true).then_some(())).await;
        let received = self.received().await;
        let messages = received.iter().filter(|event| event.is_message());
        let found: Vec<&str> = messages.map(|message| message.id.as_str()).collect();
        assert!(found == ids, "{} of {} at {}: {received:#?}", found.len(), ids.len(), self.name);
    }

    /// Returns the value of an expression of the stream's members.
    async fn ask(&self, expression: &str) -> Value {
        self.page.run(&format!("return streams[{}].{expression}", json!(self.name))).await
    }
}
