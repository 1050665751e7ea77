//! What a plain `EventSource` keeps of the guarantees, in both browsers, on a page that mends nothing: each message
//! arrives once and in order whatever happens to the nodes and to Redis (contract § 7).
//!
//! A browser starts slowly, so one serves all cases, each of which has nodes, a Redis and a tab of its own.

use std::sync::atomic::{AtomicBool, Ordering};

use super::post_until;
use crate::support::{
    BarePage, Browser, BrowserKind, LoadBalancer, Node, Proxy, Received, Redis, Stream, free_port, in_both_browsers,
    key, wait_for,
};

in_both_browsers! {
    event_source_loses_nothing_and_repeats_nothing,
    #[ignore = "takes a minute"]
    event_source_survives_a_node_that_is_killed_ten_times,
}

async fn event_source_loses_nothing_and_repeats_nothing(kind: BrowserKind) {
    let browser = kind.start().await;
    tokio::join!(
        killed_node(&browser),
        drained_nodes(&browser),
        full_node(&browser),
        lost_redis(&browser),
        lost_log(&browser)
    );
}

/// A node is killed in the middle of a burst of messages, and started again at its address. The page has a second stream
/// that had no message yet when it was cut, and a third one whose last event was a gap.
async fn killed_node(browser: &Browser) {
    let redis = Redis::start().await;
    let bind = format!("127.0.0.1:{}", free_port());
    let environment = [("BIND", bind.as_str()), ("NODE", "killed")];
    let mut node = Node::on(&redis, &environment).await;
    let other = Node::on(&redis, &[]).await;
    let trimmed = other.fill("trimmed", 2).await;
    let _: u64 = redis.cmd(&["XTRIM", &key("trimmed"), "MAXLEN", "0"]).await;

    let page = BarePage::open(browser, &node.url("")).await;
    let busy = page.listen("busy", "/subscribe/busy").await;
    let quiet = page.listen("quiet", "/subscribe/quiet").await;
    let gap = page.listen("gap", &format!("/subscribe/trimmed?lastEventId={}", trimmed[0])).await;
    gap.until("a gap", |received| received.iter().any(|event| event.event == "gap")).await;
    let stop = AtomicBool::new(false);
    let faults = async {
        busy.until("a message", |received| received.iter().any(|event| event.is_message())).await;
        let opened = [busy.opened().await, quiet.opened().await, gap.opened().await];
        node.kill();
        let quiet_ids = other.fill("quiet", 3).await;
        let gap_ids = other.fill("trimmed", 3).await;
        let node = Node::on(&redis, &environment).await;
        for (stream, opened) in [&busy, &quiet, &gap].into_iter().zip(opened) {
            stream.reopened(opened).await;
        }
        stop.store(true, Ordering::Relaxed);
        (node, quiet_ids, gap_ids)
    };
    let (mut busy_ids, (node, quiet_ids, gap_ids)) = tokio::join!(post_until(&other, "busy", &stop), faults);
    busy_ids.push(node.post("busy", "mason", "last").await);
    busy.received_exactly(&busy_ids).await;
    quiet.received_exactly(&quiet_ids).await;
    gap.received_exactly(&gap_ids).await;
    let gaps = gap.received().await.iter().filter(|event| event.event == "gap").count();
    assert_eq!(gaps, 1, "the cursor after a gap is kept, so that it is told once");
}

/// Both nodes behind one address are replaced, one after the other, in the middle of a burst of messages.
async fn drained_nodes(browser: &Browser) {
    let redis = Redis::start().await;
    let binds = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let start = async |bind: &str| Node::on(&redis, &[("BIND", bind), ("DRAIN", "2"), ("DRAIN_GRACE", "0")]).await;
    let mut nodes = [start(&binds[0]).await, start(&binds[1]).await];
    let writer = Node::on(&redis, &[]).await;
    let balancer = LoadBalancer::start(nodes.iter().map(Node::address).collect()).await;

    let page = BarePage::open(browser, &balancer.url("")).await;
    let busy = page.listen("busy", "/subscribe/busy").await;
    let quiet = page.listen("quiet", "/subscribe/quiet").await;
    let stop = AtomicBool::new(false);
    let faults = async {
        for (node, bind) in nodes.iter_mut().zip(&binds) {
            node.terminate();
            assert_eq!(node.exit().await.code(), Some(0));
            *node = start(bind).await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (mut busy_ids, ()) = tokio::join!(post_until(&writer, "busy", &stop), faults);
    busy_ids.push(writer.post("busy", "mason", "last").await);
    busy.received_exactly(&busy_ids).await;
    quiet.received_exactly(&writer.fill("quiet", 3).await).await;
    for stream in [busy, quiet] {
        let received = stream.received().await;
        let is_sent_away = |event: &Received| event.event == "backoff" && event.json()["reason"] == "draining";
        assert!(received.iter().any(is_sent_away), "{received:#?}");
    }
}

/// Streams that were cut find their node full, wait as long as they are told to, and get in when there is room. There
/// are several, since the wait is drawn from 5 to 30 s: it is enough when the first comes back.
async fn full_node(browser: &Browser) {
    let node = Node::start(&[("MAX_STREAMS", "4"), ("HEARTBEAT", "1")]).await;
    let proxy = Proxy::to(node.address()).await;
    let page = BarePage::open(browser, &proxy.url("")).await;
    let mut streams = Vec::new();
    for name in ["one", "two", "three", "four"] {
        streams.push(page.listen(name, "/subscribe/lobby").await);
    }
    proxy.cut();
    node.wait_for_open_streams(0).await;
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(Stream::live(&node, "garden").await);
    }
    proxy.restore();
    for stream in &streams {
        let is_full = |event: &Received| event.event == "backoff" && event.json()["reason"] == "full";
        stream.until("a backoff", |received| received.iter().any(is_full)).await;
    }
    let ids = node.fill("lobby", 5).await;
    drop(others);
    let first = wait_for("a stream that gets in", async || {
        for stream in &streams {
            if stream.received().await.iter().any(|event| event.is_message()) {
                return Some(stream);
            }
        }
        None
    })
    .await;
    first.received_exactly(&ids).await;
}

/// Redis is away and comes back, and then the node is killed: what was open before, and what was opened during the
/// outage, without a cursor, both resume where they were.
async fn lost_redis(browser: &Browser) {
    let mut redis = Redis::durable().await;
    let bind = format!("127.0.0.1:{}", free_port());
    let environment = [("BIND", bind.as_str()), ("NODE", "redisless")];
    let mut node = Node::on(&redis, &environment).await;
    let mut ids = node.fill("lobby", 1).await;
    let page = BarePage::open(browser, &node.url("")).await;
    let before = page.listen("before", "/subscribe/lobby?lastEventId=0-0").await;
    redis.kill();
    before.status(false).await;
    let during = page.open_stream("during", "/subscribe/lobby").await;
    during.status(false).await;
    redis.restart().await;
    let is_back = |received: &[Received]| received.last().is_some_and(|event| event.is_status(true));
    for stream in [&before, &during] {
        stream.until("Redis again", is_back).await;
    }
    let opened = [before.opened().await, during.opened().await];
    node.kill();
    let other = Node::on(&redis, &[]).await;
    let missed = other.fill("lobby", 3).await;
    let node = Node::on(&redis, &environment).await;
    before.reopened(opened[0]).await;
    during.reopened(opened[1]).await;
    let last = node.fill("lobby", 1).await;
    during.received_exactly(&[missed.as_slice(), &last].concat()).await;
    ids.extend(missed);
    ids.extend(last);
    before.received_exactly(&ids).await;
}

/// Redis comes back empty, and after the gap, but before any message, the node is killed.
async fn lost_log(browser: &Browser) {
    let mut redis = Redis::start().await;
    let bind = format!("127.0.0.1:{}", free_port());
    let environment = [("BIND", bind.as_str()), ("NODE", "forgetful"), ("HEAL", "off")];
    let mut node = Node::on(&redis, &environment).await;
    let mut ids = node.fill("lobby", 2).await;
    let page = BarePage::open(browser, &node.url("")).await;
    let stream = page.listen("lost log", "/subscribe/lobby?lastEventId=0-0").await;
    stream.received_exactly(&ids).await;
    redis.restart().await;
    stream.until("a gap", |received| received.iter().any(|event| event.event == "gap")).await;
    let opened = stream.opened().await;
    node.kill();
    let other = Node::on(&redis, &[]).await;
    ids.extend(other.fill("lobby", 3).await);
    let _node = Node::on(&redis, &environment).await;
    stream.reopened(opened).await;
    stream.received_exactly(&ids).await;
    let received = stream.received().await;
    let gaps: Vec<_> = received
        .iter()
        .filter(|event| event.event == "gap")
        .map(|gap| gap.json()["reason"].clone())
        .collect();
    assert_eq!(gaps, ["reset"]);
}

/// Each time after another number of messages, and with one more in a room that gets none while its stream is open.
async fn event_source_survives_a_node_that_is_killed_ten_times(kind: BrowserKind) {
    let redis = Redis::start().await;
    let bind = format!("127.0.0.1:{}", free_port());
    let environment = [("BIND", bind.as_str())];
    let other = Node::on(&redis, &[]).await;
    let mut node = Node::on(&redis, &environment).await;
    let browser = kind.start().await;
    let page = BarePage::open(&browser, &node.url("")).await;
    let busy = page.listen("busy", "/subscribe/busy").await;
    let quiet = page.listen("quiet", "/subscribe/quiet").await;
    let stop = AtomicBool::new(false);
    let faults = async {
        let mut quiet_ids = Vec::new();
        for round in 0..10 {
            let opened = [busy.opened().await, quiet.opened().await];
            let count = busy.received().await.len();
            busy.until("more messages", |received| received.len() > count + round).await;
            node.kill();
            quiet_ids.extend(other.fill("quiet", 1).await);
            node = Node::on(&redis, &environment).await;
            busy.reopened(opened[0]).await;
            quiet.reopened(opened[1]).await;
            if round % 2 == 0 {
                quiet.received_exactly(&quiet_ids).await; // in the other rounds it may be cut before its message
            }
        }
        stop.store(true, Ordering::Relaxed);
        quiet_ids
    };
    let (mut busy_ids, mut quiet_ids) = tokio::join!(post_until(&other, "busy", &stop), faults);
    busy_ids.push(other.post("busy", "mason", "last").await);
    quiet_ids.push(other.post("quiet", "mason", "last").await);
    busy.received_exactly(&busy_ids).await;
    quiet.received_exactly(&quiet_ids).await;
}
