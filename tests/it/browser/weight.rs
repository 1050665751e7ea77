//! What a browser fetches for a room: how many bytes in how many requests, in which content coding, and again if it fails.

use std::{collections::BTreeMap, io::Read};

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, BrowserKind, Node, Proxy, Stream, eventually, in_both_browsers};

in_both_browsers!(a_visit_loads_little, what_fails_to_load_is_loaded_again);

/// The most bytes, compressed, and requests of the first view of a room.
const FIRST_VIEW: (usize, usize) = (20_000, 4);

/// How many bytes more that may be with gzip, which browsers accept on plain HTTP, too, in percent.
const MORE_WITH_GZIP: usize = 7;

/// The same of all that a visit without a touch loads.
const VISIT: (usize, usize) = (30_000, 12);

/// The content codings that browsers accept.
const CODINGS: [&str; 2] = ["gzip", "br"];

/// Returns the text of a compressed response.
fn decoded(answer: &Answer) -> String {
    let (mut text, body) = (String::new(), answer.body.as_slice());
    let read = match answer.header("content-encoding").as_str() {
        "gzip" => flate2::read::GzDecoder::new(body).read_to_string(&mut text),
        "br" => brotli::Decompressor::new(body, 4096).read_to_string(&mut text),
        "" => return answer.text().to_owned(),
        other => panic!("coded as {other}"),
    };
    read.expect("a whole text");
    text
}

/// Gets a path with this `Accept-Encoding`.
async fn get(node: &Node, path: &str, accepted: &str) -> Answer {
    let request = node.request(Method::GET, path).header("Accept", "text/html").header("Accept-Encoding", accepted);
    node.send(request).await.expect(200)
}

/// Returns the values of an attribute in the tags that contain `part`.
fn attribute_values(page: &str, part: &str, attribute: &str) -> Vec<String> {
    let tags = page.split('<').filter(|tag| tag.contains(part));
    let value = |tag: &str| Some(tag.split(&format!(" {attribute}=\"")).nth(1)?.split('"').next()?.to_owned());
    tags.filter_map(value).collect()
}

/// Returns eighty characters of plain words, a different text for each number.
fn sample_text(number: usize) -> String {
    const WORDS: [&str; 24] = [
        "deploy", "again", "coffee", "the", "node", "was", "slow", "today", "who", "broke", "it", "nobody", "yes", "I",
        "think", "we", "should", "wait", "for", "lunch", "and", "then", "look", "logs",
    ];
    let mut text = format!("{number}");
    let mut next = number * 7919 + 13;
    while text.len() < 80 {
        next = (next * 1_103_515_245 + 12_345) % 2_147_483_648;
        text = format!("{text} {}", WORDS[next / 65_536 % WORDS.len()]);
    }
    text.chars().take(80).collect()
}

/// Starts a node with 50 messages, of 80 characters by 10 senders, in the lobby.
async fn node_with_50_messages() -> Node {
    const SENDERS: [&str; 10] =
        ["mason", "ada", "grace", "Linus", "Margaret", "edsger", "Barbara", "dennis", "Ken", "radia"];
    let node = Node::start(&[("RATE_LIMIT", "0")]).await;
    for number in 0..50 {
        let sender = SENDERS[number * 7 % 10];
        let message = json!({ "sender": sender, "message": sample_text(number), "secret": format!("{sender:->16}") });
        node.publish("lobby", message).await;
    }
    node
}

/// Asserts what a visit without a touch requests, until it is complete. Browsers are asked, since they decide what they need
/// of what a page names; how much that is depends on the coding only.
async fn a_visit_loads_little(kind: BrowserKind) {
    let node = node_with_50_messages().await;
    let proxy = Proxy::to(node.address()).await;
    let browser = kind.start().await;
    browser.open(&proxy.url("/lobby")).await;
    browser.live().await;
    browser.until("return document.querySelector('link[href*=enhancements]')?.sheet != null").await;
    // The next message shows that what was requested until now is there, and that it works.
    node.post("lobby", "mason", "the last").await;
    browser.messages_up_to("the last").await;
    let is_counted = |path: &String| !path.starts_with("/subscribe/") && !path.ends_with(".webmanifest");
    let visit: Vec<String> = proxy.requests().into_iter().filter(is_counted).collect();
    let later = visit.iter().position(|path| path.contains("/enhancements.")).expect("the second part");
    // Where the streams of other rooms begin is asked beside it.
    let first: Vec<String> = visit[..later].iter().filter(|path| !path.starts_with("/history/")).cloned().collect();
    let mut bytes = BTreeMap::new();
    for coding in CODINGS {
        for path in &visit {
            let answer = eventually("the smallest form", async || {
                let (one, other) = (get(&node, path, coding).await, get(&node, path, coding).await);
                (one.body.len() == other.body.len()).then_some(one)
            });
            bytes.insert(path, answer.await.body.len());
        }
        let sum = |paths: &[String]| paths.iter().map(|path| bytes[path]).sum::<usize>();
        let more = if coding == "gzip" { 100 + MORE_WITH_GZIP } else { 100 };
        assert!(
            sum(&first) <= FIRST_VIEW.0 * more / 100 && first.len() <= FIRST_VIEW.1,
            "{coding}: {} bytes: {first:?} {bytes:?}",
            sum(&first)
        );
        assert!(
            sum(&visit) <= VISIT.0 * more / 100 && visit.len() <= VISIT.1,
            "{coding}: {} bytes: {visit:?} {bytes:?}",
            sum(&visit)
        );
    }
}

/// Browsers remember for the life of a page that a module could not be fetched.
async fn what_fails_to_load_is_loaded_again(kind: BrowserKind) {
    let node = Node::start(&[("ROOMS", "lobby,garden")]).await;
    let proxy = Proxy::to(node.address()).await;
    let browser = kind.start().await;
    for part in ["/enhancements.js", "/enhancements.css", "/help.js", "/notifications.js"] {
        proxy.fail_once(part);
    }
    browser.open(&proxy.url("/lobby")).await;
    browser.live().await;
    browser.send("ada", "`code`").await; // what sends is there, whatever else is not
    browser.until("return document.querySelector('.message.mine code') !== null").await;
    browser
        .until("return [...document.styleSheets].some(({ href }) => href.includes('enhancements.css'))")
        .await;
    node.post("garden", "mason", "hi").await;
    browser.until("return document.querySelector('link[rel=icon]').href.includes('unread')").await;
    browser.click("button.ask").await;
    browser.until("return document.querySelector('dialog.help')?.open === true").await;
    let tried = |part: &str| proxy.requests().iter().filter(|path| path.contains(part)).count();
    for part in ["/enhancements.js", "/enhancements.css", "/help.js", "/notifications.js"] {
        assert!(tried(part) >= 2, "{part} was not tried again: {:?}", proxy.requests());
    }
}

/// The smallest form takes long to make, so the first client gets another.
#[tokio::test]
async fn the_first_client_does_not_wait_for_the_best_compression() {
    let node = Node::start(&[]).await;
    let page = decoded(&get(&node, "/lobby", "identity").await);
    let of_page = attribute_values(&page, "type=\"module\"", "src").remove(0);
    let script = of_page.replace("/page.js", "/dashboard/uplot.min.js"); // those of the chat page are made at build
    let first = get(&node, &script, "br").await;
    let smaller = async || Some(get(&node, &script, "br").await).filter(|later| later.body.len() < first.body.len());
    let later = eventually("a smaller form", smaller).await;
    assert_eq!(decoded(&later), decoded(&first));
}

#[tokio::test]
async fn pages_and_assets_use_a_coding_that_the_client_accepts() {
    let node = Node::start(&[]).await;
    node.post("lobby", "mason", "caf\u{e9} \u{1f600}").await;
    let page = decoded(&get(&node, "/lobby", "identity").await);
    let asset = attribute_values(&page, "stylesheet", "href").remove(0);
    // A room's address is its stream, too.
    for (path, varies_by) in [("/lobby", "Accept, Accept-Encoding"), (&*asset, "Accept-Encoding")] {
        let plain = get(&node, path, "identity").await;
        assert_eq!((plain.header("content-encoding"), plain.header("vary")), (String::new(), varies_by.to_owned()));
        for (accepted, coding) in [
            ("gzip, deflate", "gzip"),
            ("gzip, deflate, br, zstd", "br"),
            ("br;q=0.2, gzip;q=0.8", "gzip"),
            ("br;q=0, gzip;q=0", ""),
            ("deflate, zstd", ""),
        ] {
            let answer = get(&node, path, accepted).await;
            assert_eq!(answer.header("content-encoding"), coding, "{accepted}");
            assert_eq!(decoded(&answer), plain.text(), "{path} as {coding}");
        }
    }
}

/// A compressor could hold back what was written.
#[tokio::test]
async fn streams_are_never_compressed() {
    let node = Node::start(&[]).await;
    let mut stream = Stream::open(&node, "/subscribe/lobby", &[("Accept-Encoding", "gzip, br")]).await;
    assert_eq!(stream.head.header("content-encoding"), "");
    assert!(stream.first().await.is_live());
}
