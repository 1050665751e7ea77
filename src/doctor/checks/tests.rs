//! Tests the checks with made-up recordings.

use super::*;
use crate::doctor::finding::Verdict::{self, Broken, Good, Note};
use crate::doctor::recording::Block;

const ONE: &str = "id: 7-1\ndata: {}";
const TWO: &str = "id: 7-2\ndata: {}";
const HEARTBEAT: &str = "event: heartbeat\ndata: OK";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Returns a recording of blocks that arrived, and of a stream that ended, after so many milliseconds.
fn recording(blocks: &[(u64, &str)], end: Option<u64>) -> Recording {
    let blocks = blocks.iter().map(|(at, text)| (ms(*at), Block::parse(text))).collect();
    Recording { blocks, end: end.map(|at| (ms(at), "it ended".into())), ..Recording::default() }
}

/// Returns messages 7-1, 7-2 … that were acknowledged after so many milliseconds.
fn posted(acks: &[u64]) -> Vec<PostedMessage> {
    let message = |(index, at): (usize, &u64)| PostedMessage { id: format!("7-{}", index + 1), acked_at: ms(*at) };
    acks.iter().enumerate().map(message).collect()
}

/// Returns a recording that starts after a cursor and holds messages with these ids.
fn resumed(cursor: &str, ids: &[&str]) -> Recording {
    let opening = format!("retry: 1\nid: {cursor}");
    let messages = ids.iter().map(|id| format!("id: {id}\ndata: {{}}"));
    let blocks = [opening].into_iter().chain(messages).map(|text| (ms(1), Block::parse(&text))).collect();
    Recording { blocks, ..Recording::default() }
}

#[track_caller]
fn assert_finding(finding: &Finding, verdict: Verdict, part: &str) {
    assert_eq!(finding.verdict, verdict, "{finding}");
    assert!(finding.text.contains(part), "{finding}");
}

#[test]
fn messages_that_arrive_one_by_one_are_not_buffered() {
    let prompt = recording(&[(10, "retry: 1\nid: 0-0"), (190, ONE), (410, TWO)], None);
    assert_finding(
        &buffering(&prompt, &posted(&[200, 400]), true),
        Good,
        "2 messages came one by one, each within 10 ms",
    );
}

#[test]
fn messages_that_arrive_late_or_never_are_buffered() {
    let posted = posted(&[200, 500]);
    let bunched = recording(&[(10, "retry: 1\nid: 0-0"), (3000, ONE), (3001, TWO)], None);
    assert_finding(
        &buffering(&bunched, &posted, true),
        Broken,
        "2.8 s after its acknowledgement, together with others",
    );
    let pushed = recording(&[(10, "retry: 1\nid: 0-0"), (5000, ONE), (5001, TWO), (5002, HEARTBEAT)], None);
    assert_finding(&buffering(&pushed, &posted, true), Broken, "pushed out by a heartbeat");
    assert_finding(
        &buffering(&recording(&[], None), &posted, true),
        Broken,
        "2 of 2 acknowledged messages were not received",
    );
}

#[test]
fn messages_that_could_not_arrive_do_not_prove_buffering() {
    let posted = posted(&[200, 500]);
    assert_finding(&buffering(&recording(&[(210, ONE)], None), &posted, false), Note, "cannot tell");
    assert_finding(&buffering(&recording(&[(210, ONE)], Some(300)), &posted, true), Note, "cannot tell");
    assert_finding(&buffering(&recording(&[], None), &[], true), Note, "no message was accepted");
}

#[test]
fn heartbeats_must_arrive_when_they_are_due() {
    let interval = Duration::from_secs(15);
    let in_time = recording(&[(10, ONE), (15_010, HEARTBEAT), (30_010, HEARTBEAT)], None);
    assert_finding(&heartbeats(&in_time, interval, ms(37_000)), Good, "2 received, never more than 15.0 s");
    assert_finding(
        &heartbeats(&recording(&[(10, ONE)], None), interval, ms(37_000)),
        Broken,
        "nothing was received for 37.0 s",
    );
    assert_finding(&heartbeats(&recording(&[(10, ONE)], None), interval, ms(5_000)), Note, "none was due");
}

#[test]
fn a_stream_that_its_node_closes_is_not_broken() {
    let judge = |recording: &Recording, listened| idle_stream(recording, ms(listened), &SecondLook::Unneeded);
    let open = recording(&[(2_000, ONE)], None);
    assert_finding(&judge(&open, 40_000), Good, "still open after 40.0 s, the last 38.0 s without a message");
    let drained = recording(&[(10, "event: backoff\ndata: {\"reason\":\"draining\"}")], Some(12));
    assert_finding(&judge(&drained, 12), Note, "draining");
    assert!(!was_cut(&open) && !was_cut(&drained));
}

#[test]
fn a_stream_that_is_cut_twice_is_broken() {
    let cut = recording(&[(10, ONE), (2_000, TWO)], Some(12_000));
    assert!(was_cut(&cut));
    let judge = |second| idle_stream(&cut, ms(12_000), &second);
    let same_silence = judge(SecondLook::Listened(recording(&[(10, ONE)], Some(10_500))));
    assert_finding(
        &same_silence,
        Broken,
        "cut after 12.0 s, after 10.0 s of silence: it ended; a second one after 10.5 s",
    );
    let same_age = judge(SecondLook::Listened(recording(&[(10, ONE), (7_000, HEARTBEAT)], Some(12_200))));
    for repeated in [same_silence, same_age] {
        assert!(repeated.advice.iter().any(|line| line.contains("proxy_read_timeout")), "{repeated}");
    }
    let other = judge(SecondLook::Listened(recording(&[(10, ONE)], Some(3_000))));
    assert_eq!((other.verdict, other.advice.len()), (Broken, 0), "{other}");
    let unreachable = judge(SecondLook::Unreachable("no connection".into()));
    assert_finding(&unreachable, Broken, "No other stream could be opened after that: no connection");
    assert_eq!(unreachable.advice.len(), 0, "{unreachable}");
}

#[test]
fn a_cut_that_does_not_happen_again_is_a_note() {
    let status = |node| format!("event: status\ndata: {{\"node\":\"{node}\"}}");
    let cut = recording(&[(10, &status("chat-1"))], Some(4_900));
    let second = SecondLook::Listened(recording(&[(10, &status("chat-2"))], None));
    let finding = idle_stream(&cut, ms(4_900), &second);
    assert_finding(&finding, Note, "chat-1 may have stopped; a second stream, of chat-2, was not cut");
    assert_eq!(finding.advice.len(), 0, "{finding}");
}

#[test]
fn another_start_cursor_means_that_the_header_was_dropped() {
    let later = ["7-3", "7-4"].map(str::to_owned);
    let right = resumed("7-2", &["7-3", "7-4"]);
    assert_finding(&resume("7-2", &later, &right, &right), Good, "exactly the 2 later");
    let dropped = resumed("7-3", &["7-4"]);
    assert_finding(&resume("7-2", &later, &dropped, &right), Broken, "?lastEventId= works");
    assert_finding(&resume("7-2", &later, &dropped, &dropped), Broken, "does not help either");
    assert_finding(&resume("7-2", &later, &resumed("7-2", &["7-4"]), &right), Broken, "held 7-4 instead of 7-3, 7-4");
    assert_finding(&resume("7-2", &later, &resumed("7-2", &["7-3", "7-3", "7-4"]), &right), Broken, "7-3, 7-3, 7-4");
}

#[test]
fn nodes_that_lack_a_posted_message_do_not_share_a_log() {
    let names = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
    assert_finding(&nodes(&names, 8, 8), Good, "2 answered: a, b");
    assert_finding(&nodes(&names, 4, 8), Broken, "4 of 8 requests: the nodes do not share one Redis");
}

#[test]
fn http_1_1_is_a_note_about_the_limit_on_tabs() {
    assert_finding(&http_version(Version::HTTP_2, true), Good, "HTTP/2");
    assert_finding(&http_version(Version::HTTP_11, true), Note, "seventh tab");
    assert!(http_version(Version::HTTP_11, false).text.contains("only over TLS"));
}

#[test]
fn response_headers_changed_on_the_way_are_found() {
    let changed = StreamHead {
        content_encoding: "gzip".into(),
        cache_control: "max-age=60".into(),
        ..StreamHead::default()
    };
    assert_finding(&compression(&changed), Broken, "gzip");
    assert_finding(&caching(&changed), Note, "max-age=60");
    let unchanged = StreamHead { cache_control: "no-cache, no-transform".into(), ..StreamHead::default() };
    assert_eq!((compression(&unchanged).verdict, caching(&unchanged).verdict), (Good, Good));
}

#[test]
fn a_key_that_stores_a_second_message_is_broken() {
    assert_finding(&repeated_post("7-1", Some("7-1"), true), Good, "one message");
    assert_finding(&repeated_post("7-1", Some("7-1"), false), Note, "cache");
    assert_finding(&repeated_post("7-1", Some("7-5"), false), Broken, "second message");
    assert_finding(&repeated_post("7-1", None, false), Broken, "not answered");
}
