//! Calls of apps and of browsers: their statuses and bodies, and the order of the checks.

use reqwest::Method;

use super::app::now;
use super::{KEYS, OPEN, SHOP, assert_text, path, post_to};
use crate::support::{Answer, BROWSER, Node, post_until_rate_limited};

type Fields<'a> = &'a [(&'a str, &'a str)];

/// Posts a form without a signature.
async fn post(node: &Node, path: &str, fields: Fields<'_>) -> Answer {
    node.send(node.request(Method::POST, path).form(fields)).await
}

/// Every fault of a call hides those that are checked after it.
#[tokio::test]
async fn checks_of_calls_have_an_order() {
    let node = Node::start(&[KEYS]).await;
    let (good, stale) = (now().to_string(), (now() - 301).to_string());
    let (token, stale_token) = (SHOP.token(&good), SHOP.token(&stale));
    let (upper, other) = (token.to_uppercase(), OPEN.token(&good));
    let missing = (401, "Access Denied - Missing Credentials");
    let bad = (401, "Access Denied - Bad Credentials");
    let unknown = (404, "User not found");
    let no_channel = (400, "Missing param: channel");
    fn sign<'a>(key: &'a str, timestamp: &'a str, token: &'a str) -> [(&'a str, &'a str); 3] {
        [("key", key), ("timestamp", timestamp), ("token", token)]
    }
    let shop = sign("shop", &good, &token);
    let both: &[(Fields, (u16, &str))] = &[
        (&[], missing),
        (&shop[1..], missing),
        (&[shop[0], shop[1]], missing),
        (&[shop[0], shop[2]], missing),
        (&sign("", &good, &token), missing),
        (&sign("nobody", "", &token), missing),
        (&sign("nobody", &stale, "x"), unknown),
        (&sign("SHOP", &good, &token), unknown),
        (&sign("shop", &good, "x"), bad),
        (&sign("shop", &good, &upper), bad),
        (&sign("shop", &good, &other), bad),
        (&shop, no_channel),
        (&[&shop[..], &[("channel", "")]].concat(), no_channel),
    ];
    for endpoint in ["/socket", "/event"] {
        for (fields, (status, text)) in both {
            assert_text(post(&node, endpoint, fields).await, *status, text);
        }
        for token in ["x", &stale_token] {
            assert_stale(post(&node, endpoint, &sign("shop", &stale, token)).await, &stale);
        }
    }
    let long = "c".repeat(1025);
    let after_signature: &[(&str, Fields, (u16, &str))] = &[
        ("/socket", &[("channel", &long), ("presence_id", "a\u{7}b")], (400, "Invalid param: presence_id")),
        ("/socket", &[("channel", &long)], (400, "Invalid param: channel")),
        ("/event", &[("channel", &long), ("type", "a b")], (400, "Missing param: data")),
        ("/event", &[("channel", &long), ("data", ""), ("type", "a b")], (400, "Invalid param: type")),
        ("/event", &[("channel", &long), ("data", ""), ("name", "ping")], (400, "Invalid param: name")),
        (
            "/event",
            &[("channel", &long), ("data", ""), ("type", ""), ("name", "a b")],
            (400, "Invalid param: name"),
        ),
        ("/event", &[("channel", &long), ("data", "")], (400, "Invalid param: channel")),
    ];
    for (endpoint, fields, (status, text)) in after_signature {
        assert_text(SHOP.call(&node, endpoint, fields).await, *status, text);
    }
    for channel in ["private-x", "eshq.x"] {
        for endpoint in ["/event", "/socket"] {
            let fields = [("channel", channel), ("data", "")];
            assert_text(OPEN.call(&node, endpoint, &fields).await, 400, "Invalid param: channel");
        }
    }
    assert_text(node.get("/channel/news/users").await, missing.0, missing.1);
    assert_text(node.get(&SHOP.users("news").replace("key=shop", "key=nobody")).await, unknown.0, unknown.1);
    assert_text(node.get(&SHOP.users("")).await, no_channel.0, no_channel.1);
    assert_text(node.get(&SHOP.users("%ff")).await, 400, "Invalid param: channel");
}

/// Checks the refusal of a timestamp, which tells the server's time in microseconds.
#[track_caller]
fn assert_stale(answer: Answer, timestamp: &str) {
    let begin = format!("Access Denied - Timestamp invalid, timestamp: \"{timestamp}\" server time: ");
    let time = answer.text().strip_prefix(&begin).and_then(|rest| rest.strip_suffix('s')).unwrap_or_default();
    let time = time.to_owned();
    let (seconds, micros) = time.split_once('.').unwrap_or_default();
    assert!((now() - seconds.parse::<i64>().unwrap_or_default()).abs() < 60 && micros.len() == 6, "{answer:?}");
    assert_text(answer, 401, &format!("{begin}{time}s"));
}

#[tokio::test]
async fn timestamp_is_an_integer_close_to_now() {
    let node = Node::start(&[KEYS]).await;
    for good in [now() - 250, now() + 250] {
        let form = [&SHOP.signature_at(good)[..], &[("channel", "news".to_owned())]].concat();
        node.send(node.request(Method::POST, "/socket").form(&form)).await.expect(200);
    }
    for bad in [format!("{}.5", now()), format!("+{}", now()), "x\"\n".into(), "9".repeat(70)] {
        let answer = node.send(node.request(Method::POST, "/socket").form(&SHOP.signature_at(&bad))).await;
        assert_stale(answer, bad.get(..64).unwrap_or(&bad));
    }
}

#[tokio::test]
async fn fields_come_in_a_form_or_in_the_query() {
    let node = Node::start(&[KEYS]).await;
    let [key, token, timestamp] = SHOP.signature().map(|(name, value)| format!("{name}={value}"));
    let query = format!("/socket?{key}&{token}&{timestamp}&channel=in-query");
    let answer = node.send(node.request(Method::POST, &query)).await.expect(200);
    assert_eq!(answer.json()["channel"], "in-query");
    let request = node.request(Method::POST, &query).form(&[("channel", "in-body")]);
    assert_eq!(node.send(request).await.expect(200).json()["channel"], "in-body");
    let mut form = reqwest::multipart::Form::new().text("channel", "in parts").text("id", "1").text("extra", "2");
    for (name, value) in SHOP.signature() {
        form = form.text(name, value);
    }
    let answer = node.send(node.request(Method::POST, "/socket").multipart(form)).await.expect(200);
    assert_eq!(answer.json()["channel"], "in parts");
}

/// What all requests have in common stays as the contract has it.
#[tokio::test]
async fn bodies_that_cannot_be_read_are_problems() {
    let node = Node::start(&[KEYS]).await;
    for path in ["/socket", "/event", "/socket/x"] {
        let with_type = |content_type: &str, body: String| {
            let request = node.request(Method::POST, path).header("Content-Type", content_type);
            node.send(request.header("Accept", "text/plain").body(body))
        };
        with_type("application/json", "{}".into()).await.problem(415);
        with_type("application/x-www-form-urlencoded", "x".repeat(65 << 10)).await.problem(413);
        with_type("multipart/form-data; boundary=a", "nonsense".into()).await.problem(400);
        with_type("application/x-www-form-urlencoded", "data=%ff".into()).await.problem(400);
    }
    // 20 KiB of line breaks are a frame of 140 KiB.
    let mut form = reqwest::multipart::Form::new().text("channel", "news").text("data", "\n".repeat(20 << 10));
    for (name, value) in SHOP.signature() {
        form = form.text(name, value);
    }
    node.send(node.request(Method::POST, "/event").multipart(form)).await.problem(413);
}

#[tokio::test]
async fn http_basic_stands_for_a_signature() {
    let node = Node::start(&[KEYS]).await;
    let with = |key: &str, secret: &str, fields: Fields| {
        node.send(node.request(Method::POST, "/socket").basic_auth(key, Some(secret)).form(fields))
    };
    let channel = [("channel", "news")];
    with("shop", SHOP.secret, &channel).await.expect(200);
    assert_text(with("shop", OPEN.secret, &channel).await, 401, "Access Denied - Bad Credentials");
    assert_text(with("nobody", SHOP.secret, &channel).await, 404, "User not found");
    assert_text(with("shop", "", &channel).await, 401, "Access Denied - Missing Credentials");
    assert_text(with("shop", SHOP.secret, &[]).await, 400, "Missing param: channel");
    // Where any of the three fields is there, they count.
    for name in ["key", "timestamp", "token"] {
        let fields = [("channel", "news"), (name, "")];
        assert_text(with("shop", SHOP.secret, &fields).await, 401, "Access Denied - Missing Credentials");
    }
}

#[tokio::test]
async fn answers_of_calls_are_exact() {
    let node = Node::start(&[KEYS, ("NODE", "chat-1")]).await;
    let accept = [("Accept", BROWSER)];
    let fields = [("channel", "a\u{301} \"b\""), ("presence_id", "<ada>")];
    let answer = SHOP.call_with(&node, "//socket", &fields, &accept).await.expect(200);
    let socket = answer.json()["socket"].as_str().expect("an id").to_owned();
    let expected = format!("{{\"socket\":\"{socket}\",\"channel\":\"a\u{301} \\\"b\\\"\",\"presence_id\":\"<ada>\"}}");
    assert_eq!((answer.text(), answer.header("content-type").as_str()), (expected.as_str(), "application/json"));
    assert_eq!(answer.header("cache-control"), "no-store");
    let blank = SHOP.call(&node, "/socket", &[("channel", "c"), ("presence_id", "")]).await.expect(200);
    assert!(blank.text().ends_with(",\"channel\":\"c\",\"presence_id\":null}"), "{}", blank.text());
    let answer = SHOP.call_with(&node, "//event", &[("channel", "c"), ("data", "")], &accept).await.expect(200);
    assert_eq!((answer.text(), answer.header("content-type").as_str()), ("{}", "application/json"));
    assert_text(post_to(&node, &socket, &[("data", "hi")]).await, 200, "Ok");
    let answer = node.get("/broker").await.expect(200);
    assert_eq!(answer.text(), r#"{"broker_id":"chat-1","connections":0,"master":true}"#);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(node.send(node.request(Method::HEAD, "/status")).await.status, 200);
    let page = node.send(node.request(Method::POST, "/event").header("Accept", BROWSER)).await;
    assert_text(page, 401, "Access Denied - Missing Credentials");
    let other = node.request(Method::GET, "/socket");
    assert_eq!(node.send(other).await.expect(405).header("allow"), "POST");
}

/// The checks of requests that need only a socket.
#[tokio::test]
async fn checks_of_sockets_have_an_order() {
    let node = Node::start(&[KEYS]).await;
    let none = "00000000-0000-4000-8000-000000000000";
    let (shop, open) = (SHOP.socket(&node, "news").await, OPEN.socket(&node, "news").await);
    let cases: &[(&str, Fields, u16, &str)] = &[
        (none, &[], 404, "Socket Not Found"),
        ("nonsense", &[], 404, "Socket Not Found"),
        (&shop.to_uppercase(), &[], 404, "Socket Not Found"),
        (&open, &[], 400, "Missing param: data"),
        (&open, &[("data", "x"), ("type", "a b")], 400, "Invalid param: type"),
        (&open, &[("data", "x"), ("name", "gap")], 400, "Invalid param: name"),
        (&open, &[("data", "x")], 403, "Access Denied - Read only"),
        (&shop, &[("data", "x"), ("name", "note")], 200, "Ok"),
    ];
    for (socket, fields, status, text) in cases {
        assert_text(post_to(&node, socket, fields).await, *status, text);
    }
    assert_text(node.get("/eventsource").await, 400, "Missing param: socket");
    assert_text(node.get("/eventsource?socket=").await, 400, "Missing param: socket");
    assert_text(node.page(&path(none)).await, 404, "Socket Not Found");
    assert_text(node.get(&path("nonsense")).await, 404, "Socket Not Found");
    for gone in ["/eventsource/iframe", "/eventsource/script.js"] {
        node.get(&format!("{gone}?socket={shop}")).await.problem(404);
    }
}

#[tokio::test]
async fn calls_do_not_count_against_the_rate_limit() {
    let node = Node::start(&[KEYS, ("RATE_LIMIT", "1"), ("RATE_BURST", "3")]).await;
    let socket = SHOP.socket(&node, "news").await;
    for _ in 0..10 {
        SHOP.send(&node, "news", "", "x").await;
    }
    let (_, refused) = post_until_rate_limited(async || post_to(&node, &socket, &[("data", "x")]).await).await;
    assert!(!refused.header("retry-after").is_empty(), "{refused:?}");
    refused.problem(429);
    SHOP.send(&node, "news", "", "x").await;
}
