//! Further programs and URLs: Valkey under its own schemes, Unix sockets, IPv6, and passwords of any characters. Every
//! rule of `on_every_form!` holds for each version of Redis and for Valkey.

use crate::support::{Node, Program, Redis, Stream, TlsRedis, key};

/// Checks that two nodes share a room.
async fn assert_shared(url: &str) {
    let nodes = [Node::start(&[("REDIS_URL", url)]).await, Node::start(&[("REDIS_URL", url)]).await];
    let mut readers = [Stream::live(&nodes[0], "lobby").await, Stream::live(&nodes[1], "lobby").await];
    for node in &nodes {
        let id = node.post("lobby", "mason", "hi").await;
        for reader in &mut readers {
            assert_eq!(reader.next_message().await.id, id);
        }
    }
    assert_eq!(nodes[0].stored("lobby").await.len(), 2);
}

/// Starts a server that listens on a Unix socket as well, and returns the path of that.
async fn start_with_socket(program: Program) -> (Redis, String) {
    // Relative to the directory of the server.
    let redis = Redis::of(program, &["--unixsocket", "redis.sock"]).await;
    let path = redis.directory().join("redis.sock");
    (redis, path.to_str().expect("a path").to_owned())
}

/// Returns whether a database has the log of the lobby.
async fn has_lobby(redis: &Redis, database: &str) -> bool {
    let mut connection = redis.connect().await.expect("a connection");
    let mut pipeline = redis::pipe();
    pipeline.cmd("SELECT").arg(database).ignore().cmd("EXISTS").arg(key("lobby"));
    let (exists,): (bool,) = pipeline.query_async(&mut connection).await.expect("redis answers");
    exists
}

#[tokio::test]
async fn unix_sockets_have_a_database() {
    let (redis, path) = start_with_socket(Program::Redis).await;
    assert_shared(&format!("redis+unix://{path}?db=2")).await;
    assert_eq!([has_lobby(&redis, "0").await, has_lobby(&redis, "2").await], [false, true]);
    assert_shared(&format!("unix://{path}?db=3")).await;
    assert!(has_lobby(&redis, "3").await);
}

#[tokio::test]
async fn unix_sockets_take_a_user_and_a_password() {
    let (redis, path) = start_with_socket(Program::Redis).await;
    let _: String = redis.cmd(&["ACL", "SETUSER", "me", "on", ">p&ss w%rd", "~*", "&*", "+@all"]).await;
    assert_shared(&format!("redis+unix://{path}?user=me&pass=p%26ss%20w%25rd")).await;
    let stranger = Node::launch(&[("REDIS_URL", &format!("redis+unix://{path}?user=me&pass=guess"))]).await;
    stranger.logged("Redis refuses this node").await;
}

#[tokio::test]
async fn databases_of_a_server_are_chosen_in_the_url() {
    let redis = Redis::start().await;
    assert_shared(&format!("{}/5", redis.url())).await;
    assert!(has_lobby(&redis, "5").await && !has_lobby(&redis, "0").await);
}

#[tokio::test]
async fn ipv6_hosts_are_reached() {
    let redis = Redis::with(&["--bind", "127.0.0.1", "::1"]).await;
    assert_shared(&format!("redis://[::1]:{}", redis.port())).await;
    assert_shared(&format!("redis://[::1]:{}/1", redis.port())).await;
}

#[tokio::test]
async fn passwords_are_percent_encoded_in_urls() {
    let redis = Redis::start().await;
    let _: String = redis.cmd(&["ACL", "SETUSER", "m@e", "on", ">a:b/c@d?e#f%g ü", "~*", "&*", "+@all"]).await;
    let user = "m%40e:a%3Ab%2Fc%40d%3Fe%23f%25g%20%C3%BC";
    let url = redis.url().replace("redis://", &format!("redis://{user}@"));
    assert_shared(&url).await;
    let refused = Node::launch(&[("REDIS_URL", &url.replace("%23f", ""))]).await;
    refused.logged("Redis refuses this node").await;
    assert!(!refused.log().contains("a%3Ab") && !refused.log().contains("a:b"), "{}", refused.log());
}

/// Debian's Redis has TLS, which the Valkey here has not. The scheme is all that differs.
#[tokio::test]
async fn schemes_of_valkey_have_tls() {
    let server = TlsRedis::start().await;
    let node = server.launch(&server.url().replace("rediss:", "valkeys:"), "").await;
    node.ready().await;
    node.post("lobby", "mason", "hi").await;
    assert!(server.cmd::<bool>(&["EXISTS", &key("lobby")]).await);
}

mod schemes {
    use super::{Program, Redis, assert_shared, has_lobby, start_with_socket};

    #[tokio::test]
    async fn valkey_has_schemes_of_its_own() {
        let valkey = Redis::of(Program::Valkey, &[]).await;
        assert_shared(&valkey.url().replace("redis:", "valkey:")).await;
        assert!(has_lobby(&valkey, "0").await);
    }

    #[tokio::test]
    async fn valkey_listens_on_unix_sockets() {
        let (valkey, path) = start_with_socket(Program::Valkey).await;
        assert_shared(&format!("valkey+unix://{path}?db=1")).await;
        assert!(has_lobby(&valkey, "1").await);
    }
}
