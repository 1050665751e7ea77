//! Room names. The input is a segment of a path, as it stands in a URL.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tiny_chat::chat::{RoomName, Rooms};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Panics where a name holds what none may, or where two spellings of one name are two rooms.
pub fn hold(bytes: &[u8]) {
    let segment = String::from_utf8_lossy(bytes);
    if let Ok(room) = RoomName::from_path(&segment) {
        keeps_the_rule(&room);
        is_the_same_in_every_spelling(&room);
    }
    assert!(
        RoomName::from_path(&segment).is_err() || Rooms::from_path(&segment).is_ok(),
        "one room is a list of rooms"
    );
    if let Ok(rooms) = Rooms::from_path(&segment) {
        are_different_rooms(&rooms);
    }
}

fn keeps_the_rule(room: &RoomName) {
    let name = room.as_str();
    let length = name.chars().count();
    assert!((1..=64).contains(&length) && is_nfc(name), "{name:?}");
    let sign = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_.~".contains(c);
    let invisible = |c: char| {
        c.is_control()
            || c.is_whitespace()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    assert!(!name.chars().any(|c| sign(c) || invisible(c)), "{name:?}");
    assert!(!name.starts_with(['-', '_', '.', '~']), "{name:?}");
    for own in ["subscribe", "history", "assets", "healthz", "readyz", "metrics", "presence", "robots.txt"] {
        assert!(!name.eq_ignore_ascii_case(own), "{name:?} would hide an address of the server");
    }
}

fn is_the_same_in_every_spelling(room: &RoomName) {
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

fn are_different_rooms(rooms: &Rooms) {
    assert!((1..=16).contains(&rooms.len()), "{rooms:?}");
    for (at, room) in rooms.iter().enumerate() {
        keeps_the_rule(room);
        assert!(!rooms[..at].contains(room), "{room} is there twice");
    }
    let names: Vec<&str> = rooms.iter().map(RoomName::as_str).collect();
    assert_eq!(Rooms::from_path(&names.join(",")).as_ref(), Ok(rooms), "in the same order");
    let paths: Vec<String> = rooms.iter().map(|room| room.path()[1..].to_owned()).collect();
    assert_eq!(Rooms::from_path(&paths.join("%2C")).as_ref(), Ok(rooms), "a comma may be escaped");
}
