//! The page in a real browser: people who chat through two nodes, reload, are cut off, come back and miss nothing
//! (contract 4, "Pages" and "Escaping"; contract 5).

use std::collections::BTreeSet;

use crate::support::{Browser, Line, Node, Proxy, Redis, free_port, key};

const HEARTBEAT: (&str, &str) = ("HEARTBEAT", "1");

fn texts(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

/// Every line stands there once, in the order of the log.
#[track_caller]
fn assert_once(lines: &[Line], expected: &[&str]) {
    assert_eq!(texts(lines), expected);
    let ids: BTreeSet<&str> = lines.iter().map(|line| line.id.as_str()).collect();
    assert_eq!(ids.len(), lines.len(), "{lines:?}");
}

#[tokio::test]
async fn two_people_chat_through_two_nodes() {
    let redis = Redis::start().await;
    let one = Node::on(&redis, &[("NODE", "chat-1")]).await;
    let two = Node::on(&redis, &[("NODE", "chat-2")]).await;
    let (ada, bob) = tokio::join!(Browser::start(), Browser::start());
    ada.open(&one.url("/lobby")).await;
    bob.open(&two.url("/lobby")).await;
    assert_eq!(ada.status("live").await, "Live on chat-1");
    assert_eq!(bob.status("live").await, "Live on chat-2");
    ada.say("ada", "hello, bob").await;
    bob.lines_to("hello, bob").await;
    bob.say("bob", "hello, ada").await;
    let seen = ada.lines_to("hello, ada").await;
    assert_once(&seen, &["hello, bob", "hello, ada"]);
    assert_eq!(bob.lines_to("hello, ada").await, seen);
    assert_eq!((seen[0].sender.as_str(), seen[1].sender.as_str()), ("ada", "bob"));
    assert!(seen.iter().all(|line| line.time.ends_with('Z')), "{seen:?}");
    assert_eq!(ada.value("#message").await, "", "what was sent leaves the box");
    for browser in [ada, bob] {
        assert_eq!(browser.console().await, [""; 0]);
    }
}

#[tokio::test]
async fn a_reload_keeps_every_message_once_and_the_name() {
    let node = Node::start(&[]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.live().await;
    browser.say("Zoë", "one").await;
    browser.lines_to("one").await;
    browser.say("Zoë", "two").await;
    let before = browser.lines_to("two").await;
    browser.reload().await;
    browser.live().await;
    assert_eq!(browser.value("#sender").await, "Zoë");
    assert_eq!(browser.lines().await, before);
    browser.say("Zoë", "three").await;
    assert_once(&browser.lines_to("three").await, &["one", "two", "three"]);
    assert_eq!(browser.console().await, [""; 0]);
}

/// Text from the page's own HTML and text from the stream: both are shown as they were typed, and nothing of them runs.
#[tokio::test]
async fn markup_is_shown_and_never_runs() {
    let node = Node::start(&[]).await;
    let hostile = "<img src=x onerror=\"window.ran=1\"><script>window.ran=1</script> &lt;b&gt; &amp;amp; \\u003cb\\u003e 'q' \"q\"";
    let sender = "</bdi><b onmouseover=\"window.ran=1\">eve</b>";
    node.post("lobby", sender, hostile).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.live().await;
    node.post("lobby", sender, hostile).await;
    browser.say(sender, &format!("{hostile} typed")).await;
    let lines = browser.lines_to(&format!("{hostile} typed")).await;
    assert_eq!(texts(&lines), [hostile, hostile, &format!("{hostile} typed")]);
    assert!(lines.iter().all(|line| line.sender == sender), "{lines:?}");
    assert_eq!(browser.run("return document.querySelectorAll('[role=log] :is(img, script, b)').length").await, 0);
    assert_eq!(browser.run("return window.ran ?? 'nothing ran'").await, "nothing ran");
    browser.write("#room", "<b>room</b>\n").await;
    browser.said("#room-error").await;
    assert_eq!(browser.path().await, "/lobby");
    browser.open(&node.url("/%3Cimg%20src=x%20onerror=%22window.ran=1%22%3E")).await;
    assert_eq!(browser.run("return document.querySelectorAll('img[onerror]').length").await, 0);
    let console = browser.console().await;
    assert!(console.iter().all(|line| line.contains("404")), "{console:?}");
}

#[tokio::test]
async fn rooms_are_changed_by_their_links_and_by_name() {
    let node = Node::start(&[("ROOMS", "everyone,garden")]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/")).await;
    browser.live().await;
    let current = "nav[aria-label=Rooms] a[aria-current=page]";
    assert_eq!(browser.text(current).await, "everyone");
    browser.click("nav[aria-label=Rooms] a[href='/garden']").await;
    browser.until("return location.pathname === '/garden'").await;
    browser.live().await;
    assert_eq!((browser.path().await.as_str(), browser.text(current).await.as_str()), ("/garden", "garden"));
    browser.write("#room", "café-ночь\n").await;
    browser.until("return document.querySelector('h1').textContent === 'café-ночь'").await;
    browser.live().await;
    browser.say("ada", "only here").await;
    browser.lines_to("only here").await;
    assert_eq!(node.newest("caf%C3%A9-%D0%BD%D0%BE%D1%87%D1%8C").await["message"], "only here");
    assert_eq!(browser.console().await, [""; 0]);
}

#[tokio::test]
async fn a_page_that_is_cut_off_says_so_comes_back_and_has_missed_nothing() {
    let node = Node::start(&[HEARTBEAT]).await;
    let (proxy, browser) = Browser::cuttable(&node, "before").await;
    proxy.cut();
    browser.status("reconnecting").await;
    node.post("lobby", "mason", "meanwhile").await;
    browser.say("ada", "is anybody there?").await;
    let waiting = browser.pending_says("Waits to be sent").await;
    assert_eq!(waiting.text, "is anybody there?", "what was not sent stays in sight");
    assert_eq!(texts(&browser.lines().await), ["before"]);
    browser.status("offline").await;
    proxy.restore();
    browser.live().await;
    let lines = browser.lines_to("is anybody there?").await;
    assert_once(&lines, &["before", "meanwhile", "is anybody there?"]);
    browser.pending_are(&[]).await;
}

/// A browser gives its `EventSource` up for good after a 503: then the page builds another. It goes on from the last id;
/// the place the page was loaded with is trimmed by then, and would be a gap.
#[tokio::test]
async fn a_page_whose_event_source_was_given_up_builds_another_from_the_last_id() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let proxy = Proxy::to(node.address()).await;
    let browser = Browser::start().await;
    browser.open(&proxy.url("/lobby")).await;
    browser.live().await;
    for text in ["one", "two"] {
        node.post("lobby", "mason", text).await;
    }
    browser.lines_to("two").await;
    let trimmed: u64 = redis.cmd(&["XTRIM", &key("lobby"), "MAXLEN", "1"]).await;
    assert_eq!(trimmed, 1);
    proxy.unavailable();
    browser.status("reconnecting").await;
    node.post("lobby", "mason", "meanwhile").await;
    browser.logged("503").await;
    proxy.restore();
    browser.live().await;
    node.post("lobby", "mason", "after").await;
    assert_once(&browser.lines_to("after").await, &["one", "two", "meanwhile", "after"]);
    assert_eq!(browser.run("return document.querySelectorAll('p.gap').length").await, 0);
}

#[tokio::test]
async fn a_page_survives_its_node() {
    let redis = Redis::start().await;
    let bind = format!("127.0.0.1:{}", free_port());
    let environment = [("BIND", bind.as_str())];
    let mut node = Node::on(&redis, &environment).await;
    let other = Node::on(&redis, &[]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.live().await;
    node.post("lobby", "mason", "before").await;
    browser.lines_to("before").await;
    node.kill();
    browser.status("reconnecting").await;
    other.post("lobby", "mason", "meanwhile").await;
    let node = Node::on(&redis, &environment).await;
    browser.live().await;
    node.post("lobby", "mason", "after").await;
    assert_once(&browser.lines_to("after").await, &["before", "meanwhile", "after"]);
}

/// The bus behind the node is lost, the node is not: the page says whose fault it is, and shows a gap where there is one.
#[tokio::test]
async fn a_page_whose_store_is_lost_says_so_and_shows_the_gap() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT, ("NODE", "chat-1")]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.live().await;
    browser.say("ada", "before").await;
    browser.lines_to("before").await;
    redis.kill();
    assert!(browser.status("storeless").await.contains("chat-1"));
    redis.restart().await;
    browser.live().await;
    browser.say("ada", "after").await;
    browser.lines_to("after").await;
    assert_eq!(browser.run("return document.querySelectorAll('p.gap[data-reason=reset]').length").await, 1);
    let order = "const gap = document.querySelector('p.gap');
        return [gap.previousElementSibling, gap.nextElementSibling].map((line) => line.querySelector('.text').textContent)";
    assert_eq!(browser.run(order).await, serde_json::json!(["before", "after"]));
}

#[tokio::test]
async fn a_page_without_javascript_posts_and_shows_what_was_posted() {
    let node = Node::start(&[]).await;
    let browser = Browser::without_javascript().await;
    browser.open(&node.url("/lobby")).await;
    assert_eq!(browser.text("p.status").await, "", "a script ran");
    browser.say("ada", "no scripts here").await;
    assert_eq!(browser.path().await, "/lobby");
    let lines = browser.lines_to("no scripts here").await;
    assert_once(&lines, &["no scripts here"]);
    assert_eq!(lines[0].sender, "ada");
}

/// Plain HTTP under a name is no secure context: there is no `crypto.randomUUID`, and nothing may need it.
#[tokio::test]
async fn the_page_works_on_plain_http_under_any_name() {
    let node = Node::start(&[]).await;
    let rules = "--host-resolver-rules=MAP chat.test 127.0.0.1";
    let browser = Browser::with(&[rules], serde_json::json!({})).await;
    browser.open(&format!("http://chat.test:{}/lobby", node.address().port())).await;
    browser.live().await;
    assert_eq!(browser.run("return isSecureContext").await, false);
    browser.say("ada", "no secrets here").await;
    browser.lines_to("no secrets here").await;
    let details = browser.details("no secrets here").await;
    assert!(details[0].starts_with("Taken by") && details[1].contains("from Send"), "{details:?}");
    assert_eq!(browser.console().await, [""; 0]);
}

/// Whoever looks back is not pulled to the end, and finds the way there.
#[tokio::test]
async fn new_messages_are_announced_to_whoever_looks_back() {
    let node = Node::start(&[]).await;
    node.fill("lobby", 50).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.live().await;
    let end = "const log = document.querySelector('.messages');
        return log.scrollTop > 0 && log.scrollHeight - log.scrollTop - log.clientHeight < 2";
    browser.until(end).await;
    browser.run("document.querySelector('.messages').scrollTop = 0").await;
    browser.until("return !document.querySelector('.messages').classList.contains('following')").await;
    node.post("lobby", "mason", "news").await;
    browser.lines_to("news").await;
    assert_eq!(browser.run("return document.querySelector('.messages').scrollTop").await, 0);
    browser.click("button.newer").await;
    browser.until(end).await;
}
