use std::sync::atomic::Ordering;

use super::*;
use crate::sse::GapReason;

fn entry(ms: u64, n: u64) -> Entry {
    Entry { id: Id { ms, n }, kind: String::new(), data: format!("message {n}"), node: None }
}

fn reading(entries: Vec<Entry>, last: (u64, u64)) -> LogPage {
    LogPage {
        first: entries.first().map(|entry| entry.id),
        last: Id { ms: last.0, n: last.1 },
        entries,
        more: false,
    }
}

/// A current log with the messages 1 to `count`, all of the same millisecond.
fn log(count: u64) -> Log {
    let mut log = Log::new(true, Arc::default());
    log.begin(reading((1..=count).map(|n| entry(10, n)).collect(), (10, count)));
    assert_eq!(log.settle(), Heard::Appended);
    log
}

/// The numbers of the frames that are replayed after an id; `None` where its place is not held.
fn after(log: &Log, ms: u64, n: u64) -> Option<Vec<u64>> {
    let frames = log.tape().since(log.position_after(Id { ms, n })?, usize::MAX)?;
    let logged = frames.filter(|(_, frame)| frame.logged);
    Some(logged.filter_map(|(_, frame)| frame.place.as_ref().map(|place| place.of(0).n)).collect())
}

#[test]
fn the_next_number_is_appended_and_a_known_one_is_kept_once() {
    let mut log = log(2);
    assert_eq!(log.hear(entry(11, 3), None), Heard::Appended);
    assert_eq!(log.hear(entry(11, 3), None), Heard::Kept);
    assert_eq!(log.hear(entry(10, 1), None), Heard::Kept);
    assert_eq!(after(&log, 10, 1), Some(vec![2, 3]));
}

#[test]
fn a_skipped_number_or_a_known_one_under_another_time_makes_the_log_be_read() {
    for strange in [entry(11, 4), entry(11, 2), entry(9, 3)] {
        let mut log = log(2);
        assert_eq!(log.hear(strange.clone(), None), Heard::Behind, "{strange:?}");
        assert!(!log.is_current());
        assert_eq!(log.last(), Some(Id { ms: 10, n: 2 }));
    }
}

#[test]
fn what_is_announced_while_the_log_is_read_follows_the_reading_once() {
    let mut log = log(2);
    log.fall_behind(Instant::now());
    for n in 4..=6 {
        assert_eq!(log.hear(entry(12, n), None), Heard::Kept);
    }
    let missed = vec![entry(10, 2), entry(11, 3), entry(12, 4)];
    assert_eq!(log.catch_up(Id { ms: 10, n: 2 }, reading(missed, (12, 4))), Ok(None));
    assert_eq!(log.settle(), Heard::Appended);
    assert_eq!(after(&log, 10, 1), Some(vec![2, 3, 4, 5, 6]));
}

#[test]
fn what_does_not_follow_the_reading_makes_the_log_be_read_once_more() {
    let mut log = log(2);
    log.fall_behind(Instant::now());
    log.hear(entry(12, 5), None);
    assert_eq!(log.catch_up(Id { ms: 10, n: 2 }, reading(vec![entry(10, 2)], (10, 2))), Ok(None));
    assert_eq!(log.settle(), Heard::Behind);
    let whole = vec![entry(10, 2), entry(12, 3), entry(12, 4), entry(12, 5)];
    assert_eq!(log.catch_up(Id { ms: 10, n: 2 }, reading(whole, (12, 5))), Ok(None));
    assert_eq!(log.settle(), Heard::Appended);
    assert_eq!(after(&log, 10, 2), Some(vec![3, 4, 5]));
}

#[test]
fn more_than_can_wait_makes_the_log_be_read_once_more() {
    let mut log = log(0);
    log.fall_behind(Instant::now());
    (1..=WAITING as u64 + 1).for_each(|n| assert_eq!(log.hear(entry(10, n), None), Heard::Kept));
    assert_eq!(log.settle(), Heard::Behind);
    assert_eq!(log.last(), Some(Id { ms: 10, n: WAITING as u64 }));
}

#[test]
fn a_lost_log_is_told_to_all_and_its_ids_lead_nowhere_any_more() {
    let mut log = log(5);
    log.fall_behind(Instant::now());
    let gap = log.catch_up(Id { ms: 10, n: 5 }, reading(vec![entry(20, 1), entry(20, 2)], (20, 2)));
    assert_eq!(gap, Ok(Some(GapReason::Reset)));
    log.settle();
    let told = log.tape().since(5, 1).unwrap().next().unwrap().1.bytes.clone();
    let expected = sse::gap("10-5", Some(Id { ms: 20, n: 1 }), GapReason::Reset, Id::ZERO);
    assert_eq!(told, expected);
    assert_eq!(after(&log, 10, 4), None);
    assert_eq!(after(&log, 20, 1), Some(vec![2]));
    assert_eq!(log.hear(entry(20, 3), None), Heard::Appended);
}

#[test]
fn a_deleted_newest_message_keeps_its_number() {
    let mut log = log(2);
    log.fall_behind(Instant::now());
    assert_eq!(log.catch_up(Id { ms: 10, n: 2 }, reading(vec![entry(10, 2)], (11, 3))), Ok(None));
    log.settle();
    assert_eq!(log.hear(entry(12, 4), None), Heard::Appended);
    assert_eq!(after(&log, 11, 3), None);
    assert_eq!(after(&log, 10, 2), Some(vec![4]));
}

#[test]
fn frames_of_what_the_log_has_trimmed_are_not_replayed() {
    let mut log = log(5);
    let trimmed = LogPage { first: Some(Id { ms: 10, n: 4 }), ..reading(vec![entry(10, 5)], (10, 5)) };
    assert_eq!(log.catch_up(Id { ms: 10, n: 5 }, trimmed), Ok(None));
    assert_eq!(after(&log, 10, 2), None);
    assert_eq!(after(&log, 10, 3), Some(vec![4, 5]));
    assert_eq!(log.newest(1), Some(Id { ms: 10, n: 4 }));
    assert_eq!(log.newest(2), None);
}

#[test]
fn memory_is_bounded_and_the_newest_frames_stay() {
    let node_bytes = Arc::new(AtomicUsize::new(0));
    let mut log = Log::new(true, node_bytes.clone());
    log.begin(reading(vec![], (0, 0)));
    log.settle();
    let big = |n| Entry { data: "x".repeat(1 << 20), ..entry(10, n) };
    (1..=20).for_each(|n| assert_eq!(log.hear(big(n), None), Heard::Appended));
    assert!(node_bytes.load(Ordering::Relaxed) <= crate::hub::tape::CAPACITY);
    assert_eq!(after(&log, 10, 18), Some(vec![19, 20]));
    assert_eq!(after(&log, 10, 10), None);
    assert!(log.tape().since(0, 1).is_none());
    drop(log);
    assert_eq!(node_bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn what_is_not_in_the_log_is_sent_to_who_is_there_and_not_replayed() {
    let mut log = log(2);
    log.hear_beside(Bytes::from_static(b"data: x\n\n"));
    assert_eq!(log.hear(entry(11, 3), None), Heard::Appended);
    assert_eq!(after(&log, 10, 1), Some(vec![2, 3]));
    assert_eq!(log.tape().since(0, usize::MAX).unwrap().count(), 4);
}

#[test]
fn a_loss_is_admitted_once_and_taken_back_when_the_log_is_known() {
    let mut log = log(1);
    let since = Instant::now();
    assert!(!log.admit_loss(since));
    log.fall_behind(since);
    assert!(!log.admit_loss(since - std::time::Duration::from_secs(1)));
    assert!(log.admit_loss(since) && !log.tape().live);
    assert!(!log.admit_loss(since));
    log.settle();
    assert!(log.tape().live);
}

#[test]
fn a_gap_after_an_id_that_readers_have_left_behind_is_none() {
    let mut log = log(5);
    assert_eq!(log.hear(entry(11, 6), None), Heard::Appended);
    assert_eq!(log.hear(entry(11, 7), None), Heard::Appended);
    assert_eq!(log.catch_up(Id { ms: 10, n: 5 }, reading(vec![entry(11, 7)], (11, 7))), Err(Outdated));
    assert_eq!(log.catch_up(Id { ms: 11, n: 7 }, reading(vec![entry(11, 7)], (11, 7))), Ok(None));
    assert_eq!(log.tape().end(), 7);
}

#[test]
fn a_skip_is_not_forgotten_when_an_older_reading_settles() {
    let mut log = log(2);
    assert_eq!(log.hear(entry(11, 4), None), Heard::Behind);
    assert_eq!(log.settle(), Heard::Behind);
    assert!(!log.is_current());
}
