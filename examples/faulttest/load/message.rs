//! The messages of the load: each says its number and when it was posted, and can be checked without a table.

use crate::history::{At, FOREIGN};

/// How long most texts can be beyond their beginning, in bytes; and the length of every hundredth.
const MAX_FILLER: u32 = 120;
const LONG_FILLER: usize = 3_000;

/// A message as a reader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub number: u32,
    pub posted_at: At,
}

/// Returns the text of a message.
pub fn text(number: u32, posted_at: At) -> String {
    let (letter, length) = filler(number);
    let mut text = format!("{number} {posted_at} ");
    text.extend(std::iter::repeat_n(char::from(letter), length));
    text
}

fn filler(number: u32) -> (u8, usize) {
    let length = if number % 100 == 99 {
        LONG_FILLER
    } else {
        (number.wrapping_mul(7_919) % MAX_FILLER) as usize
    };
    (b'a' + (number % 26) as u8, length)
}

pub fn key(tag: &str, number: u32) -> String {
    format!("{tag}-{number}")
}

/// Returns what a message says, or a foreign one if it has not the text that goes with its key.
pub fn read(tag: &str, key: Option<&str>, text: &str) -> Seen {
    let number = key.and_then(|key| key.strip_prefix(tag)?.strip_prefix('-')?.parse().ok());
    number.and_then(|number| check(number, text)).unwrap_or(Seen { number: FOREIGN, posted_at: 0 })
}

fn check(number: u32, text: &str) -> Option<Seen> {
    let mut parts = text.splitn(3, ' ');
    let (stated, posted_at) = (parts.next()?.parse::<u32>().ok()?, parts.next()?.parse().ok()?);
    let (rest, (letter, length)) = (parts.next()?.as_bytes(), filler(number));
    let is_ours = stated == number && rest.len() == length && rest.iter().all(|byte| *byte == letter);
    is_ours.then_some(Seen { number, posted_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_was_changed_is_foreign() {
        for number in [0, 7, 99, 123_456] {
            let (key, text) = (key("t", number), text(number, 42));
            assert_eq!(read("t", Some(&key), &text), Seen { number, posted_at: 42 });
            assert_eq!(read("t", Some(&key), &(text.clone() + "x")).number, FOREIGN);
            assert_eq!(read("u", Some(&key), &text).number, FOREIGN);
            assert_eq!(read("t", Some("t-8"), &text).number, FOREIGN);
            assert_eq!(read("t", None, &text).number, FOREIGN);
        }
    }
}
