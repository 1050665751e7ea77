//! Which pages may use what: a socket is a permission by itself, so what needs only a socket is open to every origin.

use reqwest::Method;

use super::{KEYS, SHOP, path};
use crate::support::{Node, Stream};

const ORIGIN: (&str, &str) = ("Origin", "https://friend.example");

#[tokio::test]
async fn sockets_are_open_to_every_origin() {
    let allowed = ("ALLOWED_ORIGINS", ORIGIN.1);
    for environment in [&[KEYS][..], &[KEYS, allowed]] {
        let node = Node::start(environment).await;
        let socket = SHOP.socket(&node, "news").await;
        let mut stream = Stream::open(&node, &path(&socket), &[ORIGIN, ("Sec-Fetch-Site", "cross-site")]).await;
        assert_eq!(stream.head.header("access-control-allow-origin"), "*");
        assert_eq!(stream.head.header("access-control-allow-credentials"), "");
        stream.first().await;
        let request = |method, path: &str, body: &str| {
            let request = node.request(method, path).header(ORIGIN.0, ORIGIN.1).header("Sec-Fetch-Site", "cross-site");
            let request = request.header("Content-Type", "application/x-www-form-urlencoded");
            node.send(request.body(body.to_owned()))
        };
        let post_path = format!("/socket/{socket}");
        for (method, path, body, status) in [
            (Method::POST, &*post_path, "data=hi", 200),
            (Method::POST, &format!("/{post_path}"), "data=hi", 200),
            (Method::POST, "/socket/nonsense", "data=hi", 404),
            (Method::POST, &post_path, "data=%ff", 400),
            (Method::POST, "/eventsource", "", 405),
            (Method::GET, "/eventsource", "", 400),
            (Method::GET, &super::path("nonsense"), "", 404),
            (Method::HEAD, &super::path(&socket), "", 200),
            (Method::OPTIONS, "/eventsource", "", 204),
            (Method::OPTIONS, &post_path, "", 204),
        ] {
            let answer = request(method, path, body).await;
            assert_eq!((answer.status, answer.header("access-control-allow-origin").as_str()), (status, "*"), "{path}");
            if status == 204 {
                let headers = answer.header("access-control-allow-headers");
                assert_eq!(headers, "Last-Event-ID, Cache-Control, Content-Type");
            }
        }
        assert!(!node.log().contains("friend.example"), "it was not refused: {}", node.log());
    }
}

#[tokio::test]
async fn calls_are_not_open_to_other_origins() {
    let node = Node::start(&[KEYS]).await;
    let fields = [("channel", "news")];
    let answer = SHOP.call_with(&node, "/socket", &fields, &[ORIGIN]).await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), "");
}
