use super::*;
use crate::hub::room::processes::listing_store::ListingStore;

const SECOND: Duration = Duration::from_secs(1);

fn presence() -> Presence {
    presence_beside(vec![])
}

/// Creates the presence in a room where these other processes are listed.
fn presence_beside(others: Vec<&'static str>) -> Presence {
    let store = Arc::new(ListingStore::default());
    store.list(Some(others));
    Presence::new(Arc::new(Processes::new("here~1".into(), Some(store))))
}

fn present_as(name: &str) -> PresentAs {
    Name::parse(name).unwrap().map_or(PresentAs::Unnamed, PresentAs::Name)
}

fn join(presence: &Presence, name: &str) {
    presence.join(&present_as(name));
}

fn leave(presence: &Presence, name: &str) {
    presence.leave(&present_as(name));
}

/// Returns the entry of another process.
fn remote(version: u64, count: usize, names: &[&str]) -> PresenceEntry {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    PresenceEntry { process: "there~2".into(), version, count, names, ids: vec![], listed: true }
}

/// Returns the events that are due, each as its name and data.
fn events(presence: &Presence, now: Instant) -> Vec<String> {
    let events = presence.take_events(now, true);
    events
        .iter()
        .map(|event| format!("{} {}", event.kind.name().unwrap_or_default(), event.data))
        .collect()
}

#[test]
fn there_is_no_event_before_remote_entries_are_known() {
    let (presence, now) = (presence(), Instant::now());
    join(&presence, "ada");
    for is_connected in [true, false] {
        assert_eq!(presence.take_events(now, is_connected), []);
    }
    presence.on_reply(Some(vec![(remote(1, 2, &["mason"]), 9 * SECOND)]));
    assert_eq!(
        events(&presence, now),
        [r#"userJoined {"username":"ada"}"#, r#"presence {"count":3,"names":["ada","mason"]}"#]
    );
}

#[test]
fn a_remote_name_after_the_first_reply_has_joined() {
    let (presence, now) = (presence(), Instant::now());
    join(&presence, "ada");
    presence.on_reply(Some(vec![]));
    presence.on_remote(remote(1, 1, &["mason"]));
    assert_eq!(
        events(&presence, now),
        [
            r#"userJoined {"username":"ada"}"#,
            r#"userJoined {"username":"mason"}"#,
            r#"presence {"count":2,"names":["ada","mason"]}"#
        ]
    );
}

#[test]
fn a_snapshot_is_sent_once_a_second_if_it_has_changed() {
    let (presence, now) = (presence(), Instant::now());
    presence.on_reply(Some(vec![]));
    join(&presence, "");
    assert_eq!(events(&presence, now), [r#"presence {"count":1,"names":[]}"#]);
    join(&presence, "");
    assert_eq!(events(&presence, now + SECOND / 2), [""; 0]);
    assert_eq!(events(&presence, now + SECOND), [r#"presence {"count":2,"names":[]}"#]);
    assert_eq!(events(&presence, now + 2 * SECOND), [""; 0]);
    presence.request_snapshot();
    assert_eq!(events(&presence, now + 2 * SECOND), [r#"presence {"count":2,"names":[]}"#]);
}

#[test]
fn a_name_joins_with_its_first_subscriber_and_leaves_late() {
    let (presence, now) = (presence(), Instant::now());
    presence.on_reply(Some(vec![]));
    for _ in 0..2 {
        join(&presence, "ada");
    }
    let joined = events(&presence, now);
    assert_eq!(joined, [r#"userJoined {"username":"ada"}"#, r#"presence {"count":2,"names":["ada"]}"#]);
    leave(&presence, "ada");
    assert_eq!(events(&presence, now + SECOND), [r#"presence {"count":1,"names":["ada"]}"#]);
    leave(&presence, "ada");
    let gone = now + 2 * SECOND;
    assert_eq!(events(&presence, gone), [r#"presence {"count":0,"names":[]}"#]);
    assert_eq!(events(&presence, gone + LEAVE_GRACE - SECOND / 2), [""; 0]);
    assert_eq!(events(&presence, gone + LEAVE_GRACE), [r#"userLeft {"username":"ada"}"#]);
    assert_eq!(events(&presence, gone + LEAVE_GRACE + SECOND), [""; 0]);
}

#[test]
fn a_name_that_returns_in_time_has_not_left() {
    let (presence, now) = (presence(), Instant::now());
    presence.on_reply(Some(vec![]));
    join(&presence, "ada");
    events(&presence, now);
    leave(&presence, "ada");
    events(&presence, now + SECOND);
    join(&presence, "ada");
    assert_eq!(events(&presence, now + LEAVE_GRACE), [r#"presence {"count":1,"names":["ada"]}"#]);
    assert_eq!(events(&presence, now + 3 * LEAVE_GRACE), [""; 0]);
}

#[test]
fn a_large_room_has_no_join_or_leave_events() {
    let (presence, now) = (presence(), Instant::now());
    presence.on_reply(Some(vec![]));
    for number in 0..=MAX_TRACKED_SUBSCRIBERS {
        join(&presence, &format!("n{number:02}"));
    }
    assert_eq!(events(&presence, now).len(), 1);
    leave(&presence, "n00");
    assert_eq!(events(&presence, now + SECOND).len(), 1);
    assert_eq!(events(&presence, now + 2 * LEAVE_GRACE), [""; 0]);
    leave(&presence, "n01");
    events(&presence, now + 3 * LEAVE_GRACE);
    assert_eq!(events(&presence, now + 4 * LEAVE_GRACE), [r#"userLeft {"username":"n01"}"#]);
}

#[test]
fn of_more_than_100_names_only_the_count_is_sent() {
    let (presence, now) = (presence(), Instant::now());
    presence.on_reply(Some(vec![]));
    for number in 0..MAX_SNAPSHOT_NAMES {
        join(&presence, &format!("n{number:03}"));
    }
    assert!(events(&presence, now)[0].contains(r#""n099"]"#));
    join(&presence, "one more");
    assert_eq!(events(&presence, now + SECOND), [r#"presence {"count":101}"#]);
    assert_eq!(presence.next_announcement(now).unwrap().names.len(), MAX_SNAPSHOT_NAMES + 1);
}

#[test]
fn changes_are_announced_once_a_second_and_rarely_repeated() {
    let (presence, now) = (presence(), Instant::now());
    assert_eq!(presence.next_announcement(now), None);
    join(&presence, "ada");
    let first = presence.next_announcement(now).unwrap();
    assert_eq!((first.count, first.names.as_slice()), (1, ["ada".to_owned()].as_slice()));
    join(&presence, "");
    assert_eq!(presence.next_announcement(now + 2 * SECOND), None, "the first announcement is still on its way");
    presence.on_reply(Some(vec![]));
    assert_eq!(presence.next_announcement(now + SECOND / 2), None);
    let second = presence.next_announcement(now + SECOND).unwrap();
    assert_eq!(second.count, 2);
    assert!(second.version > first.version);
    presence.on_reply(Some(vec![]));
    assert_eq!(presence.next_announcement(now + 2 * SECOND), None);
    assert_eq!(presence.next_announcement(now + SECOND + PRESENCE_RETENTION / 3), None);
    assert_eq!(presence.next_announcement(now + SECOND + PRESENCE_RETENTION), Some(second));
}

#[test]
fn a_failed_announcement_is_repeated() {
    let (presence, now) = (presence(), Instant::now());
    join(&presence, "");
    assert!(presence.next_announcement(now).is_some());
    presence.on_reply(None);
    assert!(presence.next_announcement(now + SECOND).is_some());
}

#[test]
fn a_silent_process_expires_unless_disconnected() {
    let (presence, now) = (presence(), Instant::now());
    presence.on_reply(Some(vec![(remote(1, 1, &["mason"]), PRESENCE_TTL)]));
    assert_eq!(events(&presence, now), [r#"presence {"count":1,"names":["mason"]}"#]);
    let late = now + PRESENCE_TTL + SECOND;
    assert_eq!(presence.take_events(late, false), []);
    assert_eq!(events(&presence, late), [r#"presence {"count":0,"names":[]}"#]);
}

#[tokio::test]
async fn an_entry_is_valid_while_its_process_is_listed() {
    let (presence, now) = (presence_beside(vec!["there~2"]), Instant::now());
    presence.processes.list_own().await.unwrap();
    let dead = PresenceEntry { process: "dead~3".into(), ..remote(1, 5, &["nora"]) };
    presence.on_reply(Some(vec![(remote(1, 1, &["mason"]), Duration::ZERO), (dead, Duration::ZERO)]));
    assert_eq!(events(&presence, now), [r#"presence {"count":1,"names":["mason"]}"#]);
    assert_eq!(events(&presence, now + 10 * PRESENCE_TTL), [""; 0]);
    assert!(!presence.needs_tick(), "nothing changes");
}

#[test]
fn entries_are_repeated_for_the_version_before() {
    let (presence, now) = (presence(), Instant::now());
    join(&presence, "ada");
    let first = presence.next_announcement(now);
    let before: PresenceEntry =
        serde_json::from_str(r#"{"process":"there~2","version":1,"count":1,"names":["mason"]}"#).unwrap();
    presence.on_reply(Some(vec![(before, PRESENCE_TTL)]));
    assert_eq!(presence.next_announcement(now + REPEAT_INTERVAL), first);
    assert!(presence.needs_tick(), "it is not listed, and so expires by itself");
}

#[test]
fn counts_saturate() {
    let entry = remote(1, usize::MAX, &["ada"]);
    let snapshot = PresenceSnapshot::of([&entry, &entry].into_iter());
    assert_eq!((snapshot.count, snapshot.names), (usize::MAX, Some(vec!["ada".to_owned()])));
}

#[test]
fn an_older_version_of_an_entry_is_ignored() {
    let (presence, now) = (presence(), Instant::now());
    presence.on_reply(Some(vec![]));
    presence.on_remote(remote(7, 0, &[]));
    presence.on_remote(remote(6, 3, &["mason"]));
    presence.on_remote(PresenceEntry { process: "here~1".into(), ..remote(9, 5, &["me"]) });
    assert_eq!(events(&presence, now), [r#"presence {"count":0,"names":[]}"#]);
}

#[test]
fn after_a_reconnect_the_entry_is_announced_again() {
    let (presence, now) = (presence(), Instant::now());
    join(&presence, "");
    assert!(presence.next_announcement(now).is_some());
    presence.on_reply(Some(vec![]));
    assert_eq!(presence.next_announcement(now + SECOND), None);
    presence.on_reconnected();
    assert!(presence.next_announcement(now + SECOND).is_some(), "a store that comes back may be empty");
}

#[test]
fn presence_ids_are_counted_and_told_to_the_app_alone() {
    let (presence, now) = (presence(), Instant::now());
    presence.on_reply(Some(vec![]));
    let id = |text: &str| PresentAs::Id(Name::parse(text).unwrap().unwrap());
    for text in ["b<", "a", "b<"] {
        presence.join(&id(text));
    }
    assert_eq!(events(&presence, now), [r#"presence {"count":3,"names":[]}"#]);
    let other = PresenceEntry { ids: vec!["a".into(), "c".into()], ..remote(1, 2, &["name"]) };
    assert_eq!(presence.ids(&[other]), ["a", "b<", "c"]);
    presence.leave(&id("b<"));
    presence.leave(&id("a"));
    assert_eq!(presence.ids(&[]), ["b<"]);
}
