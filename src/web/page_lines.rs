//! The lines of a room's page: its messages, grouped by sender and by day as `assets/log.js` does it, but in UTC.

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Duration, OffsetDateTime};

use super::faces::{hue_of, initial_of};
use crate::chat::{Id, Message};

const ISO_8601: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const TIME_OF_DAY: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute] UTC");
const DAY: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day padding:none] [month repr:long] [year]");

/// A sender's messages closer together than this are one group.
const GROUP: Duration = Duration::minutes(5);

/// A message whose text is not escaped: the template escapes it.
pub(super) struct PageLine {
    pub id: String,
    pub sender: String,
    pub text: String,
    /// The mark of its sender's secret; empty if there was none.
    pub mark: String,
    /// Whether it has another text than the one that was posted.
    pub edited: bool,
    /// One of 24.
    pub hue: u32,
    /// The letter on the tile.
    pub initial: String,
    pub iso: String,
    pub clock: String,
    /// The heading of the day that begins with this line.
    pub day: Option<String>,
    /// Whether the line belongs to the group of the line before.
    pub again: bool,
    /// `None` if it is too far in the future for a calendar.
    time: Option<OffsetDateTime>,
}

/// Returns the lines of messages, the oldest first.
pub(super) fn page_lines<'a>(messages: impl Iterator<Item = &'a (Id, Message)>) -> Vec<PageLine> {
    let mut lines: Vec<PageLine> = Vec::new();
    for message in messages {
        let mut line = PageLine::new(message);
        let above = lines.last();
        let date = |line: &PageLine| line.time.map(OffsetDateTime::date);
        let begins = above.map(date) != Some(date(&line));
        line.day = begins.then(|| format_time(line.time, DAY));
        line.again = !begins && above.is_some_and(|above| line.continues(above));
        lines.push(line);
    }
    lines
}

impl PageLine {
    fn new((id, message): &(Id, Message)) -> Self {
        let message = message.decoded();
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(id.ms) * 1_000_000).ok();
        Self {
            id: id.to_string(),
            hue: hue_of(&message.sender),
            initial: initial_of(&message.sender),
            sender: message.sender,
            text: message.message,
            mark: message.mark.unwrap_or_default(),
            edited: message.edited,
            iso: format_time(time, ISO_8601),
            clock: format_time(time, TIME_OF_DAY),
            day: None,
            again: false,
            time,
        }
    }

    fn continues(&self, above: &Self) -> bool {
        let soon = above.time.zip(self.time).is_some_and(|(above, time)| time - above < GROUP);
        soon && above.sender == self.sender && above.mark == self.mark
    }
}

/// Formats a time; returns an empty string if there is none.
fn format_time(time: Option<OffsetDateTime>, format: &[BorrowedFormatItem<'_>]) -> String {
    time.and_then(|time| time.format(format).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_grouped_by_day_and_sender() {
        let minute = |minutes: u64| Id { ms: 1_764_115_200_000 + minutes * 60_000, n: 1 }; // from midnight on
        let message = |sender: &str| Message::parse(&format!(r#"{{"sender":"{sender}","message":"hi"}}"#)).unwrap();
        let messages = [
            (minute(1437), message("ada")),
            (minute(1439), message("ada")),
            (minute(1440), message("ada")),
            (minute(1444), message("ada")),
            (minute(1445), message("mason")),
            (minute(1450), message("mason")),
        ];
        let lines = page_lines(messages.iter());
        let shown: Vec<(Option<&str>, bool)> = lines.iter().map(|line| (line.day.as_deref(), line.again)).collect();
        let first = |day| (Some(day), false);
        let alone = (None, false);
        let again = (None, true);
        assert_eq!(shown, [first("Wed, 26 November 2025"), again, first("Thu, 27 November 2025"), again, alone, alone]);
    }
}
