//! The sample chat of examples/eshq-chat, in both browsers.

use std::process::Command;

use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::app::{KEY, KNOWS_APP, SECRET};
use crate::support::{
    Browser, BrowserKind, Node, Process, Tab, eventually, in_both_browsers, repository::root, wait_for,
};

in_both_browsers! {
    sample_chat_shows_what_was_written_as_text,
}

/// Names and messages that would run a script, or close an element, if they were taken for markup.
const ATTEMPTS: [(&str, &str); 4] = [
    ("<img src=x onerror=hacked=1>", "<script>hacked=1</script>"),
    ("ada", "<svg onload=hacked=1>&amp;</p></li>"),
    ("'\"><b>", "</script><script>hacked=1</script>"),
    ("ada", "plain, \"quoted\", and ünïcödé"),
];

/// The chat's server, and a hub for it.
struct SampleChat {
    hub: Node,
    _server: Process,
    url: String,
}

impl SampleChat {
    async fn start() -> SampleChat {
        let hub = Node::start(&KNOWS_APP).await;
        let mut server = Process::spawn(
            Command::new("node")
                .arg(root().join("examples/eshq-chat/server.mjs"))
                .env("ESHQ_URL", hub.url("/")) // with the slash that EventSource HQ's own had
                .env("ESHQ_KEY", KEY)
                .env("ESHQ_SECRET", SECRET)
                .env("PORT", "0"),
        );
        let url = eventually("the chat's server", async || {
            assert!(server.try_wait().is_none(), "the server ended:\n{}", server.output());
            Some(server.line_with("open http")?.rsplit_once(' ')?.1.trim_end_matches('/').to_owned())
        })
        .await;
        SampleChat { hub, _server: server, url }
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let client = Client::builder().no_proxy().build().expect("a client");
        client.post(format!("{}{path}", self.url)).form(fields).send().await.expect("an answer")
    }
}

/// Opens the chat in a tab, under a name.
async fn enter(browser: &Browser, chat: &SampleChat, nick: &str) -> Tab {
    let tab = browser.open_tab(&chat.url).await;
    submit(browser, &tab, "#nick", nick).await;
    let is_live = "return document.querySelector('.status').dataset.state === 'live'";
    wait_for("a live page", async || (browser.run_in(&tab, is_live).await == true).then_some(())).await;
    tab
}

/// Fills in a field and submits its form.
async fn submit(browser: &Browser, tab: &Tab, field: &str, text: &str) {
    let script = format!(
        "const field = document.querySelector({});
        field.value = {};
        field.form.requestSubmit();",
        json!(field),
        json!(text)
    );
    browser.run_in(tab, &script).await;
}

/// Waits until a page shows these messages, and returns what else their markup made of the page.
async fn assert_shown(browser: &Browser, tab: &Tab, expected: &[(&str, &str)]) {
    const SHOWN: &str = "return [...document.querySelectorAll('.message')].map((line) =>
        [line.querySelector('.nick').textContent, line.querySelector('.text').textContent])";
    let shown = wait_for("all messages", async || {
        let shown = browser.run_in(tab, SHOWN).await;
        (shown.as_array()?.len() >= expected.len()).then_some(shown)
    })
    .await;
    assert_eq!(shown, json!(expected));
    let elements = "return [window.hacked ?? null, document.querySelectorAll('.message *').length]";
    assert_eq!(browser.run_in(tab, elements).await, json!([Value::Null, 2 * expected.len()]));
}

async fn sample_chat_shows_what_was_written_as_text(kind: BrowserKind) {
    let mut chat = SampleChat::start().await;
    let browser = kind.start().await;
    let mut tabs = Vec::new();
    for (nick, text) in ATTEMPTS {
        let tab = enter(&browser, &chat, nick).await;
        submit(&browser, &tab, "#msg", text).await;
        tabs.push(tab);
        assert_shown(&browser, &tabs[0], &ATTEMPTS[..tabs.len()]).await;
    }
    let mine = "return [...document.querySelectorAll('.mine .text')].map((text) => text.textContent)";
    assert_eq!(browser.run_in(&tabs[3], mine).await, json!([ATTEMPTS[3].1]));

    // What has no page: other channels, empty fields, and a hub that is gone.
    assert_eq!(chat.post("/eshq/socket", &[("channel", "other")]).await.status(), 403);
    for fields in [&[("nick", "ada"), ("msg", " ")], &[("nick", ""), ("msg", "hi")]] {
        assert_eq!(chat.post("/message", fields).await.status(), 400);
    }
    let answer = chat.post("/eshq/socket", &[("channel", "chat")]).await;
    assert!(answer.json::<Value>().await.expect("JSON")["socket"].is_string());
    chat.hub.kill();
    assert_eq!(chat.post("/message", &[("nick", "ada"), ("msg", "hi")]).await.status(), 502);
}
