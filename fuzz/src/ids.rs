//! Ids and places. The input is text: its first line is a place, the lines after it are ids.

use tiny_chat::chat::{Cursor, Id, ParseIdError};
use tiny_chat::hub::{RequestedCursor, Start};

/// Both halves of an id are smaller.
const LIMIT: u64 = 1 << 53;

/// Panics where an id or a place is read differently from how it is written, or orders wrongly.
pub fn hold(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    place(lines.next().unwrap_or_default());
    let ids: Vec<Id> = lines.filter_map(id).collect();
    for pair in ids.windows(2) {
        order(pair[0], pair[1]);
    }
}

fn id(text: &str) -> Option<Id> {
    let read = text.parse::<Id>();
    assert_eq!(read, by_hand(text).ok_or(ParseIdError), "{text:?}");
    let id = read.ok()?;
    assert_eq!(id.to_string(), text, "an id has one spelling");
    after(id);
    Some(id)
}

/// The same rule, digit by digit.
fn by_hand(text: &str) -> Option<Id> {
    let mut halves = text.split('-').map(number);
    let id = Id { ms: halves.next()??, n: halves.next()?? };
    halves.next().is_none().then_some(id)
}

fn number(text: &str) -> Option<u64> {
    let mut number: u64 = 0;
    for c in text.chars() {
        number = number * 10 + u64::from(c.to_digit(10)?);
        if number >= LIMIT {
            return None;
        }
    }
    let leading_zero = text.len() > 1 && text.starts_with('0');
    (!text.is_empty() && !leading_zero).then_some(number)
}

fn after(id: Id) {
    for now in [0, id.ms, id.ms + 1] {
        let next = id.next(now);
        assert!(next > id && id.directly_precedes(next) && !next.precedes(id), "{id} {next}");
    }
    assert!(id.cursor_before() < id || id.n == 0 && id.cursor_before() == Id::ZERO, "{id}");
}

fn order(a: Id, b: Id) {
    assert_eq!(a.cmp(&b), (a.ms, a.n).cmp(&(b.ms, b.n)), "as Redis orders stream ids");
    assert!(!(a.precedes(b) && b.precedes(a)), "{a} {b}");
    assert!(!a.precedes(b) || a < b, "what precedes is smaller: {a} {b}");
    assert!(!a.directly_precedes(b) || a.precedes(b) && b.n - a.n == 1, "{a} {b}");
}

fn place(text: &str) {
    let count = text.split(',').count();
    for rooms in [1, count, count + 1] {
        let Start::After(asked) = Start::after(text, rooms) else {
            panic!("{text:?} is a place after something")
        };
        assert_eq!(asked.len(), rooms, "every room has its place: {text:?}");
        let whole = |asked: &RequestedCursor| *asked == RequestedCursor::Invalid(text.to_owned());
        assert!(rooms == count || asked.iter().all(whole), "of another length, it is none for any: {text:?}");
    }
    members(text, count);
}

fn members(text: &str, count: usize) {
    let Start::After(asked) = Start::after(text, count) else {
        return;
    };
    for (asked, member) in asked.iter().zip(text.split(',')) {
        let expected = id(member).map_or_else(|| RequestedCursor::Invalid(member.to_owned()), RequestedCursor::Id);
        assert_eq!(*asked, expected);
    }
    let cursor: Option<Cursor> = text.split(',').map(|member| member.parse().ok()).collect();
    if let Some(cursor) = cursor {
        assert_eq!(cursor.to_string(), text, "a place is written as it is read");
        assert_eq!(cursor.of(count), Id::ZERO, "there is no further room");
    }
}
