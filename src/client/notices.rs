//! What the commands say on standard error, in colour if that is a terminal.

use std::io::Write;

use anstyle::{AnsiColor, Style};

use crate::chat::visible_line;

/// Says that something is wrong.
pub(super) fn complain(text: &str) {
    write_line(AnsiColor::Yellow.on_default(), text);
}

/// Says that all is well again.
pub(super) fn reassure(text: &str) {
    write_line(AnsiColor::Green.on_default(), text);
}

/// Writes lines that are safe to show as they are.
pub(super) fn write_lines(lines: &str) {
    // Where standard error is closed, there is no way to say so.
    let _ = anstream::stderr().write_all(lines.as_bytes());
}

fn write_line(style: Style, text: &str) {
    write_lines(&format!("{style}{}{style:#}\n", visible_line(text)));
}
