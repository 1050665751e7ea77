//! Honest gaps: whenever continuity cannot be shown, the stream says so first (contract 5, "Gap"; guarantee 4).

use serde_json::Value;

use crate::support::{Block, Bus, Node, Redis, Stream, eventually, halves, key, on_both_buses};

on_both_buses!(
    malformed_cursor_is_an_invalid_gap_and_then_live,
    cursor_older_than_the_log_is_a_trimmed_gap,
    cursor_never_assigned_by_the_log_is_a_reset_gap,
    cursor_ahead_of_the_log_is_a_reset_gap_and_then_live,
    requested_cursor_in_a_gap_is_cut_to_64_characters,
    log_expiring_under_a_live_stream_is_a_gap,
    cursor_into_an_expired_log_is_a_reset_gap,
);

/// A stream that resumes with an id and must first say that it cannot: what the gap says, and the place after it.
struct Gapped {
    stream: Stream,
    gap: Value,
    place: String,
}

impl Gapped {
    async fn open(node: &Node, asked: &str) -> Gapped {
        let query = percent_encoding::utf8_percent_encode(asked, percent_encoding::NON_ALPHANUMERIC);
        let mut stream = Stream::open(node, &format!("/subscribe/lobby?lastEventId={query}"), &[]).await;
        stream.first().await;
        Gapped::next(stream).await
    }

    /// The gap that must be the next thing the stream says.
    async fn next(mut stream: Stream) -> Gapped {
        let gap = stream.next_content().await;
        assert_eq!((gap.event.as_deref(), &gap.id), (Some("gap"), &None), "{gap:?}");
        let place = stream.next_content().await;
        let id = place.id.clone().unwrap_or_default();
        assert_eq!(place.raw, format!("id: {id}\n\n"), "a block with only an id follows the gap");
        Gapped { gap: gap.json(), stream, place: id }
    }

    #[track_caller]
    fn says(&self, asked: &str, resumed: Option<&str>, reason: &str) {
        assert_eq!(self.gap["asked"], asked);
        assert_eq!(self.gap["resumed"].as_str(), resumed, "{}", self.gap);
        assert!(self.gap.as_object().unwrap().contains_key("resumed"));
        assert_eq!(self.gap["reason"], reason);
    }

    /// The retained messages follow, from the place that was named on: as many as there are ids, and then live.
    async fn goes_on_with(mut self, node: &Node, ids: &[String]) {
        match ids.first() {
            Some(first) => {
                let ((ms, n), (place_ms, place_n)) = (halves(first), halves(&self.place));
                assert!(place_n == n - 1 && place_ms <= ms, "{} is not the place before {first}", self.place);
            }
            None => assert_eq!(self.place, node.history("lobby", "").await["last"]),
        }
        assert_eq!(self.stream.next_ids(ids.len()).await, ids);
        let mut again = Stream::resume(node, "lobby", &self.place).await;
        assert_eq!(again.next_ids(ids.len()).await, ids, "the place continues without another gap");
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
        let gapped = Gapped::open(&node, asked).await;
        gapped.says(asked, None, "invalid");
        gapped.goes_on_with(&node, &[]).await;
    }
}

async fn cursor_older_than_the_log_is_a_trimmed_gap(bus: Bus) {
    let node = bus.node(&[("HISTORY", "1")]).await;
    let all = node.fill("lobby", 250).await;
    let kept = node.stored("lobby").await.len();
    assert!(kept < 200, "{kept} of 250 are kept where 1 is enough");
    let kept = &all[250 - kept..];
    for asked in [all[0].as_str(), "0-0", "1-1"] {
        let gapped = Gapped::open(&node, asked).await;
        gapped.says(asked, Some(&kept[0]), "trimmed");
        let Gapped { mut stream, place, .. } = gapped;
        assert_eq!(halves(&place).1, halves(&kept[0]).1 - 1);
        assert_eq!(stream.next_ids(kept.len()).await, kept);
    }
    let gapped = Gapped::open(&node, "0-0").await;
    let live = node.post("lobby", "mason", "live").await;
    let Gapped { mut stream, .. } = gapped;
    assert_eq!(stream.next_ids(kept.len() + 1).await, [kept, &[live]].concat());
}

/// Neither in the log, nor before it, nor between two of its messages in both halves.
async fn cursor_never_assigned_by_the_log_is_a_reset_gap(bus: Bus) {
    let node = bus.node(&[]).await;
    let ids = node.fill("lobby", 3).await;
    let (ms, n) = halves(&ids[0]);
    for (asked, following) in [
        (format!("{}-2", ms - 1000), &ids[..]), // the number is of the second message, the time is before the first
        (format!("{}-50", ms - 1000), &ids[..]),
        (format!("{}-{n}", ms - 1), &ids[..]),
    ] {
        let gapped = Gapped::open(&node, &asked).await;
        gapped.says(&asked, Some(&following[0]), "reset");
        let Gapped { mut stream, place, .. } = gapped;
        assert!(halves(&place).1 == n - 1 && halves(&place).0 <= ms, "{place}");
        assert_eq!(stream.next_ids(3).await, following);
    }
}

async fn cursor_ahead_of_the_log_is_a_reset_gap_and_then_live(bus: Bus) {
    let node = bus.node(&[]).await;
    for asked in ["1361572294000-42", "9007199254740991-9007199254740991"] {
        let gapped = Gapped::open(&node, asked).await;
        gapped.says(asked, None, "reset");
        assert_eq!(gapped.place, "0-0", "where nothing follows: the log's last generated id");
    }
    let ids = node.fill("lobby", 3).await;
    let (ms, n) = halves(&ids[2]);
    for asked in [format!("{}-{n}", ms + 1), format!("{}-{}", ms + 3_600_000, n + 5), format!("{}-1", ms + 3_600_000)] {
        let gapped = Gapped::open(&node, &asked).await;
        gapped.says(&asked, None, "reset");
        gapped.goes_on_with(&node, &[]).await;
    }
}

async fn requested_cursor_in_a_gap_is_cut_to_64_characters(bus: Bus) {
    let node = bus.node(&[]).await;
    for character in ["x", "é", "😀"] {
        let gapped = Gapped::open(&node, &character.repeat(100)).await;
        gapped.says(&character.repeat(64), None, "invalid");
        Gapped::open(&node, &character.repeat(64)).await.says(&character.repeat(64), None, "invalid");
    }
}

/// "in mid-stream, when a log was lost under a connected reader; `asked` is then the last id sent".
async fn log_expiring_under_a_live_stream_is_a_gap(bus: Bus) {
    let node = bus.node(&[("HISTORY_TTL", "1")]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let last = node.fill("lobby", 3).await.pop().unwrap();
    reader.next_messages(3).await;
    forgotten(&node).await;
    let next = node.post("lobby", "mason", "after the loss").await;
    let mut gapped = Gapped::next(reader).await;
    gapped.says(&last, Some(&next), "reset");
    assert_eq!(halves(&gapped.place).1, 0);
    assert_eq!(gapped.stream.next_message().await.id, next);
}

async fn cursor_into_an_expired_log_is_a_reset_gap(bus: Bus) {
    let node = bus.node(&[("HISTORY_TTL", "1")]).await;
    let lost = node.fill("lobby", 3).await;
    forgotten(&node).await;
    let gapped = Gapped::open(&node, &lost[1]).await;
    gapped.says(&lost[1], None, "reset");
    assert_eq!(gapped.place, "0-0");
}

async fn forgotten(node: &Node) {
    eventually("the end of the log", async || (node.history("lobby", "").await["last"] == "0-0").then_some(())).await
}

/// The frame of contract 5, byte for byte.
#[tokio::test]
async fn gap_event_has_one_data_line() {
    let node = Node::start(&[]).await;
    let id = node.post("lobby", "mason", "hi").await;
    let said = async |asked: &str| -> Block {
        let mut stream = Stream::open(&node, "/subscribe/lobby", &[("Last-Event-ID", asked)]).await;
        stream.first().await;
        stream.next_content().await
    };
    let invalid = "event: gap\ndata: {\"asked\":\"garbage\",\"resumed\":null,\"reason\":\"invalid\"}\n\n";
    assert_eq!(said("garbage").await.raw, invalid);
    let reset = format!("event: gap\ndata: {{\"asked\":\"1-50\",\"resumed\":\"{id}\",\"reason\":\"reset\"}}\n\n");
    assert_eq!(said("1-50").await.raw, reset);
}

/// A log that was lost and has grown past the reader's number: the same `n` under another ms.
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
    let mut gapped = Gapped::open(&node, &lost[1]).await;
    gapped.says(&lost[1], Some(&later(1)), "reset");
    assert_eq!(gapped.stream.next_ids(4).await, [later(1), later(2), later(3), later(4)]);
}

/// The number directly before the first retained message, but a later time: not its predecessor.
#[tokio::test]
async fn predecessor_later_than_its_successor_is_a_gap() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let ids = node.fill("lobby", 4).await;
    let _: u64 = redis.cmd(&["XTRIM", &key("lobby"), "MAXLEN", "2"]).await;
    let asked = format!("{}-2", halves(&ids[3]).0 + 1000);
    let gapped = Gapped::open(&node, &asked).await;
    gapped.says(&asked, None, "reset");
    gapped.goes_on_with(&node, &[]).await;
}

/// The in-process bus forgets at restart; who was there before is told (guarantee 5).
#[tokio::test]
async fn restarted_node_without_redis_sends_a_reset_gap() {
    let lost = Node::start(&[]).await.fill("lobby", 3).await;
    let node = Node::start(&[]).await;
    let gapped = Gapped::open(&node, &lost[2]).await;
    gapped.says(&lost[2], None, "reset");
    gapped.goes_on_with(&node, &[]).await;
}
