//! Messages as lines of text, for terminals and pipes.

use std::fmt::Write;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// The white space before each line of a text but its first: as wide as a time.
const INDENT: &str = "      ";

/// Appends `12:01 mason: hi` and a line break. The lines of the text after its first are indented, so that none of them
/// looks like a line of its own, and control characters are shown as U+FFFD, so that none reaches a terminal.
pub fn push_text_line(out: &mut String, time: &str, label: &str, text: &str) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{time} ");
    out.extend(label.chars().map(visible));
    for (index, line) in text.replace("\r\n", "\n").split('\n').enumerate() {
        out.push_str(if index == 0 { " " } else { INDENT });
        out.extend(line.chars().map(visible));
        out.push('\n');
    }
}

/// Returns a text on one line, with control characters, line breaks included, shown as U+FFFD.
pub fn visible_line(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// Returns a character as a terminal may show it.
fn visible(c: char) -> char {
    if c.is_control() && c != '\t' { '\u{fffd}' } else { c }
}

/// Encodes a value as JSON in which C0, DEL and C1 characters are escaped, so that none reaches a terminal.
pub fn to_visible_json(value: &impl Serialize) -> serde_json::Result<String> {
    struct EscapeControls;

    impl Formatter for EscapeControls {
        fn write_string_fragment<W: ?Sized + std::io::Write>(
            &mut self,
            out: &mut W,
            fragment: &str,
        ) -> std::io::Result<()> {
            // serde_json escapes C0 itself.
            let mut written = 0;
            for (index, c) in fragment.char_indices().filter(|(_, c)| c.is_control()) {
                out.write_all(&fragment.as_bytes()[written..index])?;
                write!(out, "\\u{:04x}", u32::from(c))?;
                written = index + c.len_utf8();
            }
            out.write_all(&fragment.as_bytes()[written..])
        }
    }

    let mut json = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut json, EscapeControls))?;
    Ok(String::from_utf8_lossy(&json).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_with_the_rest_indented() {
        let mut out = String::new();
        push_text_line(&mut out, "12:01", "mason:", "hi");
        push_text_line(&mut out, "12:02", "a\u{1b}b:", "one\r\n# two\n\n\tthree\u{9b}31m\r\u{7f}");
        assert_eq!(
            out,
            "12:01 mason: hi\n12:02 a\u{fffd}b: one\n      # two\n      \n      \tthree\u{fffd}31m\u{fffd}\u{fffd}\n"
        );
    }

    #[test]
    fn json_has_no_control_characters() {
        let text = "a\u{0}\u{1b}\t\u{7f}\u{9b}é\u{1f600}\"";
        let json = to_visible_json(&text).unwrap();
        assert_eq!(json, r#""a\u0000\u001b\t\u007f\u009bé😀\"""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
