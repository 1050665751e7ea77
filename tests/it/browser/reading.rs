//! Reading the log: days, senders, own messages, unread messages, and when the log follows its end.

use serde_json::{Value, json};

use crate::support::{Browser, BrowserKind, Node, Redis, in_both_browsers, key};

in_both_browsers!(unread_line_leads_to_the_first_of_many);

/// Milliseconds.
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// Returns the lines of the log from top to bottom: messages as their text, others as their class and text.
const LOG: &str = "return [...document.querySelector('.lines').children].map((line) =>
    line.dataset.id ? line.querySelector('.text').textContent : `${line.className}: ${line.textContent}`)";

/// Returns true if the log is scrolled to its end.
const AT_THE_END: &str = "const log = document.querySelector('.messages');
    return log.scrollHeight - log.scrollTop - log.clientHeight < 2";

/// Stores messages in Redis as if they had been posted at these times, in milliseconds since the epoch.
async fn store_messages(redis: &Redis, room: &str, messages: &[(i64, &str, &str)]) {
    for (ms, sender, message) in messages {
        let data = json!({ "sender": sender, "message": message }).to_string();
        let _: String = redis.cmd(&["XADD", &key(room), &format!("{ms}-1"), "data", &data]).await;
    }
}

/// Returns the time of the browser, in milliseconds since the epoch.
async fn now(browser: &Browser) -> i64 {
    browser.run("return Date.now()").await.as_i64().expect("a number")
}

/// Returns the strings of a JSON list.
fn strings(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|each| each.as_str().expect("a string")).collect()
}

#[tokio::test]
async fn days_are_named_and_times_are_local_with_seconds_on_hover() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let browser = Browser::start().await;
    browser.set_time_zone_to_noon().await;
    let now = now(&browser).await;
    let days = [
        (now - 400 * DAY, "long ago"),
        (now - 3 * DAY, "lately"),
        (now - DAY, "yesterday"),
        (now - 2, "today"),
    ];
    store_messages(&redis, "lobby", &days.map(|(ms, text)| (ms, "mason", text))).await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    let log = browser.run(LOG).await;
    let log = strings(&log);
    assert_eq!([log[1], log[3], log[5], log[7]], days.map(|(_, text)| text));
    assert_eq!((log[4], log[6]), ("day: Yesterday", "day: Today"));
    let named = "const [ms, options] = arguments;
        return `day: ${new Intl.DateTimeFormat(undefined, JSON.parse(options)).format(Number(ms))}`";
    let long = browser.run_with(named, &[&days[0].0.to_string(), r#"{"dateStyle":"long"}"#]).await;
    let near = r#"{"weekday":"short","day":"numeric","month":"long"}"#;
    let near = browser.run_with(named, &[&days[1].0.to_string(), near]).await;
    assert_eq!((log[0], log[2]), (long.as_str().unwrap(), near.as_str().unwrap()));
    let local = "return [...document.querySelectorAll('.message time')].every((time) => {
        const date = new Date(time.dateTime);
        const [, minutes] = /:(..)/.exec(time.textContent);
        return [0, 12].includes(date.getHours() - parseInt(time.textContent)) && Number(minutes) === date.getMinutes()
            && new RegExp(`:${String(date.getSeconds()).padStart(2, '0')}`).test(time.title)
    })";
    assert_eq!(
        browser.run(local).await,
        true,
        "{}",
        browser.run("return document.querySelector('.lines').outerHTML").await
    );
}

/// Today becomes Yesterday at midnight, without a reload.
#[tokio::test]
async fn day_names_change_at_midnight() {
    let node = Node::start(&[]).await;
    let browser = Browser::start().await;
    browser.set_time_zone_to_noon().await;
    let clock = "const Real = Date, late = [], wait = window.setTimeout;
        let shift = 0;
        window.Date = class extends Real {
            constructor(...given) { given.length ? super(...given) : super(Real.now() + shift); }
            static now() { return Real.now() + shift; }
        };
        window.setTimeout = (act, ms, ...rest) => (ms > 3_600_000 ? late.push([act, ms]) : wait(act, ms, ...rest));
        window.midnight = () => {
            const [[act, ms]] = late.splice(0);
            shift = ms;
            act();
            return ms;
        };";
    browser.run_on_new_pages(clock).await;
    node.post("lobby", "mason", "good night").await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    assert_eq!(strings(&browser.run(LOG).await), ["day: Today", "good night"]);
    let waited = browser.run("return midnight()").await.as_i64().expect("a number");
    assert!((11 * 60 * MINUTE..=13 * 60 * MINUTE).contains(&waited), "{waited} ms from noon");
    assert_eq!(strings(&browser.run(LOG).await), ["day: Yesterday", "good night"]);
}

#[tokio::test]
async fn sender_is_named_once_in_a_run_of_five_minutes() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let browser = Browser::start().await;
    browser.set_time_zone_to_noon().await;
    let start = now(&browser).await - 60 * MINUTE;
    let messages = [
        (start, "mason", "one"),
        (start + 5 * MINUTE - 1, "mason", "goes on"),
        (start + 10 * MINUTE - 1, "mason", "five minutes later"),
        (start + 10 * MINUTE, "ada", "somebody else"),
        (start + 10 * MINUTE + 1, "mason", "again"),
        (start + 10 * MINUTE + 2, "Mason", "another name"),
    ];
    store_messages(&redis, "lobby", &messages).await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    let shown = "return [...document.querySelectorAll('.message')].filter((line) =>
        line.querySelector('.sender').offsetWidth <= 1).map((line) => line.querySelector('.text').textContent)";
    assert_eq!(strings(&browser.run(shown).await), ["goes on"]);
    let senders = browser.run("return document.querySelectorAll('.message bdi.sender').length").await;
    assert_eq!(senders, messages.len(), "screen readers get the sender of each message");
}

#[tokio::test]
async fn own_messages_stand_out_from_others_of_the_same_name() {
    let node = Node::start(&[]).await;
    let browser = Browser::in_lobby(&node).await;
    browser.send("ada", "mine").await;
    browser.messages_up_to("mine").await;
    node.post("lobby", "ada", "of another ada").await;
    browser.messages_up_to("of another ada").await;
    for _ in 0..2 {
        let apart = "return [...document.querySelectorAll('.message')].map((line) => [
            line.querySelector('.text').textContent,
            line.classList.contains('mine'),
            line.querySelector('.sender').offsetWidth > 1])";
        assert_eq!(browser.run(apart).await, json!([["mine", true, true], ["of another ada", false, true]]));
        browser
            .until(
                "return new Set([...document.querySelectorAll('.letters')].map((each) => each.textContent)).size === 2",
            )
            .await;
        browser.reload().await;
        browser.complete().await;
    }
}

#[tokio::test]
async fn unread_line_stands_above_the_first_unread_message() {
    let node = Node::start(&[("ROOMS", "lobby,garden")]).await;
    let browser = Browser::start().await;
    node.fill("lobby", 2).await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    let read = node.post("lobby", "mason", "seen").await;
    browser.until(&format!("return localStorage.getItem('tiny-chat:read:lobby') === '{read}'")).await;
    assert_eq!(browser.run("return document.querySelectorAll('.unread').length").await, 0);
    browser.open(&node.url("/garden")).await;
    for text in ["first new", "second new"] {
        node.post("lobby", "mason", text).await;
    }
    browser.open(&node.url("/lobby")).await;
    browser.until("return document.querySelector('.lines .unread') !== null").await;
    let log = browser.run(LOG).await;
    let log = strings(&log);
    assert!(log[4].starts_with("unread: 2 new since "), "{log:?}");
    assert_eq!([log[3], log[5], log[6]], ["seen", "first new", "second new"]);
    browser.reload().await;
    browser.complete().await;
    assert_eq!(
        browser.run("return document.querySelectorAll('.unread').length").await,
        0,
        "they are not unread any more"
    );
}

/// Far more is unread than the page is loaded with: the line says how much, and leads to the first.
async fn unread_line_leads_to_the_first_of_many(kind: BrowserKind) {
    let node = Node::start(&[("ROOMS", "lobby,garden")]).await;
    let browser = kind.start().await;
    let read = node.post("lobby", "mason", "seen").await;
    browser.open(&node.url("/lobby")).await;
    browser.until(&format!("return localStorage.getItem('tiny-chat:read:lobby') === '{read}'")).await;
    browser.open(&node.url("/garden")).await;
    node.fill("lobby", 200).await;
    browser.open(&node.url("/lobby")).await;
    let says = "const line = document.querySelector('.lines .unread.ahead');
        const view = document.querySelector('.messages').getBoundingClientRect();
        const { top, bottom } = line?.getBoundingClientRect() ?? {};
        return /^200 new since \\d.* · jump$/.test(line?.textContent) && top >= view.top && bottom < view.bottom";
    browser.until(says).await;
    assert_eq!(browser.run("return document.querySelectorAll('.message').length").await, 50);
    browser.click(".unread button").await;
    let reached = "const line = document.querySelector('.lines .unread:not(.ahead)');
        const below = line?.nextElementSibling?.getBoundingClientRect();
        const view = document.querySelector('.messages').getBoundingClientRect();
        return line?.nextElementSibling.querySelector('.text').textContent === 'message 1' && !line.querySelector('button')
            && line.previousElementSibling.querySelector('.text').textContent === 'seen'
            && below.top > view.top && below.bottom < view.bottom";
    browser.until(reached).await;
    node.post("lobby", "mason", "while the log is scrolled up").await;
    browser.messages_up_to("while the log is scrolled up").await;
    assert!(browser.text(".lines .unread").await.starts_with("200 new since "));
    assert_eq!(browser.console().await, [""; 0]);
}

#[tokio::test]
async fn log_follows_new_messages_and_counts_unread_when_scrolled_up() {
    let node = Node::start(&[]).await;
    node.fill("lobby", 50).await;
    let browser = Browser::in_lobby(&node).await;
    browser.until(AT_THE_END).await;
    node.post("lobby", "mason", &"tall\n".repeat(30)).await;
    node.post("lobby", "mason", "seen at the end").await;
    browser.messages_up_to("seen at the end").await;
    browser.until(AT_THE_END).await;
    assert_eq!(browser.run("return document.querySelector('.newer').hidden").await, true);
    browser.run("document.querySelector('.messages').scrollTop -= 400").await;
    browser.until("return !document.querySelector('.following')").await;
    let place = browser.run("return document.querySelector('.messages').scrollTop").await;
    for text in ["one", "two"] {
        node.post("lobby", "mason", text).await;
    }
    browser.messages_up_to("two").await;
    assert_eq!(browser.text(".newer").await, "2 new");
    assert_eq!(browser.run("return document.querySelector('.messages').scrollTop").await, place);
    browser.click(".newer").await;
    browser.until(AT_THE_END).await;
    assert_eq!(browser.run("return document.querySelector('.newer').hidden").await, true);
    node.post("lobby", "mason", "followed again").await;
    browser.messages_up_to("followed again").await;
    browser.until(AT_THE_END).await;
}

/// A log that is scrolled up stays where it is, and a button leads to its end.
#[tokio::test]
async fn new_messages_do_not_move_a_log_that_is_scrolled_up() {
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
    browser.messages_up_to("news").await;
    assert_eq!(browser.run("return document.querySelector('.messages').scrollTop").await, 0);
    browser.click("button.newer").await;
    browser.until(end).await;
}
