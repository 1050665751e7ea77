use std::sync::atomic::Ordering;

use super::catching_up::MAX_PENDING_ANNOUNCEMENTS;
use super::*;
use crate::sse::GapReason;

fn entry(ms: u64, n: u64) -> Entry {
    Entry {
        id: Id { ms, n },
        prev: None,
        kind: String::new(),
        data: format!("message {n}"),
        node: None,
    }
}

fn page(entries: Vec<Entry>, last: (u64, u64)) -> LogPage {
    LogPage {
        first: entries.first().map(|entry| entry.id),
        last: Id { ms: last.0, n: last.1 },
        entries,
        more: false,
        only_deleted: false,
    }
}

/// Returns the synced tail of a log with the messages 1 to `count`, all of the same millisecond.
fn log_tail(count: u64) -> LogTail {
    let mut log = LogTail::new(true, Arc::default());
    log.load(page((1..=count).map(|n| entry(10, n)).collect(), (10, count)));
    log.mark_in_sync(Instant::now());
    assert!(log.is_in_sync());
    log
}

/// Returns the numbers of the messages that are replayed after an id; `None` if its position is not known.
fn replayed_after(log: &LogTail, ms: u64, n: u64) -> Option<Vec<u64>> {
    let frames = log.buffer().frames_from(log.position_after(Id { ms, n })?, usize::MAX)?;
    let logged = frames.filter(|(_, frame)| frame.logged);
    Some(logged.filter_map(|(_, frame)| frame.cursor.as_ref().map(|cursor| cursor.of(0).n)).collect())
}

#[test]
fn the_next_number_is_applied_and_a_known_one_ignored() {
    let mut log = log_tail(2);
    assert_eq!(log.on_announcement(entry(11, 3)), AnnouncementOutcome::Applied);
    assert_eq!(log.on_announcement(entry(11, 3)), AnnouncementOutcome::Ignored);
    assert_eq!(log.on_announcement(entry(10, 1)), AnnouncementOutcome::Ignored);
    assert_eq!(replayed_after(&log, 10, 1), Some(vec![2, 3]));
}

#[test]
fn a_skipped_number_or_another_time_is_out_of_order() {
    for strange in [entry(11, 4), entry(11, 2), entry(9, 3)] {
        let mut log = log_tail(2);
        assert_eq!(log.on_announcement(strange.clone()), AnnouncementOutcome::OutOfOrder, "{strange:?}");
        assert!(!log.is_in_sync());
        assert_eq!(log.last(), Some(Id { ms: 10, n: 2 }));
    }
}

#[test]
fn announcements_during_a_read_follow_the_page_once() {
    let mut log = log_tail(2);
    log.start_catching_up(Instant::now());
    for n in 4..=6 {
        assert_eq!(log.on_announcement(entry(12, n)), AnnouncementOutcome::Ignored);
    }
    let missed = vec![entry(10, 2), entry(11, 3), entry(12, 4)];
    assert_eq!(log.apply_page(Id { ms: 10, n: 2 }, page(missed, (12, 4))), Ok(None));
    log.mark_in_sync(Instant::now());
    assert!(log.is_in_sync());
    assert_eq!(replayed_after(&log, 10, 1), Some(vec![2, 3, 4, 5, 6]));
}

#[test]
fn an_announcement_after_a_hole_requires_another_read() {
    let mut log = log_tail(2);
    log.start_catching_up(Instant::now());
    log.on_announcement(entry(12, 5));
    assert_eq!(log.apply_page(Id { ms: 10, n: 2 }, page(vec![entry(10, 2)], (10, 2))), Ok(None));
    log.mark_in_sync(Instant::now());
    assert!(!log.is_in_sync());
    let whole = vec![entry(10, 2), entry(12, 3), entry(12, 4), entry(12, 5)];
    assert_eq!(log.apply_page(Id { ms: 10, n: 2 }, page(whole, (12, 5))), Ok(None));
    log.mark_in_sync(Instant::now());
    assert!(log.is_in_sync());
    assert_eq!(replayed_after(&log, 10, 2), Some(vec![3, 4, 5]));
}

#[test]
fn too_many_pending_announcements_require_another_read() {
    let mut log = log_tail(0);
    log.start_catching_up(Instant::now());
    for n in 1..=MAX_PENDING_ANNOUNCEMENTS as u64 + 1 {
        assert_eq!(log.on_announcement(entry(10, n)), AnnouncementOutcome::Ignored);
    }
    log.mark_in_sync(Instant::now());
    assert!(!log.is_in_sync());
    assert_eq!(log.last(), Some(Id { ms: 10, n: MAX_PENDING_ANNOUNCEMENTS as u64 }));
}

#[test]
fn a_lost_log_is_a_gap_and_its_ids_have_no_position() {
    let mut log = log_tail(5);
    log.start_catching_up(Instant::now());
    let gap = log.apply_page(Id { ms: 10, n: 5 }, page(vec![entry(20, 1), entry(20, 2)], (20, 2)));
    assert_eq!(gap, Ok(Some(GapReason::Reset)));
    log.mark_in_sync(Instant::now());
    let (_, frame) = log.buffer().frames_from(5, 1).unwrap().next().unwrap();
    let expected = Event::gap("10-5", Some(Id { ms: 20, n: 1 }), GapReason::Reset);
    assert_eq!((frame.event.as_deref(), &frame.cursor), (Some(&expected), &Some(Id::ZERO.into())));
    assert_eq!(replayed_after(&log, 10, 4), None);
    assert_eq!(replayed_after(&log, 20, 1), Some(vec![2]));
    assert_eq!(log.on_announcement(entry(20, 3)), AnnouncementOutcome::Applied);
}

#[test]
fn a_deleted_newest_message_keeps_its_number() {
    let mut log = log_tail(2);
    log.start_catching_up(Instant::now());
    assert_eq!(log.apply_page(Id { ms: 10, n: 2 }, page(vec![entry(10, 2)], (11, 3))), Ok(None));
    log.mark_in_sync(Instant::now());
    assert_eq!(log.on_announcement(entry(12, 4)), AnnouncementOutcome::Applied);
    assert_eq!(replayed_after(&log, 11, 3), None);
    assert_eq!(replayed_after(&log, 10, 2), Some(vec![4]));
}

#[test]
fn trimmed_messages_are_not_replayed() {
    let mut log = log_tail(5);
    let trimmed = LogPage { first: Some(Id { ms: 10, n: 4 }), ..page(vec![entry(10, 5)], (10, 5)) };
    assert_eq!(log.apply_page(Id { ms: 10, n: 5 }, trimmed), Ok(None));
    assert_eq!(replayed_after(&log, 10, 2), None);
    assert_eq!(replayed_after(&log, 10, 3), Some(vec![4, 5]));
    assert_eq!(log.cursor_before_newest(1), Some(Id { ms: 10, n: 4 }));
    assert_eq!(log.cursor_before_newest(2), None);
}

#[test]
fn memory_is_bounded_and_the_newest_frames_are_kept() {
    let node_bytes = Arc::new(AtomicUsize::new(0));
    let mut log = LogTail::new(true, node_bytes.clone());
    log.load(page(vec![], (0, 0)));
    log.mark_in_sync(Instant::now());
    let big = |n| Entry { data: "x".repeat(1 << 20), ..entry(10, n) };
    for n in 1..=20 {
        assert_eq!(log.on_announcement(big(n)), AnnouncementOutcome::Applied);
    }
    assert!(node_bytes.load(Ordering::Relaxed) <= crate::hub::room::buffer::MAX_BUFFER_BYTES);
    assert_eq!(replayed_after(&log, 10, 18), Some(vec![19, 20]));
    assert_eq!(replayed_after(&log, 10, 10), None);
    assert!(log.buffer().frames_from(0, 1).is_none());
    drop(log);
    assert_eq!(node_bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn ephemeral_frames_are_sent_but_not_replayed() {
    let mut log = log_tail(2);
    log.push_ephemeral(Event::foreign(b"x", 1));
    assert_eq!(log.on_announcement(entry(11, 3)), AnnouncementOutcome::Applied);
    assert_eq!(replayed_after(&log, 10, 1), Some(vec![2, 3]));
    assert_eq!(log.buffer().frames_from(0, usize::MAX).unwrap().count(), 4);
}

#[test]
fn an_outage_is_reported_once_until_in_sync_again() {
    let mut log = log_tail(1);
    let since = Instant::now();
    assert!(!log.report_outage(since));
    log.start_catching_up(since);
    assert!(!log.report_outage(since - std::time::Duration::from_secs(1)));
    assert!(log.report_outage(since) && !log.buffer().live);
    assert!(!log.report_outage(since));
    log.mark_in_sync(Instant::now());
    assert!(log.buffer().live);
}

#[test]
fn a_gap_before_the_last_announcement_is_a_stale_page() {
    let mut log = log_tail(5);
    assert_eq!(log.on_announcement(entry(11, 6)), AnnouncementOutcome::Applied);
    assert_eq!(log.on_announcement(entry(11, 7)), AnnouncementOutcome::Applied);
    assert_eq!(log.apply_page(Id { ms: 10, n: 5 }, page(vec![entry(11, 7)], (11, 7))), Err(StalePage));
    assert_eq!(log.apply_page(Id { ms: 11, n: 7 }, page(vec![entry(11, 7)], (11, 7))), Ok(None));
    assert_eq!(log.buffer().end(), 7);
}

#[test]
fn an_out_of_order_entry_survives_an_older_read() {
    let mut log = log_tail(2);
    assert_eq!(log.on_announcement(entry(11, 4)), AnnouncementOutcome::OutOfOrder);
    log.mark_in_sync(Instant::now());
    assert!(!log.is_in_sync());
}

/// Another database of the same Redis announces on the same channel.
#[test]
fn an_announcement_that_the_log_does_not_have_is_dropped() {
    let mut log = log_tail(5);
    assert_eq!(log.on_announcement(entry(11, 7)), AnnouncementOutcome::OutOfOrder);
    assert_eq!(log.begin_read(), Some(Id { ms: 10, n: 5 }));
    assert_eq!(log.apply_page(Id { ms: 10, n: 5 }, page(vec![entry(10, 5), entry(11, 6)], (11, 6))), Ok(None));
    log.mark_in_sync(Instant::now());
    assert!(log.is_in_sync());
    assert_eq!(replayed_after(&log, 10, 4), Some(vec![5, 6]));
}

/// The log was replaced while it was read, and the new one has grown past the number of the old one.
#[test]
fn no_announcement_is_appended_after_one_that_does_not_follow() {
    let mut log = log_tail(1);
    log.start_catching_up(Instant::now());
    log.begin_read();
    for n in 1..=3 {
        log.on_announcement(entry(20, n));
    }
    assert_eq!(log.apply_page(Id { ms: 10, n: 1 }, page(vec![entry(10, 1)], (10, 1))), Ok(None));
    log.mark_in_sync(Instant::now());
    assert!(!log.is_in_sync());
    assert_eq!(log.last(), Some(Id { ms: 10, n: 1 }));
}

/// Two logs that differ from a number on: the page is of one, an announcement of the other.
#[test]
fn a_page_that_does_not_continue_from_an_announcement_is_stale() {
    let mut log = log_tail(5);
    assert_eq!(log.on_announcement(entry(12, 6)), AnnouncementOutcome::Applied);
    let other = page(vec![entry(10, 5), entry(11, 6), entry(13, 7)], (13, 7));
    assert_eq!(log.apply_page(Id { ms: 10, n: 5 }, other), Err(StalePage));
    let older = page(vec![entry(10, 5)], (10, 5));
    assert_eq!(log.apply_page(Id { ms: 10, n: 5 }, older), Ok(None));
    assert_eq!(log.last(), Some(Id { ms: 12, n: 6 }));
}

#[test]
fn an_announcement_that_states_its_predecessor_has_to_follow_it() {
    let mut log = log_tail(2);
    let stating = |ms, n, prev| Entry { prev: Some(prev), ..entry(ms, n) };
    assert_eq!(log.on_announcement(stating(11, 3, Id { ms: 10, n: 2 })), AnnouncementOutcome::Applied);
    assert_eq!(log.on_announcement(stating(13, 4, Id { ms: 12, n: 3 })), AnnouncementOutcome::OutOfOrder);
}

/// It has grown to the same number, so that the next announcement seems to follow.
#[test]
fn an_entry_of_this_node_is_verified_without_a_comparison() {
    let of_this_node = |n| Entry { prev: Some(Id { ms: 10, n: n - 1 }), ..entry(10, n) };
    let mut log = log_tail(2);
    assert!(log.on_stored(&of_this_node(3)));
    assert_eq!(log.on_announcement(entry(10, 3)), AnnouncementOutcome::Ignored);
    assert_eq!(log.on_announcement(entry(10, 4)), AnnouncementOutcome::Applied);
    assert_eq!(log.unverified(), Some(Id { ms: 10, n: 3 }));
    assert!(!log.on_stored(&of_this_node(4)));
    assert!(log.is_verified());
    assert_eq!(replayed_after(&log, 10, 1), Some(vec![2, 3, 4]));
    log.on_announcement(entry(10, 5));
    assert!(log.on_stored(&of_this_node(6)));
    assert_eq!(log.unverified(), Some(Id { ms: 10, n: 4 }), "entry 5 was only announced");
}

#[test]
fn an_entry_of_this_node_that_does_not_follow_waits_for_the_log() {
    let mut log = log_tail(2);
    let later = Entry { prev: Some(Id { ms: 10, n: 3 }), ..entry(10, 4) };
    let of_another_log = Entry { prev: Some(Id { ms: 9, n: 2 }), ..entry(10, 3) };
    for entry in [later, of_another_log, entry(10, 3)] {
        assert!(!log.on_stored(&entry), "{entry:?}");
        assert!(log.is_verified());
    }
    log.start_catching_up(Instant::now());
    assert!(!log.on_stored(&Entry { prev: Some(Id { ms: 10, n: 2 }), ..entry(10, 3) }));
    assert_eq!(log.last(), Some(Id { ms: 10, n: 2 }));
}

#[test]
fn ephemeral_frames_are_forgotten_where_there_are_no_others() {
    let mut log = log_tail(0);
    log.push_ephemeral(Event::foreign(b"f", 1));
    log.forget_ephemeral(0);
    assert!(log.buffer().frames_from(0, 1).is_some(), "it came after what all subscribers have");
    log.forget_ephemeral(1);
    assert!(log.buffer().frames_from(0, 1).is_none(), "a subscriber that has not got it looks its cursor up");
    assert_eq!(log.position_after(Id { ms: 10, n: 0 }), Some(1));
    assert_eq!(log.on_announcement(entry(10, 1)), AnnouncementOutcome::Applied);
    log.push_ephemeral(Event::foreign(b"f", 1));
    log.forget_ephemeral(3);
    assert_eq!(replayed_after(&log, 10, 0), Some(vec![1]));
    assert_eq!((log.buffer().start(), log.buffer().end()), (1, 3));
}

#[test]
fn a_log_replaced_by_one_of_equal_length_is_a_gap() {
    let stating = |ms, n, prev_ms| Entry { prev: Some(Id { ms: prev_ms, n: n - 1 }), ..entry(ms, n) };
    let id = |ms, n| Id { ms, n };
    let gap_after = |log: &mut LogTail, entries| log.compare(id(10, 2), &page(entries, (30, 4)));
    let announced = || {
        let mut log = log_tail(2);
        assert_eq!(log.unverified(), None);
        assert_eq!(log.on_announcement(entry(20, 3)), AnnouncementOutcome::Applied);
        assert_eq!(log.on_announcement(entry(30, 4)), AnnouncementOutcome::Applied);
        assert_eq!(log.unverified(), Some(id(10, 2)));
        assert!(log.take_due_comparison(Instant::now()) && !log.take_due_comparison(Instant::now()));
        log
    };
    for same in [
        vec![entry(10, 2), stating(20, 3, 10), stating(30, 4, 20)],
        vec![stating(30, 4, 20)],
        vec![entry(20, 3), entry(30, 4), stating(40, 5, 30)],
        vec![],
    ] {
        let mut log = announced();
        assert_eq!(gap_after(&mut log, same.clone()), None, "{same:?}");
        assert_eq!((log.unverified(), replayed_after(&log, 10, 1)), (None, Some(vec![2, 3, 4])));
    }
    for other in [
        vec![entry(9, 2), stating(20, 3, 9), stating(30, 4, 20)],
        vec![stating(20, 3, 10), stating(30, 4, 25)],
        vec![entry(11, 1), entry(12, 2), entry(20, 3)],
        vec![entry(25, 3), entry(30, 4)],
    ] {
        let mut log = announced();
        assert_eq!(gap_after(&mut log, other.clone()), Some(GapReason::Reset), "{other:?}");
        assert_eq!((log.unverified(), log.last(), replayed_after(&log, 10, 1)), (None, Some(id(30, 4)), None));
        assert_eq!(log.on_announcement(entry(40, 5)), AnnouncementOutcome::Applied);
    }
}

/// Returns an entry that tells of a deletion.
fn deletion(n: u64, data: &str) -> Entry {
    Entry { kind: "delete".into(), data: data.into(), ..entry(10, n) }
}

/// Returns an entry that tells of an edit of the message with a number.
fn edit(n: u64, of: u64, text: &str) -> Entry {
    let data = format!(r#"{{"id":"10-{of}","sender":"ada","message":"{text}"}}"#);
    Entry { kind: "edit".into(), data, ..entry(10, n) }
}

/// Returns the data of the frames that have some.
fn texts(log: &LogTail) -> Vec<String> {
    let events = log.buffer().frames_from(0, usize::MAX).into_iter().flatten();
    events.filter_map(|(_, frame)| frame.event.as_ref().map(|event| event.data.clone())).collect()
}

#[test]
fn a_deleted_frame_keeps_its_cursor_and_nothing_else() {
    let mut log = log_tail(5);
    let bytes = Arc::new(AtomicUsize::new(0));
    let mut counted = LogTail::new(true, bytes.clone());
    let long = |n| Entry { data: "long".repeat(1000), ..entry(10, n) };
    counted.load(page((4..=5).map(long).collect(), (10, 5)));
    counted.mark_in_sync(Instant::now());
    for (_, frame) in counted.buffer().frames_from(0, usize::MAX).expect("frames") {
        let form = crate::sse::Form { syntax: crate::sse::Syntax::Chats, is_chunked: true };
        assert!(!counted.buffer().encode(frame, form).is_empty());
    }
    let before = bytes.load(Ordering::Relaxed);
    assert_eq!(log.on_announcement(deletion(6, r#"{"id":"10-2"}"#)), AnnouncementOutcome::Applied);
    assert_eq!(texts(&log), ["message 1", "message 3", "message 4", "message 5", r#"{"id":"10-2"}"#]);
    assert_eq!(replayed_after(&log, 10, 1), Some(vec![2, 3, 4, 5, 6]));
    assert_eq!(replayed_after(&log, 10, 2), Some(vec![3, 4, 5, 6]), "a reader may be there");
    assert_eq!(log.cursor_before_newest(4), Some(Id { ms: 10, n: 1 }), "it counts no longer");
    counted.on_announcement(deletion(6, r#"{"all":true}"#));
    assert_eq!(texts(&counted), [r#"{"all":true}"#]);
    assert_eq!(replayed_after(&counted, 10, 4), Some(vec![5, 6]));
    let after = bytes.load(Ordering::Relaxed);
    assert!(before > 8000 && after < 1000, "{before} bytes before, {after} after");
    drop(counted);
    assert_eq!(bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn edits_are_dropped_with_the_next_one_and_with_their_message() {
    let mut log = log_tail(2);
    for entry in [edit(3, 1, "first"), edit(4, 2, "other"), edit(5, 1, "second")] {
        assert_eq!(log.on_announcement(entry), AnnouncementOutcome::Applied);
    }
    let rest = |log: &LogTail| texts(log).concat();
    assert!(!rest(&log).contains("first") && rest(&log).contains("second") && rest(&log).contains("message 1"));
    assert_eq!(replayed_after(&log, 10, 2), Some(vec![3, 4, 5]), "a reader may be there");
    log.on_announcement(deletion(6, r#"{"id":"10-1"}"#));
    assert!(!rest(&log).contains("second") && !rest(&log).contains("message 1") && rest(&log).contains("other"));
}

#[test]
fn entry_that_was_read_before_its_deletion_is_dropped() {
    let mut log = log_tail(1);
    log.start_catching_up(Instant::now());
    log.on_announcement(deletion(4, r#"{"id":"10-2"}"#));
    let missed = vec![entry(10, 1), entry(10, 2), entry(10, 3)];
    assert_eq!(log.apply_page(Id { ms: 10, n: 1 }, page(missed, (10, 3))), Ok(None));
    log.mark_in_sync(Instant::now());
    assert_eq!(texts(&log), ["message 1", "message 3", r#"{"id":"10-2"}"#]);
}
