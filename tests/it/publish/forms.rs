//! The form of a browser without JavaScript: its redirect, and what an error page keeps (contract § 4).

use html_escape::decode_html_entities;
use reqwest::{Method, multipart};

use crate::support::{Answer, BROWSER, Node, Redis, post_until_rate_limited};

/// Submits the form as a browser without JavaScript does.
async fn submit(node: &Node, fields: &[(&str, &str)]) -> Answer {
    node.send(node.request(Method::POST, "/lobby").header("Accept", BROWSER).form(fields)).await
}

#[tokio::test]
async fn browser_form_is_redirected_to_its_room() {
    let node = Node::start(&[]).await;
    let answer = submit(&node, &[("sender", "mason"), ("message", "hi")]).await.expect(303);
    assert_eq!(answer.header("location"), "/lobby");
    let parts = multipart::Form::new().text("message", "hi");
    let request = node.request(Method::POST, "/caf%C3%A9").header("Accept", BROWSER).multipart(parts);
    let answer = node.send(request).await.expect(303);
    assert_eq!(answer.header("location").to_uppercase(), "/CAF%C3%A9");
    assert_eq!(node.newest("lobby").await["message"], "hi");
}

/// Negotiated with `Accept` and its quality values (RFC 9110 § 12.5.1).
#[tokio::test]
async fn error_is_html_only_if_the_client_prefers_html() {
    let node = Node::start(&[]).await;
    let refused = async |accept: &str| {
        node.send(node.request(Method::POST, "/lobby").header("Accept", accept).form(&[("message", "")]))
            .await
    };
    for accept in [BROWSER, "text/html", "application/json;q=0.5, text/html", "text/*, application/json;q=0.1"] {
        refused(accept).await.html(422);
    }
    for accept in [
        "*/*",
        "application/json",
        "application/problem+json, text/html;q=0.9",
        "application/json, text/html;q=0.5",
    ] {
        refused(accept).await.problem(422);
    }
}

#[tokio::test]
async fn refused_form_keeps_the_typed_text() {
    let node = Node::start(&[("RATE_LIMIT", "1"), ("RATE_BURST", "1")]).await;
    let sender = r#"mason "<i>" & sons"#;
    let message = "  <b>two</b> lines & \"quotes\"\nsecond </textarea><script>alert(1)</script>";
    let assert_keeps_text = |page: String| {
        assert!(
            !page.contains("<b>two") && !page.contains("<script>alert") && !page.contains("\"<i>\""),
            "unescaped: {page}"
        );
        let text = decode_html_entities(&page).replace("\r\n", "\n");
        assert!(text.contains(sender) && text.contains(message), "typed text is missing: {page}");
        assert!(
            page.contains("<form") && page.contains("name=\"sender\"") && page.contains("name=\"message\""),
            "no form: {page}"
        );
    };
    assert_keeps_text(submit(&node, &[("sender", sender), ("message", message), ("key", "a bad key")]).await.html(422));
    let (_, too_fast) =
        post_until_rate_limited(async || submit(&node, &[("sender", sender), ("message", message)]).await).await;
    assert_keeps_text(too_fast.html(429));
    let foreign = node
        .request(Method::POST, "/lobby")
        .header("Accept", BROWSER)
        .header("Sec-Fetch-Site", "cross-site");
    node.send(foreign.form(&[("sender", sender), ("message", message)])).await.html(403);
}

#[tokio::test]
async fn form_refused_in_an_outage_keeps_the_typed_text() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    redis.kill();
    let page = submit(&node, &[("sender", "mason"), ("message", "typed in an outage")]).await.html(503);
    assert!(page.contains("mason") && page.contains("typed in an outage"), "{page}");
}
