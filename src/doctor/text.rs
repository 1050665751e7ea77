//! Text for the terminal: durations, and strings that came from the network.

use std::time::Duration;

/// Characters of a string from the network that are shown.
const MAX_PRINTABLE_CHARS: usize = 200;

/// Returns a string from the network cut to a fixed length and without control characters, so that it cannot send escape
/// sequences to the terminal.
pub(super) fn printable(text: &str) -> String {
    let text = text.chars().take(MAX_PRINTABLE_CHARS);
    text.map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Formats a duration in milliseconds below one second, and in seconds above.
pub(super) fn format_duration(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "1 ms".to_owned(),
        ms @ 1..1000 => format!("{ms} ms"),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}
