//! Ids and cursors have one spelling and one order. The first line of the input is a cursor, the others are ids.

use tiny_chat::chat::{Cursor, Id, ParseIdError};
use tiny_chat::hub::{RequestedCursor, Start};

/// Both parts of an id are smaller.
const ID_PART_LIMIT: u64 = 1 << 53;

/// Panics if an id or a cursor is parsed differently from how it is written, or ordered wrongly.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    check_cursor(lines.next().unwrap_or_default());
    let ids: Vec<Id> = lines.filter_map(check_id).collect();
    for pair in ids.windows(2) {
        check_order(pair[0], pair[1]);
    }
}

/// Parses an id, and checks it against a second implementation.
fn check_id(text: &str) -> Option<Id> {
    let read = text.parse::<Id>();
    assert_eq!(read, parse_id(text).ok_or(ParseIdError), "{text:?}");
    let id = read.ok()?;
    assert_eq!(id.to_string(), text, "an id has one spelling");
    check_next(id);
    Some(id)
}

/// Parses an id digit by digit.
fn parse_id(text: &str) -> Option<Id> {
    let mut parts = text.split('-').map(parse_number);
    let id = Id { ms: parts.next()??, n: parts.next()?? };
    parts.next().is_none().then_some(id)
}

fn parse_number(text: &str) -> Option<u64> {
    let mut number: u64 = 0;
    for c in text.chars() {
        number = number * 10 + u64::from(c.to_digit(10)?);
        if number >= ID_PART_LIMIT {
            return None;
        }
    }
    let leading_zero = text.len() > 1 && text.starts_with('0');
    (!text.is_empty() && !leading_zero).then_some(number)
}

/// Checks that the next id follows directly.
fn check_next(id: Id) {
    for now in [0, id.ms, id.ms + 1] {
        let next = id.next(now);
        assert!(next > id && id.directly_precedes(next) && !next.precedes(id), "{id} {next}");
    }
    assert!(id.cursor_before() < id || id.n == 0 && id.cursor_before() == Id::ZERO, "{id}");
}

fn check_order(a: Id, b: Id) {
    assert_eq!(a.cmp(&b), (a.ms, a.n).cmp(&(b.ms, b.n)), "as Redis orders stream ids");
    assert!(!(a.precedes(b) && b.precedes(a)), "{a} {b}");
    assert!(!a.precedes(b) || a < b, "what precedes is smaller: {a} {b}");
    assert!(!a.directly_precedes(b) || a.precedes(b) && b.n - a.n == 1, "{a} {b}");
}

/// Checks a cursor with as many ids as there are rooms, and with another number of them.
fn check_cursor(text: &str) {
    let count = text.split(',').count();
    for rooms in [1, count, count + 1] {
        let Start::After(asked) = Start::after(text, rooms) else {
            panic!("{text:?} must be a cursor to resume after")
        };
        assert_eq!(asked.len(), rooms, "every room has a cursor: {text:?}");
        let whole = |asked: &RequestedCursor| *asked == RequestedCursor::Invalid(text.to_owned());
        assert!(
            rooms == count || asked.iter().all(whole),
            "a cursor of another length is invalid for every room: {text:?}"
        );
    }
    check_members(text, count);
}

fn check_members(text: &str, count: usize) {
    let Start::After(asked) = Start::after(text, count) else {
        return;
    };
    for (asked, member) in asked.iter().zip(text.split(',')) {
        let expected =
            check_id(member).map_or_else(|| RequestedCursor::Invalid(member.to_owned()), RequestedCursor::Id);
        assert_eq!(*asked, expected);
    }
    let cursor: Option<Cursor> = text.split(',').map(|member| member.parse().ok()).collect();
    if let Some(cursor) = cursor {
        assert_eq!(cursor.to_string(), text, "a cursor has one spelling");
        assert_eq!(cursor.of(count), Id::ZERO, "there is no further room");
    }
}
