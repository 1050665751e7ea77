//! What became of posts.

use super::*;

/// The number of a message that is posted beyond those of an untouched run.
const EXTRA: u32 = MESSAGES;

/// Adds a message at the end of the log that every reader gets.
fn append(run: &mut Run, message: u32) {
    let id = id(EXTRA);
    run.entries().push(Entry { id, message });
    run.same_stream();
    for room in run.history.chains.iter_mut().flat_map(|chain| &mut chain.rooms) {
        room.deliveries.push(Delivery { id, message, at: at(EXTRA) });
    }
}

#[test]
fn an_acknowledged_message_that_is_gone_without_a_fault_fails() {
    let mut run = run();
    run.history.posts.push(post(EXTRA));
    let verdict = run.judge();
    assert_eq!((verdict.lost_acknowledged, verdict.unexplained()), (1, 1));
    assert!(!verdict.is_passed());
}

#[test]
fn a_message_of_unknown_outcome_may_be_there_or_not() {
    let mut run = run();
    run.history.posts.push(Post { outcome: Outcome::Unknown, ..post(EXTRA) });
    assert!(run.judge().is_passed());
    append(&mut run, EXTRA);
    assert!(run.judge().is_passed());
    assert_eq!(run.judge().unknown, 1);
}

#[test]
fn a_message_that_was_refused_and_is_there_is_a_phantom() {
    let mut run = run();
    run.history.posts.push(Post { outcome: Outcome::Refused, ..post(EXTRA) });
    assert_counts(&run, &[]);
    append(&mut run, EXTRA);
    assert_only(&run, Kind::Phantom);
}

#[test]
fn a_message_that_was_never_posted_is_a_phantom() {
    for message in [EXTRA, crate::history::FOREIGN] {
        let mut run = run();
        append(&mut run, message);
        assert_only(&run, Kind::Phantom);
    }
}

#[test]
fn a_message_of_another_room_is_a_phantom() {
    let mut run = run();
    run.history.posts.push(Post { room: 1, ..post(EXTRA) });
    append(&mut run, EXTRA);
    assert_only(&run, Kind::Phantom);
}

#[test]
fn a_message_that_is_stored_twice_is_a_doubled_publish() {
    let mut run = run();
    append(&mut run, 3);
    run.history.posts[3].ended = at(EXTRA);
    assert_only(&run, Kind::DoubledPublish);
}

#[test]
fn a_clock_put_forward_excuses_a_doubled_publish() {
    let mut run = run();
    append(&mut run, 3);
    run.history.posts[3].ended = at(EXTRA);
    run.fault("clock", false, 7, 8);
    assert_only(&run, Kind::DoubledPublish);
    run.faults[0].forgets_keys = true;
    assert_only(&run, Kind::Forgotten);
    assert!(run.judge().is_passed());
}

#[test]
fn a_message_stored_before_one_that_was_acknowledged_is_reordered() {
    let mut run = run();
    // Message 5 was acknowledged before message 4 was posted, and stands behind it in the log.
    run.history.posts[4].begun = at(5) + 50;
    run.history.posts[4].ended = at(5) + 60;
    assert_only(&run, Kind::Reordered);
    run.history.posts[4].begun = at(5);
    assert_counts(&run, &[]);
}

#[test]
fn a_message_stored_again_after_a_loss_is_not_reordered() {
    let mut run = run();
    // It was acknowledged first, lost, and posted again after message 3: its record is of the first time.
    run.history.posts[4] = Post { begun: 0, ended: 1, outcome: Outcome::Acknowledged(id(0)), room: 0 };
    run.history.posts[0] = Post { begun: 0, ended: 1, outcome: Outcome::Unknown, room: 0 };
    run.history.posts[3].begun = at(3);
    assert_eq!(run.judge().counts.of(Kind::Reordered), 0);
    run.history.posts[4].outcome = Outcome::Acknowledged(id(4));
    assert_only(&run, Kind::Reordered);
}

#[test]
fn two_messages_with_one_id_diverge() {
    let mut run = run();
    run.room().deliveries[4].message = 3;
    assert_only(&run, Kind::Divergence);
    let mut run = super::run();
    run.history.posts[4].outcome = Outcome::Acknowledged(id(3));
    assert_only(&run, Kind::Divergence);
}

#[test]
fn two_readings_of_the_log_that_differ_diverge() {
    let mut run = run();
    run.logs.rooms[0].streamed.pop();
    assert_only(&run, Kind::Divergence);
}

#[test]
fn a_log_with_a_hole_diverges() {
    let mut run = run();
    run.entries().remove(9);
    run.same_stream();
    let verdict = run.judge();
    assert_eq!(verdict.counts.of(Kind::Divergence), 1, "{:?}", verdict.texts);
    assert_eq!(verdict.unexplained(), 1);
}
