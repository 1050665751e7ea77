//! What readers get, and do not get.

use super::*;

#[test]
fn a_message_that_did_not_come_is_lost_and_silent() {
    let mut run = run();
    run.room().deliveries.remove(7);
    assert_counts(&run, &[(Kind::LostDelivery, 1), (Kind::SilentGap, 1)]);
}

#[test]
fn messages_that_did_not_come_together_are_one_gap() {
    let mut run = run();
    run.room().deliveries.drain(7..10);
    assert_counts(&run, &[(Kind::LostDelivery, 3), (Kind::SilentGap, 1)]);
}

#[test]
fn a_message_missing_at_the_end_is_lost() {
    let mut run = run();
    run.room().deliveries.pop();
    assert_only(&run, Kind::LostDelivery);
}

#[test]
fn a_reader_that_left_for_good_need_not_have_the_end() {
    let mut run = run();
    run.room().deliveries.truncate(12);
    run.history.chains[0].reads_to_end = false;
    assert_counts(&run, &[]);
}

#[test]
fn a_message_missing_at_the_beginning_is_lost_and_silent() {
    let mut run = run();
    run.room().deliveries.remove(0);
    assert_counts(&run, &[(Kind::LostDelivery, 1), (Kind::SilentGap, 1)]);
}

#[test]
fn a_reader_that_begins_late_need_not_have_the_beginning() {
    let mut run = run();
    run.room().deliveries.drain(..5);
    run.room().marks[0].event = Event::Cursor(id(4));
    assert_counts(&run, &[]);
}

#[test]
fn what_is_posted_after_an_opening_has_to_come() {
    let mut run = run();
    run.room().deliveries.drain(..5);
    run.room().marks[0].event = Event::OpenedWithoutCursor;
    run.room().marks[0].at = at(3);
    // Message 4 was posted after the reader was told that it is live.
    assert_counts(&run, &[(Kind::LostDelivery, 1), (Kind::SilentGap, 1)]);
    run.room().marks[0].at = at(4);
    assert_counts(&run, &[]);
}

#[test]
fn a_message_that_comes_twice_is_doubled() {
    let mut run = run();
    run.room().deliveries.insert(8, delivery(7));
    assert_only(&run, Kind::DoubledDelivery);
}

#[test]
fn a_message_that_comes_again_much_later_is_doubled() {
    let mut run = run();
    run.room().deliveries.insert(18, delivery(2));
    assert_only(&run, Kind::DoubledDelivery);
}

#[test]
fn a_message_that_comes_late_is_reordered() {
    let mut run = run();
    run.room().deliveries.swap(7, 8);
    // When 8 came before 7, something was missing, and nothing said so.
    assert_counts(&run, &[(Kind::Reordered, 1), (Kind::SilentGap, 1)]);
}

#[test]
fn a_gap_where_nothing_is_missing_is_false() {
    let mut run = run();
    run.gap(7, id(6), Some(id(7)), Some(id(6)));
    assert_only(&run, Kind::FalseGap);
    assert!(run.judge().is_passed());
}

#[test]
fn a_gap_does_not_excuse_what_the_log_has_after_the_cursor() {
    let mut run = run();
    run.room().deliveries.drain(7..10);
    run.gap(7, id(6), Some(id(10)), Some(id(9)));
    assert_counts(&run, &[(Kind::LostDelivery, 3), (Kind::FalseGap, 1)]);
}

#[test]
fn a_gap_excuses_only_what_lies_before_it() {
    let mut run = run();
    run.fail_over(5, 3);
    run.room().deliveries.drain(10..12);
    run.gap(8, id(7), Some(other_id(5)), Some(id(4)));
    let other = run.history.chains[1].rooms[0].marks[0];
    run.history.chains[1].rooms[0].marks = vec![other, run.room().marks[1]];
    assert_counts(&run, &[(Kind::LostDelivery, 2), (Kind::SilentGap, 1)]);
}

#[test]
fn what_a_failover_took_away_has_to_be_told() {
    let mut run = run();
    run.fault("failover", true, 5, 8);
    run.fail_over(5, 3);
    let told =
        Event::Gap(Gap { asked: Some(id(7)), resumed: Some(other_id(5)), cursor: Some(id(4)), reason: Reason::Reset });
    run.history.chains[1].rooms[0]
        .marks
        .push(crate::history::Mark { position: 8, at: at(8), event: told });
    // The first reader was not told, the second was.
    assert_only(&run, Kind::SilentGap);
    assert_eq!((run.judge().lost_acknowledged, run.judge().told), (3, 0));
    run.gap(8, id(7), Some(other_id(5)), Some(id(4)));
    assert_counts(&run, &[]);
    let verdict = run.judge();
    assert!(verdict.is_passed());
    assert_eq!((verdict.lost_acknowledged, verdict.explained, verdict.told), (3, 3, 3));
}

#[test]
fn a_message_replaced_by_one_with_its_number_has_to_be_told() {
    let mut run = run();
    run.history.chains.pop();
    run.fail_over(5, 1);
    // The numbers are consecutive: the reader got the lost message, and not the one that has its number now.
    run.room().deliveries.remove(6);
    assert_counts(&run, &[(Kind::LostDelivery, 1), (Kind::SilentGap, 1)]);
}

#[test]
fn messages_before_the_log_begins_may_be_trimmed() {
    let mut run = run();
    run.entries().drain(..6);
    run.same_stream();
    run.logs.retention = 14;
    assert_counts(&run, &[]);
    assert_eq!(run.judge().lost_acknowledged, 0);
    run.logs.retention = 15;
    assert_eq!(run.judge().lost_acknowledged, 6, "nothing trims a log that is shorter than it may be");
}

#[test]
fn what_was_trimmed_while_a_reader_was_away_has_to_be_told() {
    let mut run = run();
    run.entries().drain(..9);
    run.same_stream();
    run.logs.retention = 11;
    run.room().deliveries.drain(5..9);
    assert_only(&run, Kind::SilentGap);
    run.gap_of(Reason::Trimmed, 5, id(4), Some(id(9)), Some(id(8)));
    assert_counts(&run, &[]);
}

#[test]
fn a_log_that_was_emptied_is_told() {
    let mut run = run();
    let fresh = |message: u32| Id { ms: id(message).ms, n: u64::from(message) - 9 };
    for room in run.history.chains.iter_mut().flat_map(|chain| &mut chain.rooms) {
        room.deliveries
            .iter_mut()
            .skip(10)
            .zip(10..)
            .for_each(|(delivery, message)| delivery.id = fresh(message));
    }
    *run.entries() = (10..MESSAGES).map(|message| Entry { id: fresh(message), message }).collect();
    run.same_stream();
    for message in 10..MESSAGES {
        run.history.posts[message as usize].outcome = Outcome::Acknowledged(fresh(message));
    }
    assert_counts(&run, &[(Kind::SilentGap, 2)]);
    let gap = Gap { asked: Some(id(9)), resumed: None, cursor: Some(Id::START), reason: Reason::Reset };
    for room in run.history.chains.iter_mut().flat_map(|chain| &mut chain.rooms) {
        room.marks.push(crate::history::Mark { position: 10, at: at(10), event: Event::Gap(gap) });
    }
    assert_counts(&run, &[]);
    assert_eq!((run.judge().lost_acknowledged, run.judge().told), (10, 10));
}

#[test]
fn a_reader_that_a_gap_set_back_may_get_messages_again() {
    let mut run = run();
    let again: Vec<_> = (5..8).map(delivery).collect();
    run.room().deliveries.splice(8..8, again);
    run.gap(8, id(7), None, Some(id(4)));
    assert_only(&run, Kind::FalseGap);
}
