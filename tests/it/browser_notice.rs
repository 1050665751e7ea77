//! What is told outside the log: unread counts, the title, the icon, desktop notifications, who is here (issue 3, "One
//! stream per browser", "Notice me", "Who is here"); and whom the page talks to ("Safe").

use serde_json::json;

use crate::support::{Browser, Node, Redis, patiently};

const ROOMS: (&str, &str) = ("ROOMS", "lobby,garden,attic");

/// What stands beside the link to a room: `2`, or `@2` where somebody is called.
async fn badge(browser: &Browser, room: &str) -> String {
    let script = format!(
        "const badge = document.querySelector('nav[aria-label=Rooms] a[href=\"/{room}\"] .badge');
        return badge ? badge.firstChild.textContent : ''"
    );
    browser.run(&script).await.as_str().expect("a text").to_owned()
}

async fn badge_is(browser: &Browser, room: &str, expected: &str) {
    patiently(&format!("{expected:?} at {room}"), async || (badge(browser, room).await == expected).then_some(()))
        .await;
}

async fn title_is(browser: &Browser, expected: &str) {
    patiently(&format!("the title {expected:?}"), async || (browser.title().await == expected).then_some(())).await;
}

async fn icon_is(browser: &Browser, expected: &str) {
    browser
        .until(&format!("return document.querySelector('link[rel=icon]').href.endsWith('/{expected}.svg')"))
        .await;
}

/// Puts the page in front, or something else: without a screen every tab is in front, so it is told otherwise.
async fn hidden(browser: &Browser, hidden: bool) {
    let script = format!(
        "Object.defineProperty(document, 'hidden', {{ configurable: true, get: () => {hidden} }});
        document.dispatchEvent(new Event('visibilitychange'))"
    );
    browser.run(&script).await;
}

#[tokio::test]
async fn rooms_that_are_not_open_count_what_is_said_there_and_mark_who_is_called() {
    let node = Node::start(&[ROOMS]).await;
    node.post("garden", "mason", "long ago").await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.write("#sender", "Ada").await;
    browser.whole().await;
    let streamed =
        "return performance.getEntriesByType('resource').some(({ name }) => name.includes('/history/garden'))";
    browser.until(streamed).await;
    patiently("a stream of three rooms", async || {
        node.post("attic", "mason", "are you there?").await;
        (!badge(&browser, "attic").await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(badge(&browser, "garden").await, "", "what was said before the first visit is not news");
    for text in ["one", "adamant"] {
        node.post("garden", "mason", text).await;
    }
    badge_is(&browser, "garden", "2").await;
    node.post("garden", "mason", "where is @ada?").await;
    badge_is(&browser, "garden", "@3").await;
    node.post("garden", "mason", "well").await;
    badge_is(&browser, "garden", "@4").await;
    icon_is(&browser, "icon-mention").await;
    assert_eq!(browser.title().await, "lobby · tiny-chat", "the title is about this room");
    browser.reload().await;
    badge_is(&browser, "garden", "@4").await;
    browser.click("nav[aria-label=Rooms] a[href='/garden']").await;
    browser.until("return location.pathname === '/garden'").await;
    browser.lines_to("well").await;
    browser.live().await;
    browser.open(&node.url("/lobby")).await;
    browser.whole().await;
    badge_is(&browser, "garden", "").await;
    assert_ne!(badge(&browser, "attic").await, "");
    assert_eq!(browser.console().await, [""; 0]);
}

/// A room that is read in one tab is read in all.
#[tokio::test]
async fn what_is_read_in_one_tab_is_read_in_the_others() {
    let node = Node::start(&[ROOMS]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/garden")).await;
    browser.live().await;
    browser.open(&node.url("/lobby")).await;
    browser.whole().await;
    let lobby = browser.here().await;
    patiently("a badge", async || {
        node.post("garden", "mason", "news").await;
        (!badge(&browser, "garden").await.is_empty()).then_some(())
    })
    .await;
    browser.tab(&node.url("/garden")).await;
    browser.live().await;
    browser.to(&lobby).await;
    badge_is(&browser, "garden", "").await;
}

/// Something else is in front: what is said here is counted until somebody looks.
#[tokio::test]
async fn a_hidden_tab_counts_in_its_title_and_on_its_icon() {
    let node = Node::start(&[ROOMS]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.write("#sender", "ada").await;
    browser.whole().await;
    hidden(&browser, true).await;
    node.post("lobby", "mason", "one").await;
    title_is(&browser, "(1) lobby · tiny-chat").await;
    icon_is(&browser, "icon-unread").await;
    node.post("lobby", "mason", "ada, look!").await;
    title_is(&browser, "(2) lobby · tiny-chat").await;
    icon_is(&browser, "icon-mention").await;
    hidden(&browser, false).await;
    title_is(&browser, "lobby · tiny-chat").await;
    icon_is(&browser, "icon").await;
    node.post("lobby", "mason", "in sight").await;
    browser.lines_to("in sight").await;
    assert_eq!(browser.title().await, "lobby · tiny-chat");
    assert_eq!(browser.console().await, [""; 0]);
}

/// A stand-in for the browser's own, which has nobody to show anything to.
const NOTIFICATION: &str = "window.shown = []; window.asked = 0;
    window.Notification = class {
        static permission = 'default';
        static async requestPermission() { window.asked += 1; return this.permission = window.answer ?? 'granted'; }
        constructor(title, { body }) { window.shown.push(`${title}: ${body}`); }
        close() {}
    }";

async fn choose(browser: &Browser, choice: &str) -> serde_json::Value {
    let script = format!(
        "const select = document.querySelector('dialog.help .notices select');
        select.value = '{choice}';
        select.dispatchEvent(new Event('change'))"
    );
    browser.run(&script).await;
    browser
        .run("return new Promise((tell) => setTimeout(() => tell(document.querySelector('.notices select').value)))")
        .await
}

#[tokio::test]
async fn desktop_notifications_come_to_who_asks_for_them_and_never_for_what_is_in_sight() {
    let node = Node::start(&[ROOMS]).await;
    node.fill("lobby", 40).await;
    let browser = Browser::start().await;
    browser.before(NOTIFICATION).await;
    browser.open(&format!("http://localhost:{}/lobby", node.address().port())).await;
    browser.write("#sender", "ada").await;
    browser.whole().await;
    browser.click("button.ask").await;
    browser.until("return Boolean(document.querySelector('dialog.help[open] .notices select'))").await;
    assert_eq!(
        browser.run("return [window.asked, document.querySelector('.notices select').value]").await,
        json!([0, ""])
    );
    hidden(&browser, true).await;
    node.post("lobby", "mason", "ada: not asked for").await;
    browser.lines_to("ada: not asked for").await;
    title_is(&browser, "(1) lobby · tiny-chat").await;
    browser.run("window.answer = 'denied'").await;
    assert_eq!(choose(&browser, "all").await, "", "the browser does not permit it");
    browser.run("window.answer = 'granted'").await;
    assert_eq!(choose(&browser, "mentions").await, "mentions");
    node.post("lobby", "mason", "nobody is called").await;
    node.post("lobby", "mason", "Ada, come").await;
    browser.until("return window.shown.length > 0").await;
    assert_eq!(choose(&browser, "all").await, "all");
    node.post("garden", "mason", "roses").await;
    browser.until("return window.shown.length > 1").await;
    browser.run("document.querySelector('dialog.help').close()").await;
    hidden(&browser, false).await;
    node.post("lobby", "mason", "ada, in sight").await;
    browser.lines_to("ada, in sight").await;
    browser.run("document.querySelector('.messages').scrollTop = 0").await;
    browser.until("return !document.querySelector('.messages').classList.contains('following')").await;
    node.post("lobby", "mason", "ada, below").await;
    browser.lines_to("ada, below").await;
    hidden(&browser, true).await;
    browser.run("document.querySelector('#message').value = 'ada, by myself'; document.querySelector('form.composer').requestSubmit()").await;
    browser.lines_to("ada, by myself").await;
    node.post("lobby", "mason", "the last").await;
    browser.until("return window.shown.at(-1).endsWith('the last')").await;
    let expected = ["mason in lobby: Ada, come", "mason in garden: roses", "mason in lobby: the last"];
    assert_eq!(browser.run("return window.shown").await, json!(expected));
    assert_eq!(browser.console().await, [""; 0]);
}

#[tokio::test]
async fn who_is_here_is_shown_across_nodes() {
    let redis = Redis::start().await;
    let environment = [("HEARTBEAT", "1")];
    let (one, two) = (Node::on(&redis, &environment).await, Node::on(&redis, &environment).await);
    let (ada, bob) = tokio::join!(Browser::start(), Browser::start());
    for (browser, node, name) in [(&ada, &one, "ada"), (&bob, &two, "<bob> & co")] {
        browser.open(&node.url("/lobby")).await;
        browser.write("#sender", name).await;
        browser.whole().await;
    }
    let says = |count: usize, names: &[&str]| {
        let names = json!(names);
        format!(
            "const people = document.querySelector('.people');
            const names = [...people.querySelectorAll('li')].map((each) => each.textContent);
            return !people.hidden && people.querySelector('summary').textContent === '{count} here'
                && JSON.stringify(names) === JSON.stringify({names})"
        )
    };
    for browser in [&ada, &bob] {
        browser.until(&says(2, &["<bob> & co", "ada"])).await;
    }
    let lobby = bob.here().await;
    bob.tab(&two.url("/lobby")).await;
    bob.whole_in_the_shade().await;
    bob.until(&says(2, &["<bob> & co", "ada"])).await;
    bob.close_tab().await;
    bob.to(&lobby).await;
    bob.leave().await;
    ada.until(&says(1, &["ada"])).await;
    assert_eq!(ada.console().await, [""; 0]);
}

/// Whatever is typed, shown, opened and clicked on: the page talks to the server that it came from.
#[tokio::test]
async fn no_request_goes_to_anybody_else() {
    let node = Node::start(&[ROOMS]).await;
    let browser = Browser::recording().await;
    browser.leave().await; // its own first page
    browser.requests().await;
    let texts = [
        "look: https://example.com/a.png and http://example.org/?q=1 mailto:a@example.net",
        "<img src=https://example.com/x.png> <link rel=prefetch href=//example.com> ![x](https://example.com/y.png)",
        "`https://example.com/code` #garden @ada //example.com/z.js",
    ];
    for text in texts {
        node.post("lobby", "https://example.com/", text).await;
    }
    browser.open(&node.url("/lobby")).await;
    browser.whole().await;
    for (index, text) in texts.into_iter().enumerate() {
        browser.say("https://example.com/", text).await;
        browser
            .until(&format!("return document.querySelectorAll('.message[data-id]').length === {}", index + 4))
            .await;
    }
    browser.click("button.ask").await;
    browser.until("return Boolean(document.querySelector('dialog.help[open]'))").await;
    browser.run("document.querySelector('dialog.help').close()").await;
    node.post("garden", "mason", "https://example.com/ @https").await;
    badge_is(&browser, "garden", "@1").await;
    let links = "return document.querySelectorAll('.message a[href*=\"example\"]').length";
    assert!(browser.run(links).await.as_u64() > Some(5), "no links, no temptation");
    browser.open(&node.url("/garden")).await;
    browser.whole().await;
    let requests = browser.requests().await;
    assert!(requests.iter().any(|url| url.contains("/subscribe/")), "{requests:?}");
    let others: Vec<&String> = requests
        .iter()
        .filter(|url| !url.starts_with(&node.url("/")) && !url.starts_with("chrome://"))
        .collect();
    assert_eq!(others, [""; 0]);
    assert_eq!(browser.console().await, [""; 0]);
}
