use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn presence() -> Presence {
    Presence::new("here~1".into())
}

fn enter(presence: &Presence, name: &str) {
    let mut state = presence.state();
    state.own.enter(Name::parse(name).unwrap().as_ref());
    state.stirred = true;
}

fn leave(presence: &Presence, name: &str) {
    let mut state = presence.state();
    state.own.leave(Name::parse(name).unwrap().as_ref());
    state.stirred = true;
}

/// What another process says.
fn elsewhere(version: u64, count: usize, names: &[&str]) -> PresenceEntry {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    PresenceEntry { process: "there~2".into(), version, count, names }
}

/// The events told at this moment, each as its name and data.
fn told(presence: &Presence, now: Instant) -> Vec<String> {
    let events = presence.tell(now, true);
    let text = |event: Bytes| String::from_utf8(event.into()).unwrap();
    let short = |event: String| event.replace("event: ", "").replace("\ndata: ", " ").trim_end().to_owned();
    events.into_iter().map(text).map(short).collect()
}

#[test]
fn nothing_is_told_before_it_is_known_who_is_elsewhere() {
    let (presence, now) = (presence(), Instant::now());
    enter(&presence, "ada");
    assert_eq!(told(&presence, now), [""; 0]);
    presence.said(Some(vec![(elsewhere(1, 2, &["mason"]), 9 * SECOND)]));
    assert_eq!(
        told(&presence, now),
        [r#"userJoined {"username":"ada"}"#, r#"presence {"count":3,"names":["ada","mason"]}"#]
    );
}

#[test]
fn who_comes_elsewhere_after_this_node_has_spoken_has_joined() {
    let (presence, now) = (presence(), Instant::now());
    enter(&presence, "ada");
    presence.said(Some(vec![]));
    presence.hear(elsewhere(1, 1, &["mason"]));
    assert_eq!(
        told(&presence, now),
        [
            r#"userJoined {"username":"ada"}"#,
            r#"userJoined {"username":"mason"}"#,
            r#"presence {"count":2,"names":["ada","mason"]}"#
        ]
    );
}

#[test]
fn readers_are_told_at_most_once_a_second_and_only_what_is_new() {
    let (presence, now) = (presence(), Instant::now());
    presence.said(Some(vec![]));
    enter(&presence, "");
    assert_eq!(told(&presence, now), [r#"presence {"count":1,"names":[]}"#]);
    enter(&presence, "");
    assert_eq!(told(&presence, now + SECOND / 2), [""; 0]);
    assert_eq!(told(&presence, now + SECOND), [r#"presence {"count":2,"names":[]}"#]);
    assert_eq!(told(&presence, now + 2 * SECOND), [""; 0]);
    presence.ask();
    assert_eq!(told(&presence, now + 2 * SECOND), [r#"presence {"count":2,"names":[]}"#]);
}

#[test]
fn a_name_joins_with_its_first_reader_and_leaves_when_nobody_had_it_for_a_while() {
    let (presence, now) = (presence(), Instant::now());
    presence.said(Some(vec![]));
    for _ in 0..2 {
        enter(&presence, "ada");
    }
    let joined = told(&presence, now);
    assert_eq!(joined, [r#"userJoined {"username":"ada"}"#, r#"presence {"count":2,"names":["ada"]}"#]);
    leave(&presence, "ada");
    assert_eq!(told(&presence, now + SECOND), [r#"presence {"count":1,"names":["ada"]}"#]);
    leave(&presence, "ada");
    let gone = now + 2 * SECOND;
    assert_eq!(told(&presence, gone), [r#"presence {"count":0,"names":[]}"#]);
    assert_eq!(told(&presence, gone + GRACE - SECOND / 2), [""; 0]);
    assert_eq!(told(&presence, gone + GRACE), [r#"userLeft {"username":"ada"}"#]);
    assert_eq!(told(&presence, gone + GRACE + SECOND), [""; 0]);
}

#[test]
fn who_comes_back_in_time_has_neither_left_nor_joined() {
    let (presence, now) = (presence(), Instant::now());
    presence.said(Some(vec![]));
    enter(&presence, "ada");
    told(&presence, now);
    leave(&presence, "ada");
    told(&presence, now + SECOND);
    enter(&presence, "ada");
    assert_eq!(told(&presence, now + GRACE), [r#"presence {"count":1,"names":["ada"]}"#]);
    assert_eq!(told(&presence, now + 3 * GRACE), [""; 0]);
}

#[test]
fn in_a_large_room_nobody_is_told_to_come_or_go_and_its_shrinking_is_silent() {
    let (presence, now) = (presence(), Instant::now());
    presence.said(Some(vec![]));
    for number in 0..=SMALL {
        enter(&presence, &format!("n{number:02}"));
    }
    assert_eq!(told(&presence, now).len(), 1);
    leave(&presence, "n00");
    assert_eq!(told(&presence, now + SECOND).len(), 1);
    assert_eq!(told(&presence, now + 2 * GRACE), [""; 0]);
    leave(&presence, "n01");
    told(&presence, now + 3 * GRACE);
    assert_eq!(told(&presence, now + 4 * GRACE), [r#"userLeft {"username":"n01"}"#]);
}

#[test]
fn of_more_than_a_hundred_names_only_the_number_is_told() {
    let (presence, now) = (presence(), Instant::now());
    presence.said(Some(vec![]));
    for number in 0..NAMES {
        enter(&presence, &format!("n{number:03}"));
    }
    assert!(told(&presence, now)[0].contains(r#""n099"]"#));
    enter(&presence, "one more");
    assert_eq!(told(&presence, now + SECOND), [r#"presence {"count":101}"#]);
    assert_eq!(presence.say(now).unwrap().names.len(), NAMES + 1);
}

#[test]
fn a_change_is_said_at_most_once_a_second_and_the_same_is_said_again_now_and_then() {
    let (presence, now) = (presence(), Instant::now());
    assert_eq!(presence.say(now), None);
    enter(&presence, "ada");
    let first = presence.say(now).unwrap();
    assert_eq!((first.count, first.names.as_slice()), (1, ["ada".to_owned()].as_slice()));
    enter(&presence, "");
    assert_eq!(presence.say(now + 2 * SECOND), None, "the first is still on its way");
    presence.said(Some(vec![]));
    assert_eq!(presence.say(now + SECOND / 2), None);
    let second = presence.say(now + SECOND).unwrap();
    assert_eq!(second.count, 2);
    assert!(second.version > first.version);
    presence.said(Some(vec![]));
    assert_eq!(presence.say(now + 2 * SECOND), None);
    assert_eq!(presence.say(now + SECOND + REPEAT), Some(second));
}

#[test]
fn what_the_bus_did_not_take_is_said_again() {
    let (presence, now) = (presence(), Instant::now());
    enter(&presence, "");
    assert!(presence.say(now).is_some());
    presence.said(None);
    assert!(presence.say(now + SECOND).is_some());
}

#[test]
fn a_process_that_says_nothing_any_more_is_forgotten_unless_the_bus_is_lost() {
    let (presence, now) = (presence(), Instant::now());
    presence.said(Some(vec![(elsewhere(1, 1, &["mason"]), PRESENCE_TTL)]));
    assert_eq!(told(&presence, now), [r#"presence {"count":1,"names":["mason"]}"#]);
    let late = now + PRESENCE_TTL + SECOND;
    assert_eq!(presence.tell(late, false), [""; 0]);
    assert_eq!(told(&presence, late), [r#"presence {"count":0,"names":[]}"#]);
}

#[test]
fn a_number_that_is_too_large_to_be_added_is_only_large() {
    let said = elsewhere(1, usize::MAX, &["ada"]);
    let roster = PresenceSnapshot::of([&said, &said].into_iter());
    assert_eq!((roster.count, roster.names), (usize::MAX, Some(vec!["ada".to_owned()])));
}

#[test]
fn an_older_word_of_a_process_is_not_believed() {
    let (presence, now) = (presence(), Instant::now());
    presence.said(Some(vec![]));
    presence.hear(elsewhere(7, 0, &[]));
    presence.hear(elsewhere(6, 3, &["mason"]));
    presence.hear(PresenceEntry { process: "here~1".into(), ..elsewhere(9, 5, &["me"]) });
    assert_eq!(told(&presence, now), [r#"presence {"count":0,"names":[]}"#]);
}

#[test]
fn after_an_outage_it_is_said_again_at_once() {
    let (presence, now) = (presence(), Instant::now());
    enter(&presence, "");
    assert!(presence.say(now).is_some());
    presence.said(Some(vec![]));
    assert_eq!(presence.say(now + SECOND), None);
    presence.begin_anew();
    assert!(presence.say(now + SECOND).is_some(), "a bus that comes back may have forgotten");
}
