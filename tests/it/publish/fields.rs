//! The fields of a message: what each may hold, counted in Unicode scalar values (contract § 4).

use reqwest::Method;
use serde_json::json;

use crate::support::Node;

#[tokio::test]
async fn message_has_1_to_4000_characters_not_bytes() {
    let node = Node::start(&[]).await;
    for text in ["x", "😀", "&"] {
        node.publish("lobby", json!({ "message": text })).await.expect(200);
        node.publish("lobby", json!({ "message": text.repeat(4000) })).await.expect(200);
        node.publish("lobby", json!({ "message": text.repeat(4001) })).await.problem(422);
    }
    let form = node.request(Method::POST, "/lobby").form(&[("message", "😀".repeat(4000))]);
    node.send(form).await.expect(200);
}

#[tokio::test]
async fn blank_or_missing_message_is_422() {
    let node = Node::start(&[]).await;
    for fields in [json!({}), json!({ "sender": "mason" })] {
        node.publish("lobby", fields).await.problem(422);
    }
    for text in ["", " ", "\n", " \t\r\n ", "\u{A0}", "\u{3000}\u{2003}", "\u{2028}\u{2029}\u{85}"] {
        node.publish("lobby", json!({ "message": text })).await.problem(422);
    }
}

#[tokio::test]
async fn message_text_is_stored_unchanged() {
    let node = Node::start(&[]).await;
    for text in [
        "  two  spaces  ",
        "\n\nline\r\nbreaks\r",
        "\ttab\u{3000}",
        "e\u{301} is not \u{e9}",
        "\u{feff}\u{200b}\u{202e}",
    ] {
        node.publish("lobby", json!({ "message": text })).await.expect(200);
        assert_eq!(node.newest("lobby").await["message"], text);
    }
    let form = node.request(Method::POST, "/lobby").form(&[("message", " a\r\nb\nc\rd ")]);
    node.send(form).await.expect(200);
    assert_eq!(node.newest("lobby").await["message"], " a\r\nb\nc\rd ");
}

#[tokio::test]
async fn sender_has_up_to_64_characters_not_bytes() {
    let node = Node::start(&[]).await;
    for text in ["x", "😀", "<"] {
        node.publish("lobby", json!({ "message": "hi", "sender": text.repeat(64) })).await.expect(200);
        node.publish("lobby", json!({ "message": "hi", "sender": text.repeat(65) })).await.problem(422);
    }
}

#[tokio::test]
async fn sender_allows_no_control_or_format_characters_but_joiners() {
    let node = Node::start(&[]).await;
    let control = ['\0', '\u{7}', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}'];
    let format = [
        '\u{ad}',
        '\u{200b}',
        '\u{200e}',
        '\u{202e}',
        '\u{2066}',
        '\u{feff}',
        '\u{e0041}',
        '\u{61c}',
        '\u{2060}',
    ];
    for refused in control.into_iter().chain(format) {
        let answer = node.publish("lobby", json!({ "message": "hi", "sender": format!("ma{refused}son") })).await;
        assert_eq!(answer.status, 422, "{refused:?}");
        answer.problem(422);
    }
    for sender in ["नर्‌ता", "👩\u{200d}🚀", "Zoë", "日本", "a b"] {
        node.publish("lobby", json!({ "message": "hi", "sender": sender })).await.expect(200);
        assert_eq!(node.newest("lobby").await["sender"], sender);
    }
}

#[tokio::test]
async fn missing_or_blank_sender_becomes_anonymous() {
    let node = Node::start(&[]).await;
    for fields in [
        json!({ "message": "hi" }),
        json!({ "message": "hi", "sender": "" }),
        json!({ "message": "hi", "sender": "  " }),
    ] {
        node.publish("lobby", fields).await.expect(200);
        assert_eq!(node.newest("lobby").await["sender"], "Anonymous");
    }
}
