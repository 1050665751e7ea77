//! Text for the terminal: durations, and strings that came from the network.

use std::time::Duration;

pub(super) use crate::http_client::printable;

/// Formats a duration in milliseconds below one second, and in seconds above.
pub(super) fn format_duration(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "1 ms".to_owned(),
        ms @ 1..1000 => format!("{ms} ms"),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}
