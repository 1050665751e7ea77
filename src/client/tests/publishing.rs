//! What a publisher makes of the answers of a server.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::server::{Script, Server, answer, json};
use crate::client::publisher::{PublishError, Publisher};

/// Publishes a message to a server that gives these answers, and returns the result and the bodies of the requests.
async fn publish(answers: impl IntoIterator<Item = Script>) -> (Result<String, PublishError>, Vec<Value>) {
    let mut server = Server::start(answers).await;
    let publisher = Publisher::to(server.url("/lobby")).unwrap().sender("mason").patience(Duration::from_secs(1));
    let result = publisher.publish("hi", None).await;
    let body = |request: String| serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    (result, server.requests_so_far().into_iter().map(body).collect())
}

fn stored() -> Script {
    json(200, "", r#"{"id":"7-1"}"#)
}

/// Returns an answer that breaks off, after its head if it has any.
fn cut(bytes: &str) -> Script {
    Script { bytes: bytes.into(), stays_open: false }
}

#[tokio::test]
async fn a_message_is_posted_with_one_key_until_it_is_stored() {
    let (result, requests) =
        publish([answer(503, ""), cut(""), cut("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"), stored()]).await;
    assert_eq!(result, Ok("7-1".to_owned()));
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| *request == requests[0]), "{requests:?}");
    assert_eq!((&requests[0]["message"], &requests[0]["sender"]), (&"hi".into(), &"mason".into()));
    assert_eq!(requests[0]["key"].as_str().map(str::len), Some(32));
    let (_, others) = publish([stored()]).await;
    assert_ne!(others[0]["key"], requests[0]["key"]);
}

#[tokio::test]
async fn patience_ends_with_what_is_known() {
    let refused = |error: &str| Err(PublishError::Refused(error.to_owned()));
    let unknown = |error: &str| Err(PublishError::Unknown(error.to_owned()));
    let since = Instant::now();
    let later = "Retry-After: 100\r\n";
    let limited = || json(429, later, r#"{"detail":"Too many."}"#);
    assert_eq!(publish([limited(), limited()]).await.0, refused("429 Too many."), "never taken");
    let (result, _) = publish([answer(500, later), limited()]).await;
    assert_eq!(result, unknown("429 Too many."), "the first may have been");
    assert!(since.elapsed() < Duration::from_secs(20), "Retry-After is longer than patience");
    let (result, requests) = publish([]).await;
    assert!(matches!(result, Err(PublishError::Unknown(_))) && requests.is_empty(), "{result:?}");
}

#[tokio::test]
async fn a_refusal_is_final() {
    for status in [400, 403, 404, 413, 422] {
        let (result, requests) = publish([json(status, "", r#"{"detail":"No\u001b."}"#), stored()]).await;
        assert_eq!(result, Err(PublishError::Refused(format!("{status} No\u{fffd}."))));
        assert_eq!(requests.len(), 1);
    }
    let (result, _) = publish([answer(200, ""), stored()]).await;
    assert!(matches!(result, Err(PublishError::Unknown(_))), "{result:?}");
}

#[tokio::test]
async fn only_redirects_that_keep_the_method_are_followed() {
    for status in [307, 308] {
        let (result, requests) = publish([answer(status, "Location: /other\r\n"), stored()]).await;
        assert_eq!((result, requests.len()), (Ok("7-1".to_owned()), 2));
    }
    for status in [301, 302, 303] {
        let (result, _) = publish([answer(status, "Location: /other\r\n"), stored()]).await;
        assert!(matches!(result, Err(PublishError::Refused(_))), "{result:?}");
    }
}
