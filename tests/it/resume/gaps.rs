//! Gaps: if continuity after a cursor cannot be shown, the stream says so first (contract § 5 and § 7).

use serde_json::Value;

use crate::support::{Block, Bus, Node, Redis, Stream, halves, key, on_every_bus, on_every_form};

on_every_form!(cursor_older_than_the_log_is_a_trimmed_gap, log_expiring_under_a_live_stream_is_a_gap);
on_every_bus!(
    malformed_cursor_is_an_invalid_gap_and_then_live,
    cursor_never_assigned_by_the_log_is_a_reset_gap,
    cursor_ahead_of_the_log_is_a_reset_gap_and_then_live,
    requested_cursor_in_a_gap_is_cut_to_64_characters,
    cursor_into_an_expired_log_is_a_reset_gap,
);

/// A stream that began with a gap, the data of the gap, and the cursor after it.
struct GappedStream {
    stream: Stream,
    gap: Value,
    cursor: String,
}

impl GappedStream {
    async fn open(node: &Node, asked: &str) -> GappedStream {
        let query = percent_encoding::utf8_percent_encode(asked, percent_encoding::NON_ALPHANUMERIC);
        let mut stream = Stream::open(node, &format!("/subscribe/lobby?lastEventId={query}"), &[]).await;
        stream.first().await;
        GappedStream::next(stream).await
    }

    /// Reads a gap, which must be next.
    async fn next(mut stream: Stream) -> GappedStream {
        let gap = stream.next_content().await;
        assert_eq!(gap.event.as_deref(), Some("gap"), "{gap:?}");
        let cursor = gap.id.clone().expect("a gap has the cursor after it");
        GappedStream { gap: gap.json(), stream, cursor }
    }

    #[track_caller]
    fn assert_gap(&self, asked: &str, resumed: Option<&str>, reason: &str) {
        assert_eq!(self.gap["asked"], asked);
        assert_eq!(self.gap["resumed"].as_str(), resumed, "{}", self.gap);
        assert!(self.gap.as_object().unwrap().contains_key("resumed"));
        assert_eq!(self.gap["reason"], reason);
    }

    /// Checks that these retained messages follow, that the cursor resumes before them, and that the stream is then
    /// live.
    async fn assert_continues(mut self, node: &Node, ids: &[String]) {
        match ids.first() {
            Some(first) => {
                let ((ms, n), (cursor_ms, cursor_n)) = (halves(first), halves(&self.cursor));
                assert!(cursor_n == n - 1 && cursor_ms <= ms, "{} is not the cursor before {first}", self.cursor);
            }
            None => assert_eq!(self.cursor, node.history("lobby", "").await["last"]),
        }
        assert_eq!(self.stream.next_ids(ids.len()).await, ids);
        let mut again = Stream::resume(node, "lobby", &self.cursor).await;
        assert_eq!(again.next_ids(ids.len()).await, ids, "the cursor resumes without another gap");
        let live = node.post("lobby", "mason", "live").await;
        assert_eq!(self.stream.next_message().await.id, live);
        assert_eq!(again.next_message().await.id, live);
    }
}

async fn malformed_cursor_is_an_invalid_gap_and_then_live(bus: Bus) {
    let node = bus.node(&[]).await;
    node.fill("lobby", 3).await;
    for asked in [
        "garbage",
        "1-2-3",
        "1361572294000",
        "-1",
        "1-",
        "+1-1",
        "1-+1",
        "0x1-1",
        "1 -1",
        "١-١",
        "1361572294000-9007199254740992",
        "9007199254740992-1",
        "99999999999999999999999-1",
    ] {
        let gapped = GappedStream::open(&node, asked).await;
        gapped.assert_gap(asked, None, "invalid");
        gapped.assert_continues(&node, &[]).await;
    }
}

async fn cursor_older_than_the_log_is_a_trimmed_gap(bus: Bus) {
    let node = bus.node(&[("HISTORY", "1")]).await;
    let all = node.fill("lobby", 250).await;
    let kept = node.stored("lobby").await.len();
    assert!(kept < 200, "{kept} of 250 are kept where 1 is enough");
    let kept = &all[250 - kept..];
    for asked in [all[0].as_str(), "0-0", "1-1"] {
        let gapped = GappedStream::open(&node, asked).await;
        gapped.assert_gap(asked, Some(&kept[0]), "trimmed");
        let GappedStream { mut stream, cursor, .. } = gapped;
        assert_eq!(halves(&cursor).1, halves(&kept[0]).1 - 1);
        assert_eq!(stream.next_ids(kept.len()).await, kept);
    }
    let gapped = GappedStream::open(&node, "0-0").await;
    let live = node.post("lobby", "mason", "live").await;
    let GappedStream { mut stream, .. } = gapped;
    assert_eq!(stream.next_ids(kept.len() + 1).await, [kept, &[live]].concat());
}

/// Such a cursor is not in the log, not before it, and not between two of its ids in both halves.
async fn cursor_never_assigned_by_the_log_is_a_reset_gap(bus: Bus) {
    let node = bus.node(&[]).await;
    let ids = node.fill("lobby", 3).await;
    let (ms, n) = halves(&ids[0]);
    for (asked, following) in [
        (format!("{}-2", ms - 1000), &ids[..]), // the number is of the second message, the time is before the first
        (format!("{}-50", ms - 1000), &ids[..]),
        (format!("{}-{n}", ms - 1), &ids[..]),
    ] {
        let gapped = GappedStream::open(&node, &asked).await;
        gapped.assert_gap(&asked, Some(&following[0]), "reset");
        let GappedStream { mut stream, cursor, .. } = gapped;
        assert!(halves(&cursor).1 == n - 1 && halves(&cursor).0 <= ms, "{cursor}");
        assert_eq!(stream.next_ids(3).await, following);
    }
}

async fn cursor_ahead_of_the_log_is_a_reset_gap_and_then_live(bus: Bus) {
    let node = bus.node(&[]).await;
    for asked in ["1361572294000-42", "9007199254740991-9007199254740991"] {
        let gapped = GappedStream::open(&node, asked).await;
        gapped.assert_gap(asked, None, "reset");
        assert_eq!(gapped.cursor, "0-0", "the last generated id, since nothing follows");
    }
    let ids = node.fill("lobby", 3).await;
    let (ms, n) = halves(&ids[2]);
    for asked in [format!("{}-{n}", ms + 1), format!("{}-{}", ms + 3_600_000, n + 5), format!("{}-1", ms + 3_600_000)] {
        let gapped = GappedStream::open(&node, &asked).await;
        gapped.assert_gap(&asked, None, "reset");
        gapped.assert_continues(&node, &[]).await;
    }
}

async fn requested_cursor_in_a_gap_is_cut_to_64_characters(bus: Bus) {
    let node = bus.node(&[]).await;
    for character in ["x", "é", "😀"] {
        let gapped = GappedStream::open(&node, &character.repeat(100)).await;
        gapped.assert_gap(&character.repeat(64), None, "invalid");
        GappedStream::open(&node, &character.repeat(64))
            .await
            .assert_gap(&character.repeat(64), None, "invalid");
    }
}

/// A gap in mid-stream has the id that was sent last as `asked`.
async fn log_expiring_under_a_live_stream_is_a_gap(bus: Bus) {
    let node = bus.node(&[("HISTORY_TTL", "1")]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    let last = node.fill("lobby", 3).await.pop().unwrap();
    subscriber.next_messages(3).await;
    node.wait_until_expired("lobby").await;
    let next = node.post("lobby", "mason", "after the loss").await;
    let mut gapped = GappedStream::next(subscriber).await;
    gapped.assert_gap(&last, Some(&next), "reset");
    assert_eq!(halves(&gapped.cursor).1, 0);
    assert_eq!(gapped.stream.next_message().await.id, next);
}

async fn cursor_into_an_expired_log_is_a_reset_gap(bus: Bus) {
    let node = bus.node(&[("HISTORY_TTL", "1")]).await;
    let lost = node.fill("lobby", 3).await;
    node.wait_until_expired("lobby").await;
    let gapped = GappedStream::open(&node, &lost[1]).await;
    gapped.assert_gap(&lost[1], None, "reset");
    assert_eq!(gapped.cursor, "0-0");
}

#[tokio::test]
async fn gap_event_has_one_data_line() {
    let node = Node::start(&[]).await;
    let id = node.post("lobby", "mason", "hi").await;
    let gap_of = async |asked: &str| -> Block {
        let mut stream = Stream::open(&node, "/subscribe/lobby", &[("Last-Event-ID", asked)]).await;
        stream.first().await;
        stream.next_content().await
    };
    let invalid = "event: gap\ndata: {\"asked\":\"garbage\",\"resumed\":null,\"reason\":\"invalid\"}\n\n";
    assert_eq!(gap_of("garbage").await.raw, format!("id: {id}\n{invalid}"));
    let reset = format!("event: gap\ndata: {{\"asked\":\"1-50\",\"resumed\":\"{id}\",\"reason\":\"reset\"}}\n\n");
    assert_eq!(gap_of("1-50").await.raw, format!("id: 0-0\n{reset}"));
}

/// The log was lost and has grown past the number of the cursor.
#[tokio::test]
async fn same_number_with_another_time_is_a_gap() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let lost = node.fill("lobby", 2).await;
    let _: String = redis.cmd(&["FLUSHALL"]).await;
    let (ms, _) = halves(&lost[1]);
    let later = |n: u64| format!("{}-{n}", ms + 60_000);
    for n in 1..=4 {
        redis.store_unannounced("lobby", &later(n)).await;
    }
    let mut gapped = GappedStream::open(&node, &lost[1]).await;
    gapped.assert_gap(&lost[1], Some(&later(1)), "reset");
    assert_eq!(gapped.stream.next_ids(4).await, [later(1), later(2), later(3), later(4)]);
}

/// A cursor with the number before the first retained message is its predecessor only if its time is not later.
#[tokio::test]
async fn predecessor_later_than_its_successor_is_a_gap() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let ids = node.fill("lobby", 4).await;
    let _: u64 = redis.cmd(&["XTRIM", &key("lobby"), "MAXLEN", "2"]).await;
    let asked = format!("{}-2", halves(&ids[3]).0 + 1000);
    let gapped = GappedStream::open(&node, &asked).await;
    gapped.assert_gap(&asked, None, "reset");
    gapped.assert_continues(&node, &[]).await;
}

/// The in-process bus is empty after a restart.
#[tokio::test]
async fn restarted_node_without_redis_sends_a_reset_gap() {
    let lost = Node::start(&[]).await.fill("lobby", 3).await;
    let node = Node::start(&[]).await;
    let gapped = GappedStream::open(&node, &lost[2]).await;
    gapped.assert_gap(&lost[2], None, "reset");
    gapped.assert_continues(&node, &[]).await;
}
