//! The routes themselves: methods, other sites, room names, and the option that turns them off.

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Node, Stream};

/// The routes, with the methods that they have.
const ROUTES: [(&str, &str); 6] = [
    ("/rooms/lobby/events", "GET, HEAD"),
    ("/rooms/lobby/chats", "GET, HEAD, POST"),
    ("/users", "POST"),
    ("/users/1", "GET, HEAD"),
    ("/api/my-events", "GET, HEAD"),
    ("/api/heartbeat", "GET, HEAD"),
];

const STREAMS: [&str; 3] = ["/rooms/lobby/events", "/api/my-events", "/api/heartbeat"];

const POSTS: [&str; 2] = ["/rooms/lobby/chats", "/users"];

async fn post(node: &Node, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = node.request(Method::POST, path).json(&json!({ "message": "hi", "userId": 1 }));
    node.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)))
        .await
}

#[tokio::test]
async fn other_methods_of_the_rooms_api_are_405() {
    let node = Node::start(&[]).await;
    for (path, allowed) in ROUTES {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            if allowed.split(", ").any(|allowed| allowed == method.as_str()) {
                continue;
            }
            let answer = node.send(node.request(method.clone(), path)).await.expect(405);
            assert_eq!(answer.header("allow"), allowed, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn posts_to_the_rooms_api_from_other_sites_are_refused() {
    let node = Node::start(&[("ALLOWED_ORIGINS", "https://friend.example")]).await;
    for path in POSTS {
        post(&node, path, &[("Sec-Fetch-Site", "cross-site")]).await.problem(403);
        post(&node, path, &[("Origin", "https://evil.example")]).await.problem(403);
        let friend = [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://friend.example")];
        let answer = post(&node, path, &friend).await.expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), "https://friend.example");
        let preflight = node
            .request(Method::OPTIONS, path)
            .header("Origin", "https://friend.example")
            .header("Access-Control-Request-Method", "POST");
        let answer = node.send(preflight).await.expect(204);
        assert!(answer.header("access-control-allow-methods").contains("POST"));
        assert!(answer.header("access-control-allow-headers").contains("Content-Type"));
    }
    assert_eq!(node.stored("lobby").await.len(), 1);
}

#[tokio::test]
async fn streams_of_the_rooms_api_answer_allowed_origins() {
    let node = Node::start(&[("ALLOWED_ORIGINS", "https://friend.example")]).await;
    for path in STREAMS {
        for origin in ["https://friend.example", "https://evil.example"] {
            let head = Stream::open(&node, path, &[("Origin", origin), ("Sec-Fetch-Site", "cross-site")]).await.head;
            let allowed = if origin.contains("friend") { origin } else { "" };
            assert_eq!((head.status, head.header("access-control-allow-origin").as_str()), (200, allowed), "{path}");
            assert_eq!(head.header("content-type"), "text/event-stream; charset=utf-8");
            assert_eq!(head.header("x-content-type-options"), "nosniff");
        }
        let head = node.send(node.request(Method::HEAD, path)).await.expect(200);
        assert_eq!((head.media_type().as_str(), head.body.len()), ("text/event-stream", 0));
    }
}

#[tokio::test]
async fn rules_of_room_names_hold_in_the_rooms_api() {
    let node = Node::start(&[]).await;
    let id = node.post("caf%C3%A9", "mason", "hi").await;
    for name in ["caf%C3%A9", "cafe%CC%81"] {
        let chats = node.get(&format!("/rooms/{name}/chats")).await.expect(200).json();
        assert_eq!(chats[0]["message"], "hi", "{name} {id}");
    }
    for name in ["-a", "a%20b", "%FF", "history", "Rooms", "iframe.js", "a,b"] {
        let path = format!("/rooms/{name}/chats");
        node.get(&path).await.problem(404);
        post(&node, &path, &[]).await.problem(404);
        node.get(&format!("/rooms/{name}/events")).await.problem(404);
    }
    for path in [
        "/rooms",
        "/rooms/",
        "/rooms/lobby",
        "/rooms/lobby/",
        "/rooms/lobby/chat",
        "/users/",
        "/api",
        "/api/x",
    ] {
        node.get(path).await.problem(404);
    }
}

#[tokio::test]
async fn rooms_api_off_answers_404_as_if_it_did_not_exist() {
    let (off, on) = (Node::start(&[("ROOMS_API", "off")]).await, Node::start(&[("ROOMS_API", "on")]).await);
    for (path, allowed) in ROUTES {
        for method in [Method::GET, Method::POST] {
            off.send(off.request(method, path)).await.problem(404);
        }
        let method = if allowed.starts_with("GET") { Method::HEAD } else { Method::POST };
        let answer = on.send(on.request(method, path)).await;
        assert!(answer.status == 200 || path == "/users/1", "{path}: {answer:?}");
    }
    off.publish("rooms", json!({ "message": "hi" })).await.problem(404);
    off.post("lobby", "mason", "the rest works").await;
}
