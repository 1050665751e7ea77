//! An announcement: the byte 0x1E, the id, a space, the type (empty for a message), a space, the
//! data. `publish.lua` writes it. The first byte cannot stand in JSON text or in what people type
//! into `redis-cli`, so a foreign payload is not taken for one by accident.

use crate::bus::Entry;

/// Reads an announcement; `None` means that the payload is foreign.
pub fn parse(payload: &[u8]) -> Option<Entry> {
    let text = std::str::from_utf8(payload.strip_prefix(b"\x1e")?).ok()?;
    let (id, rest) = text.split_once(' ')?;
    let (kind, data) = rest.split_once(' ')?;
    Some(Entry { id: id.parse().ok()?, kind: kind.into(), data: data.into(), node: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Id;

    #[test]
    fn an_announcement_gives_back_id_type_and_data_with_its_spaces() {
        let entry = parse(b"\x1e1361572294000-42  {\"a\": 1 }").unwrap();
        assert_eq!(
            (entry.id, entry.kind.as_str(), entry.data.as_str()),
            (Id { ms: 1_361_572_294_000, n: 42 }, "", "{\"a\": 1 }")
        );
        assert_eq!(parse(b"\x1e1-1 note x y").unwrap().kind, "note");
    }

    #[test]
    fn anything_else_is_foreign() {
        for payload in
            [&b""[..], b"hello", b"1-1  x", b"\x1e", b"\x1e1-1", b"\x1e1-1 x", b"\x1eone  x", b"\x1e1-1  \xff"]
        {
            assert_eq!(parse(payload), None, "{payload:?}");
        }
    }
}
