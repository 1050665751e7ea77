//! A room has one name in every spelling. The input is a path segment of a URL.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tiny_chat::chat::{RoomName, Rooms};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Panics if a name breaks a rule, or if two spellings of one name are different rooms.
pub fn check(bytes: &[u8]) {
    let segment = String::from_utf8_lossy(bytes);
    if let Ok(room) = RoomName::from_path(&segment) {
        check_rules(&room);
        check_spellings(&room);
    }
    assert!(
        RoomName::from_path(&segment).is_err() || Rooms::from_path(&segment).is_ok(),
        "one room is a list of rooms"
    );
    if let Ok(rooms) = Rooms::from_path(&segment) {
        check_distinct(&rooms);
    }
}

fn check_rules(room: &RoomName) {
    let name = room.as_str();
    let length = name.chars().count();
    assert!((1..=64).contains(&length) && is_nfc(name), "{name:?}");
    let is_sign = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_.~".contains(c);
    let is_invisible = |c: char| {
        c.is_control()
            || c.is_whitespace()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    assert!(!name.chars().any(|c| is_sign(c) || is_invisible(c)), "{name:?}");
    assert!(!name.starts_with(['-', '_', '.', '~']), "{name:?}");
    for reserved in ["subscribe", "history", "assets", "healthz", "readyz", "metrics", "presence", "robots.txt"] {
        assert!(!name.eq_ignore_ascii_case(reserved), "{name:?} would hide a path of the server");
    }
}

fn check_spellings(room: &RoomName) {
    let name = room.as_str();
    let path = room.path();
    let segment = path.strip_prefix('/').unwrap_or_else(|| panic!("{path:?} is no path"));
    assert!(segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b)), "{path:?}");
    let decomposed: String = name.nfd().collect();
    let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    for spelling in [name, segment, &decomposed, &escaped(name), &escaped(&decomposed)] {
        assert_eq!(RoomName::from_path(spelling).as_ref(), Ok(room), "{spelling:?}");
    }
}

fn check_distinct(rooms: &Rooms) {
    assert!((1..=16).contains(&rooms.len()), "{rooms:?}");
    for (at, room) in rooms.iter().enumerate() {
        check_rules(room);
        assert!(!rooms[..at].contains(room), "{room} is listed twice");
    }
    let names: Vec<&str> = rooms.iter().map(RoomName::as_str).collect();
    assert_eq!(Rooms::from_path(&names.join(",")).as_ref(), Ok(rooms), "in the same order");
    let paths: Vec<String> = rooms.iter().map(|room| room.path()[1..].to_owned()).collect();
    assert_eq!(Rooms::from_path(&paths.join("%2C")).as_ref(), Ok(rooms), "a comma may be escaped");
}
