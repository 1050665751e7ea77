//! A message in the form of the chat article's API.

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use utoipa::ToSchema;

use super::id::{Id, parse_canonical};
use super::message::Message;

/// How `createdAt` is written: in UTC, as the `toISOString` of JavaScript does.
const CREATED_AT: &[BorrowedFormatItem] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// What `createdAt` is for an id whose time has no year of four digits. Only ids that were made by hand can have one.
const LATEST_CREATED_AT: &str = "9999-12-31T23:59:59.999Z";

/// A message as the chat article's pages read it. Its texts are not escaped for HTML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArticleChat {
    message: String,
    user_id: UserId,
    #[schema(format = DateTime)]
    created_at: String,
}

/// The sender of a chat. The article's page compares it with its own id by `===`, which distinguishes numbers and texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
enum UserId {
    /// A decimal number without a sign and without leading zeros, which JavaScript represents exactly.
    Number(u64),
    /// Any other sender.
    Text(String),
}

impl ArticleChat {
    /// Converts a message with this id.
    pub fn new(id: Id, message: &Message) -> Self {
        let Message { sender, message, .. } = message.decoded();
        let user_id = parse_canonical(&sender).map_or(UserId::Text(sender), UserId::Number);
        Self { message, user_id, created_at: created_at(id) }
    }
}

/// Returns the time at which the message with this id was stored.
fn created_at(id: Id) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(id.ms) * 1_000_000).ok();
    let text = time.and_then(|time| time.format(CREATED_AT).ok());
    text.unwrap_or_else(|| LATEST_CREATED_AT.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::draft::Draft;
    use crate::chat::message::Fields;

    proptest! {
        #[test]
        fn a_chat_has_the_texts_that_were_sent(sender in "[0-9]{1,18}|[^\\pC]{1,64}", message in "\\PC[\\PC&<;#\"']{0,40}") {
            let fields = Fields { sender: Some(sender.clone()), message: Some(message.clone()), ..Fields::default() };
            let Ok(draft) = Draft::new(&fields) else { return Ok(()) };
            let chat = ArticleChat::new(Id { ms: 1, n: 1 }, &Message::parse(draft.data()).unwrap());
            prop_assert_eq!(chat.message, message);
            let expected = if sender.trim().is_empty() { "Anonymous".to_owned() } else { sender };
            let user_id = match chat.user_id {
                UserId::Number(number) => number.to_string(),
                UserId::Text(text) => text,
            };
            prop_assert_eq!(user_id, expected);
        }
    }

    fn json(ms: u64, sender: &str, message: &str) -> String {
        let message = Message {
            sender: sender.into(),
            message: message.into(),
            key: Some("k".into()),
            mark: Some("m".into()),
            edited: true,
        };
        serde_json::to_string(&ArticleChat::new(Id { ms, n: 7 }, &message)).unwrap()
    }

    #[test]
    fn a_chat_has_the_members_of_the_article_in_order() {
        assert_eq!(
            json(1_409_072_826_521, "1", "hi"),
            r#"{"message":"hi","userId":1,"createdAt":"2014-08-26T17:07:06.521Z"}"#
        );
    }

    #[test]
    fn texts_are_not_escaped_for_html() {
        assert_eq!(
            json(0, "O&#x27;Neil", "&lt;b&gt; &amp;amp; &quot;"),
            r#"{"message":"<b> &amp; \"","userId":"O'Neil","createdAt":"1970-01-01T00:00:00.000Z"}"#
        );
    }

    #[test]
    fn a_user_id_is_a_number_only_if_it_is_canonical_and_exact() {
        let user_id = |sender: &str| {
            let chat: serde_json::Value = serde_json::from_str(&json(0, sender, "x")).unwrap();
            chat["userId"].to_string()
        };
        for number in ["0", "1", "42", "9007199254740991"] {
            assert_eq!(user_id(number), number);
        }
        for text in ["9007199254740992", "007", "00", "+1", "-1", "1.0", "1e3", " 1", "١", "Anonymous"] {
            assert_eq!(user_id(text), format!("{text:?}"));
        }
    }

    #[test]
    fn a_time_beyond_the_year_9999_is_the_latest_of_it() {
        assert_eq!(created_at(Id { ms: 253_402_300_799_999, n: 1 }), LATEST_CREATED_AT);
        assert_eq!(created_at(Id { ms: (1 << 53) - 1, n: 1 }), LATEST_CREATED_AT);
    }
}
