//! URLs of the add-on's time: `redis://redistogo:PASSWORD@…`, whose user was never sent, since Redis knew none.

use crate::support::{Node, Redis, Stream};

const PASSWORD: &str = "hunter2";

/// What the log says about a user that Redis does not know.
const UNKNOWN_USER: &str = "does not know the user in REDISTOGO_URL";

/// Starts a Redis that knows a password and no user. Commands of the test that connect after this are refused.
async fn start_with_password() -> Redis {
    let redis = Redis::start().await;
    let _: String = redis.cmd(&["CONFIG", "SET", "requirepass", PASSWORD]).await;
    redis
}

fn url(redis: &Redis, password: &str) -> String {
    redis.url().replace("redis://", &format!("redis://redistogo:{password}@"))
}

/// On every connection: for posts, announcements and reads of the log.
#[tokio::test]
async fn unknown_user_in_redistogo_url_is_left_out_and_said_once() {
    let redis = start_with_password().await;
    let node = Node::start(&[("REDISTOGO_URL", &url(&redis, PASSWORD))]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let id = node.post("lobby", "mason", "hi").await;
    assert_eq!(reader.next_message().await.id, id);
    assert_eq!(Stream::resume(&node, "lobby", "0-0").await.next_message().await.id, id);
    assert_eq!(node.stored("lobby").await.len(), 1);
    node.logged(UNKNOWN_USER).await;
    let log = node.log();
    assert_eq!(log.matches(UNKNOWN_USER).count(), 1, "{log}");
    assert!(!log.contains("WRONGPASS") && !log.contains(PASSWORD), "{log}");
}

/// A password that is wrong with the user and without it, and any unknown user in `REDIS_URL`.
#[tokio::test]
async fn other_wrong_credentials_stay_an_error() {
    let redis = start_with_password().await;
    for (variable, url) in [("REDISTOGO_URL", url(&redis, "wrong")), ("REDIS_URL", url(&redis, PASSWORD))] {
        let node = Node::launch(&[(variable, &url)]).await;
        let line = node.logged("cause=").await;
        assert!(line.contains("refuses this node") && line.contains("WRONGPASS"), "{variable}: {line}");
        assert!(!node.log().contains(UNKNOWN_USER), "{variable}: {}", node.log());
        node.get("/readyz").await.expect(503);
    }
}

#[tokio::test]
async fn user_in_redistogo_url_that_redis_knows_is_used() {
    let redis = Redis::start().await;
    let _: String = redis.cmd(&["ACL", "SETUSER", "redistogo", "on", ">hunter2", "~*", "&*", "+@all"]).await;
    let node = Node::start(&[("REDISTOGO_URL", &url(&redis, PASSWORD))]).await;
    node.post("lobby", "mason", "hi").await;
    let clients: String = redis.cmd(&["CLIENT", "LIST"]).await;
    let of_the_node: Vec<_> = clients.lines().filter(|client| !client.contains("cmd=client")).collect();
    assert!(
        !of_the_node.is_empty() && of_the_node.iter().all(|client| client.contains("user=redistogo")),
        "{clients}"
    );
    assert!(!node.log().contains(UNKNOWN_USER), "{}", node.log());
}
