//! Which fault is blamed for what, and how long it took to recover.

use super::*;
use crate::judge::Row;

fn row<'a>(verdict: &'a Verdict, name: &str) -> &'a Row {
    verdict.rows.iter().find(|row| row.name == name).expect("the row of a fault")
}

#[test]
fn attempts_count_for_the_fault_in_which_they_failed() {
    let mut run = run();
    run.fault("a", false, 2, 4);
    run.fault("b", false, 10, 12);
    for (message, status) in [(1, Some(503)), (3, Some(503)), (3, None), (5, None), (11, Some(500))] {
        run.history.failed_attempts.push(FailedAttempt { at: at(message), status });
    }
    let verdict = run.judge();
    let numbers = |name| (row(&verdict, name).refused, row(&verdict, name).unanswered);
    assert_eq!((numbers("no fault"), numbers("a"), numbers("b")), ((1, 0), (1, 2), (1, 0)));
    assert_eq!(verdict.failed_attempts[&Some(503)], 2);
}

#[test]
fn lost_messages_count_for_a_fault_that_may_lose() {
    let mut run = run();
    run.fault("harmless", false, 5, 6);
    run.fault("failover", true, 6, 8);
    run.fault("another", true, 15, 16);
    run.fail_over(5, 3);
    for chain in 0..2 {
        let gap = Gap { asked: Some(id(7)), resumed: Some(other_id(5)), cursor: Some(id(4)), reason: Reason::Reset };
        let mark = crate::history::Mark { position: 8, at: at(8), event: Event::Gap(gap) };
        run.history.chains[chain].rooms[0].marks.push(mark);
    }
    let verdict = run.judge();
    assert_eq!((row(&verdict, "failover").lost_acknowledged, row(&verdict, "failover").told), (3, 3));
    assert_eq!((row(&verdict, "harmless").lost_acknowledged, row(&verdict, "another").lost_acknowledged), (0, 0));
    assert!(verdict.is_passed());
    assert_eq!(row(&verdict, "failover").lost_where_read, 3);
    assert_eq!(row(&verdict, "failover").lost_texts[0], "0.5 s: room 1000500-6, received by 2 readers");
}

#[test]
fn messages_are_lost_after_they_were_last_seen() {
    let mut run = run();
    run.history
        .posts
        .iter_mut()
        .for_each(|post| (post.begun, post.ended) = (post.begun * 100, post.ended * 100));
    run.history.ended *= 100;
    for room in run.history.chains.iter_mut().flat_map(|chain| &mut chain.rooms) {
        room.deliveries.iter_mut().for_each(|delivery| delivery.at *= 100);
    }
    run.fault("early", true, 200, 300);
    run.fault("flush", true, 1_900, 1_950);
    run.entries().clear();
    run.same_stream();
    let verdict = run.judge();
    assert_eq!((row(&verdict, "early").lost_acknowledged, row(&verdict, "flush").lost_acknowledged), (0, 20));
}

#[test]
fn recovery_lasts_until_each_reader_has_a_newer_message() {
    let mut run = run();
    run.fault("a", false, 5, 8);
    // The first message after the fault is number 8; one reader gets it and the next two late.
    run.history.chains[1].rooms[0].deliveries[8..11]
        .iter_mut()
        .for_each(|delivery| delivery.at = at(11));
    let verdict = run.judge();
    let row = row(&verdict, "a");
    assert_eq!(row.times, 1);
    assert_eq!(row.recoveries.len(), 2);
    assert_eq!((row.recovery(0.5), row.recovery(1.0)), (Some(2), Some(300)));
}

#[test]
fn a_reader_that_does_not_recover_fails_the_run() {
    let mut run = run();
    run.fault("a", false, 5, 8);
    assert!(run.judge().is_passed());
    run.history.chains[1].rooms[0].deliveries.truncate(8);
    run.history.chains[1].reads_to_end = false;
    let verdict = run.judge();
    assert_eq!(row(&verdict, "a").not_recovered, 1);
    assert!(!verdict.is_passed());
}

#[test]
fn findings_count_for_the_fault_in_which_they_were_made() {
    let mut run = run();
    run.fault("a", false, 5, 8);
    run.room().deliveries.remove(7);
    let verdict = run.judge();
    assert_eq!(row(&verdict, "a").counts.of(Kind::SilentGap), 1);
    assert_eq!(row(&verdict, "no fault").counts.of(Kind::SilentGap), 0);
}

#[test]
fn a_fault_that_did_not_run_says_why() {
    let mut run = run();
    run.fault("a", false, 5, 8);
    run.fault("b", false, 5, 8);
    run.faults[1].outcome = FaultOutcome::NotRun("no namespaces".to_owned());
    let verdict = run.judge();
    assert_eq!(row(&verdict, "b").times, 0);
    assert_eq!(row(&verdict, "b").not_run.as_deref(), Some("no namespaces"));
}
