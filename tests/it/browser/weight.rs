//! What a browser fetches before it shows a room: how many bytes, which modules, and in which content coding.

use std::{collections::BTreeSet, io::Read};

use reqwest::Method;

use crate::support::{Answer, Node, Stream, eventually};

/// The most bytes that the first view of a room may have, compressed.
const MAX_FIRST_VIEW_BYTES: usize = 20_000;

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

/// Returns the modules that a module imports statically.
fn imports(module: &str) -> Vec<String> {
    let statements = module.split(';').map(str::trim_start).filter(|text| text.contains("from './"));
    let name = |text: &str| Some(text.split("from './").nth(1)?.split('\'').next()?.to_owned());
    statements.filter_map(name).collect()
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

/// Returns what a first view fetches, with its bytes: the page, and the files that it and its modules name.
async fn first_view(node: &Node, coding: &str) -> Vec<(String, usize)> {
    let page = get(node, "/lobby", coding).await;
    assert_eq!(page.header("content-encoding"), coding);
    let html = decoded(&page);
    assert_eq!(html.matches("data-id=").count(), 50);
    let mut wanted: BTreeSet<String> = attribute_values(&html, "link", "href")
        .into_iter()
        .chain(attribute_values(&html, "script", "src"))
        .collect();
    let mut fetched = vec![("the page".to_owned(), page.body.len())];
    while let Some(path) = wanted.pop_first() {
        if fetched.iter().any(|(known, _)| *known == path) {
            continue;
        }
        let file = get(node, &path, coding).await;
        if path.ends_with(".js") {
            let folder = path.rsplit_once('/').expect("a folder").0;
            wanted.extend(imports(&decoded(&file)).iter().map(|name| format!("{folder}/{name}")));
        }
        fetched.push((path, file.body.len()));
    }
    fetched
}

#[tokio::test]
async fn first_view_of_50_messages_is_at_most_20_kb() {
    let node = Node::start(&[("RATE_LIMIT", "0")]).await;
    for number in 0..60 {
        node.post("lobby", ["mason", "ada", "grace"][number % 3], &sample_text(number)).await;
    }
    for coding in CODINGS {
        let fetched = first_view(&node, coding).await;
        let all: usize = fetched.iter().map(|(_, bytes)| bytes).sum();
        assert!(all <= MAX_FIRST_VIEW_BYTES, "{coding}: {all} bytes: {fetched:?}");
    }
}

/// The smallest form takes long to make, so the first client gets another.
#[tokio::test]
async fn the_first_client_does_not_wait_for_the_best_compression() {
    let node = Node::start(&[]).await;
    let page = decoded(&get(&node, "/lobby", "identity").await);
    let script = attribute_values(&page, "type=\"module\"", "src").remove(0);
    let first = get(&node, &script, "br").await;
    let smaller = async || Some(get(&node, &script, "br").await).filter(|later| later.body.len() < first.body.len());
    let later = eventually("a smaller form", smaller).await;
    assert_eq!(decoded(&later), decoded(&first));
}

/// A module that the page does not name is fetched only when another one has arrived.
#[tokio::test]
async fn page_preloads_every_module_of_the_first_view() {
    let node = Node::start(&[]).await;
    let html = decoded(&get(&node, "/lobby", "identity").await);
    let named: BTreeSet<String> = attribute_values(&html, "modulepreload", "href")
        .into_iter()
        .chain(attribute_values(&html, "type=\"module\"", "src"))
        .collect();
    assert!(!named.is_empty());
    for path in &named {
        let folder = path.rsplit_once('/').expect("a folder").0;
        for name in imports(&decoded(&get(&node, path, "identity").await)) {
            let imported = format!("{folder}/{name}");
            assert!(named.contains(&imported), "{path} needs {imported}, which the page does not preload");
        }
    }
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
