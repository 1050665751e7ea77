use super::*;
use crate::doctor::ear::Block;
use crate::doctor::finding::Verdict::{self, Broken, Good, Note};

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn tale(blocks: &[(u64, &str)], end: Option<u64>) -> Tale {
    let block = |(ms, text): &(u64, &str)| (at(*ms), Block::parse(text));
    Tale { blocks: blocks.iter().map(block).collect(), end: end.map(|ms| (at(ms), "it ended".into())) }
}

fn sent(acks: &[u64]) -> Vec<Sent> {
    let number = |(n, ms): (usize, &u64)| Sent { id: format!("7-{}", n + 1), acked: at(*ms) };
    acks.iter().enumerate().map(number).collect()
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

const ONE: &str = "id: 7-1\ndata: {}";
const TWO: &str = "id: 7-2\ndata: {}";
const BEAT: &str = "event: heartbeat\ndata: OK";

#[track_caller]
fn is(finding: &Finding, verdict: Verdict, part: &str) {
    assert_eq!(finding.verdict, verdict, "{finding}");
    assert!(finding.seen.contains(part), "{finding}");
}

#[test]
fn messages_that_come_one_by_one_are_not_buffered() {
    let tale = tale(&[(10, "retry: 1\nid: 0-0"), (190, ONE), (410, TWO)], None);
    is(&delivery(&tale, &sent(&[200, 400]), true), Good, "2 messages came one by one, each within 10 ms");
}

#[test]
fn messages_that_wait_for_company_are_buffered() {
    let acks = sent(&[200, 500]);
    let bunch = tale(&[(10, "retry: 1\nid: 0-0"), (3000, ONE), (3001, TWO)], None);
    is(&delivery(&bunch, &acks, true), Broken, "2.8 s after it was acknowledged, several in one piece");
    let pushed = tale(&[(10, "retry: 1\nid: 0-0"), (5000, ONE), (5001, TWO), (5002, BEAT)], None);
    is(&delivery(&pushed, &acks, true), Broken, "pushed out by a heartbeat");
    is(&delivery(&tale(&[], None), &acks, true), Broken, "2 of 2 acknowledged messages did not come");
}

#[test]
fn a_message_that_could_not_come_is_no_proof_of_a_buffer() {
    let acks = sent(&[200, 500]);
    is(&delivery(&tale(&[(210, ONE)], None), &acks, false), Note, "cannot be told");
    is(&delivery(&tale(&[(210, ONE)], Some(300)), &acks, true), Note, "cannot be told");
    is(&delivery(&tale(&[], None), &[], true), Note, "no message was taken");
}

#[test]
fn heartbeats_have_to_come_when_they_are_due() {
    let beat = Duration::from_secs(15);
    let quiet = tale(&[(10, ONE), (15_010, BEAT), (30_010, BEAT)], None);
    is(&heartbeats(&quiet, beat, at(37_000)), Good, "2 came, never more than 15.0 s");
    is(&heartbeats(&tale(&[(10, ONE)], None), beat, at(37_000)), Broken, "nothing came for 37.0 s");
    is(&heartbeats(&tale(&[(10, ONE)], None), beat, at(5_000)), Note, "none was due");
}

#[test]
fn a_stream_that_is_cut_tells_after_which_silence() {
    let cut = tale(&[(10, ONE), (2_000, TWO)], Some(12_000));
    is(&idle(&cut, at(12_000)), Broken, "cut after 12.0 s, when nothing had come for 10.0 s");
    is(
        &idle(&tale(&[(2_000, ONE)], None), at(40_000)),
        Good,
        "alive after 40.0 s, the last 38.0 s without a message",
    );
    let away = tale(&[(10, "event: backoff\ndata: {\"reason\":\"draining\"}")], Some(12));
    is(&idle(&away, at(12)), Note, "draining");
}

#[test]
fn a_place_that_is_not_the_asked_one_means_that_the_header_was_dropped() {
    let resumed = |place: &str, later: &[&str]| Resumed { place: Some(place.into()), ids: ids(later) };
    let later = ids(&["7-3", "7-4"]);
    let right = resumed("7-2", &["7-3", "7-4"]);
    is(&resume("7-2", &later, &right, &right), Good, "exactly the 2 later");
    let dropped = resumed("7-3", &["7-4"]);
    is(&resume("7-2", &later, &dropped, &right), Broken, "?lastEventId= works");
    is(&resume("7-2", &later, &dropped, &dropped), Broken, "does not help either");
    is(&resume("7-2", &later, &resumed("7-2", &["7-4"]), &right), Broken, "7-4 came instead of 7-3, 7-4");
    is(&resume("7-2", &later, &resumed("7-2", &["7-3", "7-3", "7-4"]), &right), Broken, "7-3, 7-3, 7-4");
}

#[test]
fn nodes_without_one_log_are_found_by_what_they_do_not_have() {
    let names = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
    is(&nodes(&names, 8, 8), Good, "2 answered: a, b");
    is(&nodes(&names, 4, 8), Broken, "4 of 8 requests: they do not share one Redis");
}

#[test]
fn http_1_is_a_note_with_its_meaning() {
    is(&version(Version::HTTP_2, true), Good, "HTTP/2");
    is(&version(Version::HTTP_11, true), Note, "seventh tab");
    assert!(version(Version::HTTP_11, false).seen.contains("only over TLS"));
}

#[test]
fn a_head_that_was_changed_on_the_way_is_told() {
    let changed = Head { coding: "gzip".into(), caching: "max-age=60".into(), ..Head::default() };
    let [coding, caching] = head(&changed);
    is(&coding, Broken, "gzip");
    is(&caching, Note, "max-age=60");
    let [coding, caching] = head(&Head { caching: "no-cache, no-transform".into(), ..Head::default() });
    assert_eq!((coding.verdict, caching.verdict), (Good, Good));
}

#[test]
fn a_key_that_makes_two_messages_is_found() {
    is(&repeated("7-1", Some("7-1"), true), Good, "one message");
    is(&repeated("7-1", Some("7-1"), false), Note, "cache");
    is(&repeated("7-1", Some("7-5"), false), Broken, "second message");
    is(&repeated("7-1", None, false), Broken, "not answered");
}
