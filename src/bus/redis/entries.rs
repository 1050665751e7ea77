//! What `read.lua` replies with, as pages and entries.

use crate::bus::log::{Entry, LogPage, NO_DATA};

/// An id, and the fields and values in turn.
pub type RawEntry = (String, Vec<Vec<u8>>);

/// The reply of `read.lua`: the first retained id, the last generated id, whether there are more entries, the entries, and
/// what was deleted before them (whether all was, or up to which id that has to be found out).
pub type RawPage<D> = (String, String, bool, Vec<RawEntry>, D);

/// Parses a reply. Entries whose ids are out of range are passed over.
pub fn parse_page((first, last, more, raw, only_deleted): RawPage<bool>) -> Option<LogPage> {
    let entries: Vec<Entry> = raw.into_iter().filter_map(|(id, fields)| parse_entry(&id, fields)).collect();
    Some(LogPage {
        first: first.parse().ok(),
        last: last.parse().ok()?,
        more: more && !entries.is_empty(),
        entries,
        only_deleted,
    })
}

/// Parses an entry of a stream. Unknown fields are ignored. An entry without data has a place in the log all the same:
/// a subscriber continues after it, and its id may be a cursor.
pub fn parse_entry(id: &str, fields: Vec<Vec<u8>>) -> Option<Entry> {
    let mut entry = Entry { id: id.parse().ok()?, prev: None, kind: String::new(), data: String::new(), node: None };
    let mut has_data = false;
    let mut fields = fields.into_iter();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        match &name[..] {
            b"prev" => entry.prev = into_text(value).parse().ok(),
            b"type" => entry.kind = into_text(value),
            b"data" => (entry.data, has_data) = (into_text(value), true),
            b"node" => entry.node = Some(into_text(value)),
            _ => {}
        }
    }
    if !has_data {
        entry.kind = NO_DATA.to_owned();
    }
    Some(entry)
}

/// Converts bytes that may not be UTF-8, without a copy if they are.
fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
