//! `tiny-chat keys new` and `tiny-chat keys purge`.

use std::{collections::BTreeSet, process::Command};

use reqwest::Method;
use serde_json::json;

use crate::support::{BINARY, Cluster, Exited, Node, Redis, Sentinels, Stream, eventually, key, slot_of};

const KEYS: &str =
    "shop:0123456789abcdef,blog:0123456789abcdef:blog~,wiki:0123456789abcdef:blog~,open:0123456789abcdef:";

/// A room of `shop` whose name is a hash.
const HASHED: &str = "private-eshq.d81d8837c9a57354df48e9e36b738009";

async fn purge(redis: &Redis, arguments: &[&str]) -> Exited {
    purge_at(&redis.url(), arguments).await
}

async fn purge_at(url: &str, arguments: &[&str]) -> Exited {
    let environment = [("REDIS_URL", url), ("APP_KEYS", KEYS), ("APP_KEYS_FILE", ""), ("REDIS_PREFIX", " ")];
    Node::run_to_exit(&environment, &[&["keys", "purge"], arguments].concat()).await
}

async fn keys(redis: &Redis) -> BTreeSet<String> {
    let keys: Vec<String> = redis.cmd(&["KEYS", "*"]).await;
    keys.into_iter().collect()
}

/// Stores two rooms of `shop`, one of them hashed, with a socket each, and what is nearly of `shop`.
async fn fill(redis: &Redis) {
    let node = Node::on(redis, &[]).await;
    for room in ["private-shop~news", HASHED] {
        node.publish(room, json!({ "message": "hi", "key": "once" })).await.id();
        node.publish(room, json!({ "message": "hi", "key": "twice" })).await.id();
    }
    for room in ["private-shopping~news", "private-shop", "shop~news", "blog~news", "private-eshq.0"] {
        node.publish(room, json!({ "message": "hi", "key": "once" })).await.id();
    }
    let _ada = Stream::live(&node, "private-shop~news?name=ada").await;
    let is_present = async || {
        let count: u64 = redis.cmd(&["EXISTS", "chat:{private-shop~news}:present"]).await;
        (count == 1).then_some(())
    };
    eventually("an entry of presence", is_present).await;
    for (name, value) in [
        ("{private-eshq.d81d8837c9a57354df48e9e36b738009}:prefix", "private-shop~"),
        ("{private-eshq.0}:prefix", "private-shopping~"),
        ("socket:{a}", r#"{"key":"shop","channel":"news"}"#),
        ("socket:{b}", r#"{"key":"shop","channel":"user:17"}"#),
        ("socket:{c}", r#"{"key":"shopping","channel":"shop"}"#),
        ("socket:{d}", "nonsense"),
    ] {
        let _: String = redis.cmd(&["SET", &format!("chat:{name}"), value]).await;
    }
    for set in ["sockets:shop", "sockets:shopping"] {
        let _: u64 = redis.cmd(&["ZADD", &format!("chat:{set}"), "1", "a"]).await;
    }
    for room in ["private-shop~news", "private-shopping~news"] {
        let _: u64 = redis.cmd(&["ZADD", &format!("{}:deleted", key(room)), "1", "0-0 1-1"]).await;
        let _: u64 = redis.cmd(&["HSET", &format!("{}:edits", key(room)), "1-1", "1-2 {}"]).await;
    }
    let _: String = redis.cmd(&["SET", "staging:{private-shop~news}", "another installation"]).await;
}

#[test]
fn a_new_key_has_128_random_bits_and_its_secret_256() {
    let run = || Command::new(BINARY).env_clear().args(["keys", "new"]).output().expect("the program");
    let (first, second) = (run(), run());
    assert!(first.status.success() && first.stderr.is_empty(), "{first:?}");
    assert_ne!(first.stdout, second.stdout);
    let line = String::from_utf8(first.stdout).expect("text");
    let (key, secret) = line.strip_suffix('\n').and_then(|line| line.split_once(':')).expect("key:secret");
    assert_eq!((key.len(), secret.len()), (32, 64), "hex digits");
    assert!(line.trim().bytes().all(|b| b.is_ascii_hexdigit() || b == b':'), "{line}");
    assert_ne!(secret[..32], secret[32..]);
}

#[tokio::test]
async fn a_new_key_can_be_used_as_it_is_printed() {
    let printed = Node::run_to_exit(&[], &["keys", "new"]).await.output;
    let node = Node::start(&[("APP_KEYS", &printed)]).await;
    assert!(!node.log().contains("WARN"), "{}", node.log());
    node.get("/private-x").await.problem(401);
}

#[tokio::test]
async fn purging_removes_all_of_a_key_and_says_how_many() {
    let redis = Redis::start().await;
    fill(&redis).await;
    let before = keys(&redis).await;
    let counts = "logs: 2\npresence: 1\nidempotency keys: 4\nsockets: 2\nusage: 1";

    let refusal = purge(&redis, &["shop"]).await;
    assert_eq!(refusal.status.code(), Some(1), "{}", refusal.output);
    for part in ["Nothing was removed", "--yes", "private-shop~", counts] {
        assert!(refusal.output.contains(part), "{part:?} is not in {}", refusal.output);
    }
    assert_eq!(keys(&redis).await, before);

    let purged = purge(&redis, &["shop", "--yes"]).await;
    assert_eq!((purged.status.code(), purged.output.as_str()), (Some(0), counts));
    let after = keys(&redis).await;
    let gone: BTreeSet<&String> = before.difference(&after).collect();
    let rooms = ["chat:{private-shop~", &format!("chat:{{{HASHED}")];
    let others = ["chat:socket:{a}", "chat:socket:{b}", "chat:sockets:shop"];
    let is_of_shop =
        |name: &&String| rooms.iter().any(|room| name.starts_with(room)) || others.contains(&name.as_str());
    assert_eq!(gone, before.iter().filter(is_of_shop).collect());
    assert!(after.contains(&key("private-shopping~news")) && after.contains("staging:{private-shop~news}"));

    let again = purge(&redis, &["--yes", "shop"]).await;
    assert_eq!((again.status.code(), again.output.contains("logs: 0")), (Some(0), true));
}

#[tokio::test]
async fn a_key_that_is_no_longer_listed_has_the_default_prefix() {
    let redis = Redis::start().await;
    fill(&redis).await;
    let purged = purge(&redis, &["shopping", "--yes"]).await;
    assert_eq!(purged.output, "logs: 2\npresence: 0\nidempotency keys: 2\nsockets: 1\nusage: 1");
    assert!(!keys(&redis).await.contains(&key("private-shopping~news")));
}

#[tokio::test]
async fn purging_is_refused_where_rooms_are_of_others() {
    let redis = Redis::start().await;
    fill(&redis).await;
    let before = keys(&redis).await;
    for (arguments, code, told) in [
        (&["blog", "--yes"][..], 1, "those of the key wiki"),
        (&["open", "--yes"], 1, "is empty"),
        (&["a b", "--yes"], 2, "a key has"),
        (&["--yes"], 2, "KEY"),
        (&["shop", "--yes", "--app-keys", "shop:short"], 2, "APP_KEYS: entry 1"),
        (
            &["shop", "--yes", "--app-keys", "else:0123456789abcdef:private-shop~x~"],
            1,
            "those of the key else",
        ),
        (&["shop", "--yes", "--redis-url", "redis://127.0.0.1:1"], 3, "Redis"),
        (&["shop", "--yes", "--redis-url", "nonsense"], 2, "redis://"),
    ] {
        let refusal = purge(&redis, arguments).await;
        assert_eq!(refusal.status.code(), Some(code), "{arguments:?}: {}", refusal.output);
        assert!(refusal.output.contains(told), "{told:?} is not in {}", refusal.output);
        assert!(!refusal.output.contains("0123456789abcdef"), "{}", refusal.output);
    }
    let refusal = Node::run_to_exit(&[], &["keys", "purge", "shop", "--yes"]).await;
    assert_eq!(refusal.status.code(), Some(2), "{}", refusal.output);
    assert!(refusal.output.contains("REDIS_URL"), "{}", refusal.output);
    assert_eq!(keys(&redis).await, before);
}

/// Rooms with hashes for names are remembered when an app first uses them.
#[tokio::test]
async fn purging_finds_the_hashed_rooms_that_an_app_used() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[("APP_KEYS", KEYS)]).await;
    let call = async |key: &str, path: &str, channel: &str| {
        let request = node.request(Method::POST, path).basic_auth(key, Some("0123456789abcdef"));
        node.send(request.form(&[("channel", channel), ("data", "hi")])).await.expect(200);
    };
    for (path, channel) in [("/event", "user:17"), ("/event", "user:18"), ("/event", "news"), ("/socket", "a b")] {
        call("shop", path, channel).await;
    }
    call("blog", "/event", "user:17").await;
    let purged = purge(&redis, &["shop", "--yes"]).await;
    assert!(
        purged.output.starts_with("logs: 3\npresence: 0\nidempotency keys: 0\nsockets: 1\n"),
        "{}",
        purged.output
    );
    let kept = keys(&redis).await.into_iter().filter(|name| name.starts_with("chat:{")).collect::<Vec<_>>();
    assert!(kept.len() == 2 && kept.iter().all(|name| name.starts_with("chat:{eshq.")), "{kept:?}");
    let ttl: i64 = redis.cmd(&["TTL", kept.iter().find(|name| name.ends_with(":prefix")).expect("a prefix")]).await;
    assert!(ttl > 604_800, "shorter than that of the log: {ttl}");
}

/// All that a key has is found in bounded steps, however much else there is.
#[tokio::test]
async fn purging_finds_a_few_keys_among_many_without_blocking() {
    let redis = Redis::start().await;
    let script = "for i = 1, 20000 do redis.call('SET', 'chat:{r' .. i .. '}:prefix', 'x~') end
                  for i = 1, 50 do redis.call('XADD', 'chat:{private-shop~' .. i .. '}', '*', 'data', 'x') end";
    let _: Option<String> = redis.cmd(&["EVAL", script, "0"]).await;
    let purged = purge(&redis, &["shop", "--yes"]).await;
    assert!(purged.output.starts_with("logs: 50\n"), "{}", purged.output);
    let calls: String = redis.cmd(&["INFO", "commandstats"]).await;
    assert!(calls.contains("cmdstat_scan:calls=4") && !calls.contains("cmdstat_keys:"), "{calls}");
}

/// Some keys of a room may be at one master, and others at another by then.
#[tokio::test]
async fn purging_looks_at_all_masters_of_a_cluster() {
    const ROOMS: usize = 20;
    let cluster = Cluster::start(2).await;
    let node = Node::start(&[("REDIS_URL", &cluster.url())]).await;
    let rooms: Vec<String> = (0..ROOMS).map(|number| format!("private-shop~{number}")).collect();
    for room in rooms.iter().map(String::as_str).chain(["shopping"]) {
        node.publish(room, json!({ "message": "hi", "key": "once" })).await.id();
    }
    let (log, keys) = (key(&rooms[0]), async || cluster.keys("chat:{private-shop~*").await.len());
    let (from, slot) = (cluster.master_of(&log).await, slot_of(&log));
    cluster.begin_move(slot, 1 - from).await;
    let port = cluster.servers()[1 - from].port().to_string();
    let _: String = cluster.cmd_at(from, &["MIGRATE", "127.0.0.1", &port, &log, "0", "5000"]).await;
    assert_eq!(keys().await, 2 * ROOMS);
    let purged = purge_at(&cluster.url(), &["shop", "--yes"]).await;
    let counts = format!("logs: {ROOMS}\npresence: 0\nidempotency keys: {ROOMS}\nsockets: 0\nusage: 0");
    assert_eq!(purged.output, counts);
    assert_eq!((keys().await, node.stored("shopping").await.len()), (0, 1));
}

#[tokio::test]
async fn purging_asks_the_sentinels_for_the_master() {
    let sentinels = Sentinels::start(3, 1).await;
    let node = Node::start(&[("REDIS_URL", &sentinels.url())]).await;
    node.post("private-shop~news", "mason", "hi").await;
    let purged = purge_at(&sentinels.url(), &["shop", "--yes"]).await;
    assert!(purged.output.starts_with("logs: 1\n"), "{}", purged.output);
    assert_eq!(node.stored("private-shop~news").await.len(), 0);
}
