//! Room names: which are valid, and which spellings are the same room (contract § 4).

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::json;

use crate::support::{Node, get_raw};

/// Names that are no rooms in any ASCII case: the first segment of each route, and names reserved for later.
const RESERVED: &str = "subscribe history assets healthz readyz metrics robots.txt \
    socket event events eventsource eshq es.js rooms users api channel status broker iframe iframe.js message dashboard static presence \
    openapi.json sw.js manifest.webmanifest favicon.ico admin login ws";

fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

/// Checks that a room answers on each of its four routes.
async fn assert_is_a_room(node: &Node, name: &str) {
    let id = node.publish(name, json!({ "message": "hi" })).await.id();
    assert_eq!(node.history(name, "").await["last"], id, "{name}");
    node.get(&format!("/{name}")).await.expect(200);
    node.send(node.request(Method::HEAD, &format!("/subscribe/{name}"))).await.expect(200);
}

/// Checks that a name is 404 on each route, with a detail that names the rule.
async fn assert_is_no_room(node: &Node, name: &str) {
    for path in [format!("/{name}"), format!("/subscribe/{name}"), format!("/history/{name}")] {
        let rule = node.get(&path).await.problem(404);
        assert!(rule.contains("64") && rule.contains("letter"), "{path}: {rule:?} does not name the rule");
    }
    node.publish(name, json!({ "message": "hi" })).await.problem(404);
}

#[tokio::test]
async fn room_names_may_hold_letters_marks_digits_and_four_signs() {
    let node = Node::start(&[]).await;
    let longest = "日".repeat(64);
    for name in ["a", "7", "A-b_c.d~e", "café", "日本語", "हिन्दी", "٣", "Ünïcödé-1", &longest] {
        assert_is_a_room(&node, &encoded(name)).await;
    }
}

#[tokio::test]
async fn invalid_room_name_is_404_naming_the_rule() {
    let node = Node::start(&[]).await;
    let too_long = "x".repeat(65);
    for name in [
        &too_long,
        "-a",
        "_a",
        ".a",
        "~a",
        "\u{301}a",
        "a b",
        "a/b",
        "a\\b",
        "{a}",
        "a}",
        "a:b",
        "a*b",
        "a?b",
        "a#b",
        "a%b",
        "a\0b",
        "a\nb",
        "a\r\nb",
        "a\u{200b}b",
        "a\u{200d}b",
        "a\u{202e}b",
        "a\u{feff}",
        "😀",
        "a😀",
        "a+b",
        "a=b",
        "a&b",
        "a<b>",
        "a\"b",
        "...",
    ] {
        assert_is_no_room(&node, &encoded(name)).await;
    }
}

#[tokio::test]
async fn invalid_utf_8_in_a_room_name_is_404_naming_the_rule() {
    let node = Node::start(&[]).await;
    for name in ["%FF", "a%FFb", "%C3", "%C3%28", "%ED%A0%80", "%C0%AF", "a%80"] {
        assert_is_no_room(&node, name).await;
    }
}

/// Bytes that are not UTF-8 are invalid with and without percent-encoding.
#[tokio::test]
async fn a_path_is_decoded_exactly_once() {
    let node = Node::start(&[]).await;
    for path in ["/%2561", "/a%252Fb", "/%2Fa", "/a%2Fb", "/a%5Cb"] {
        node.get(path).await.problem(404);
    }
    for path in [b"/\xFF".as_slice(), b"/a\xC3\x28", b"/.", b"/..", b"/%2E%2E", b"/lobby/.."] {
        let answer = get_raw(&node, path).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}

#[tokio::test]
async fn room_names_compare_after_decoding_and_nfc_with_case() {
    let node = Node::start(&[]).await;
    let id = node.post("caf%C3%A9", "mason", "hi").await;
    for same in ["cafe%CC%81", "%63af%c3%a9", "%63%61%66%65%CC%81"] {
        assert_eq!(node.history(same, "").await["last"], id, "{same}");
    }
    for other in ["cafe", "Caf%C3%A9", "CAF%C3%89"] {
        assert_eq!(node.history(other, "").await["last"], "0-0", "{other}");
    }
}

#[tokio::test]
async fn reserved_names_are_404_in_any_ascii_case() {
    let node = Node::start(&[]).await;
    for name in RESERVED.split_whitespace() {
        let encoded = name.replacen(|c: char| c.is_ascii_lowercase(), &format!("%{:02X}", name.as_bytes()[0]), 1);
        for spelling in [name.to_owned(), name.to_uppercase(), encoded] {
            node.get(&format!("/subscribe/{spelling}")).await.problem(404);
            node.get(&format!("/history/{spelling}")).await.problem(404);
        }
        node.get(&format!("/{}", name.to_uppercase())).await.problem(404);
        node.publish(&name.to_uppercase(), json!({ "message": "hi" })).await.problem(404);
    }
    for not_quite in ["administrator", "admin-1", "web", "events2", "%C5%BFocket"] {
        assert_is_a_room(&node, not_quite).await;
    }
}

/// NFC turns the Kelvin sign into a plain K.
#[tokio::test]
async fn reserved_names_are_checked_after_nfc() {
    let node = Node::start(&[]).await;
    for path in ["/bro%E2%84%AAer", "/subscribe/bro%E2%84%AAer", "/history/soc%E2%84%AAet"] {
        node.get(path).await.problem(404);
    }
}

#[tokio::test]
async fn trailing_slash_on_a_page_redirects_with_308() {
    let node = Node::start(&[]).await;
    let answer = node.get("/lobby/").await.expect(308);
    assert_eq!(answer.header("location"), "/lobby");
    let answer = node.get("/caf%C3%A9/").await.expect(308);
    assert_eq!(answer.header("location").to_uppercase(), "/CAF%C3%A9");
}

#[tokio::test]
async fn redirects_never_leave_the_site() {
    let node = Node::start(&[]).await;
    for path in [
        "//evil.example/",
        "///evil.example/",
        "/%2Fevil.example/",
        "/\\evil.example/",
        "/%5Cevil.example/",
        "/.//evil.example/",
    ] {
        let answer = get_raw(&node, path).await;
        let location = answer
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("location: ").map(str::to_owned));
        if let Some(location) = location {
            assert!(
                location.starts_with('/') && !location[1..].starts_with(['/', '\\']),
                "{path} leads to {location:?}"
            );
        }
    }
}
