//! Deletions and edits, and the entries of a log that tell of them.

use serde::{Deserialize, Serialize};

use crate::chat::Id;

/// The type of an entry that tells of a deletion.
pub(super) const DELETE: &str = "delete";

/// What is deleted from a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// The entry with this id.
    Entry(Id),
    /// All entries.
    All,
}

/// What an entry changes of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Entries were deleted.
    Deletion(Deletion),
    /// The message with this id was edited: the entry takes the place of the one that told of its edit before.
    Edit(Id),
}

/// The data of an entry that tells of a deletion.
#[derive(Default, Deserialize, Serialize)]
struct Data {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    all: bool,
}

impl Deletion {
    /// Parses the data of an entry that tells of a deletion.
    pub(super) fn parse(data: &str) -> Option<Self> {
        let data: Data = serde_json::from_str(data).ok()?;
        if data.all {
            return Some(Self::All);
        }
        data.id?.parse().ok().map(Self::Entry)
    }

    /// Returns the data of the entry that tells of the deletion.
    pub(super) fn data(self) -> String {
        let data = match self {
            Self::Entry(id) => Data { id: Some(id.to_string()), all: false },
            Self::All => Data { id: None, all: true },
        };
        serde_json::to_string(&data).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_tells_what_was_deleted() {
        for deletion in [Deletion::Entry(Id { ms: 7, n: 3 }), Deletion::All] {
            assert_eq!(Deletion::parse(&deletion.data()), Some(deletion));
        }
        assert_eq!(Deletion::Entry(Id { ms: 7, n: 3 }).data(), r#"{"id":"7-3"}"#);
        assert_eq!(Deletion::All.data(), r#"{"all":true}"#);
        assert_eq!(Deletion::parse("{}"), None);
    }
}
