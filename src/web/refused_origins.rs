//! What the log says about pages of other origins that are not allowed: the first request of each origin, and what would
//! allow it. Their browsers only say that a header is missing.

use std::collections::HashSet;

use parking_lot::Mutex;

/// How many origins are logged: any client can make up more.
const MAX_ORIGINS: usize = 100;

/// How much of an origin is logged, in characters.
const MAX_ORIGIN_CHARS: usize = 100;

/// The origins that were logged.
#[derive(Debug, Default)]
pub(super) struct RefusedOrigins(Mutex<HashSet<String>>);

/// What is logged about an origin.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Nothing,
    Origin(String),
    /// The same, and it is the last one.
    LastOrigin(String),
}

impl RefusedOrigins {
    /// Logs that a page of this origin was refused, if that is new.
    pub(super) fn log(&self, origin: &[u8]) {
        let (origin, is_last) = match self.note(origin) {
            News::Nothing => return,
            News::Origin(origin) => (origin, false),
            News::LastOrigin(origin) => (origin, true),
        };
        if origin.starts_with("https://") || origin.starts_with("http://") {
            tracing::warn!(
                origin,
                "a page of another origin was refused; if it may use this server, add it to ALLOWED_ORIGINS"
            );
        } else {
            tracing::warn!(
                origin,
                "a page without a web address was refused; ALLOWED_ORIGINS can only allow http:// and https:// origins"
            );
        }
        if is_last {
            tracing::warn!("further origins that are not in ALLOWED_ORIGINS are refused without a line in the log");
        }
    }

    fn note(&self, origin: &[u8]) -> News {
        let mut logged = self.0.lock();
        if logged.len() == MAX_ORIGINS {
            return News::Nothing;
        }
        // A browser sends only visible ASCII; another client could make up lines of the log.
        let visible = |c: char| if c.is_ascii_graphic() { c } else { '\u{fffd}' };
        let origin: String = String::from_utf8_lossy(origin).chars().take(MAX_ORIGIN_CHARS).map(visible).collect();
        match logged.insert(origin.clone()) {
            false => News::Nothing,
            true if logged.len() < MAX_ORIGINS => News::Origin(origin),
            true => News::LastOrigin(origin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_logged_once_cut_and_without_control_characters() {
        let refused = RefusedOrigins::default();
        assert_eq!(refused.note(b"https://a.example"), News::Origin("https://a.example".to_owned()));
        assert_eq!(refused.note(b"https://a.example"), News::Nothing);
        let hostile = "https://b\u{9b}2J\t level=ERROR\u{202e}\u{e9}";
        let cleaned = "https://b\u{fffd}2J\u{fffd}\u{fffd}level=ERROR\u{fffd}\u{fffd}";
        assert_eq!(refused.note(hostile.as_bytes()), News::Origin(cleaned.to_owned()));
        let (long, longer) = ("x".repeat(MAX_ORIGIN_CHARS), "x".repeat(5000));
        assert_eq!(refused.note(longer.as_bytes()), News::Origin(long));
    }

    #[test]
    fn a_bounded_number_of_origins_is_logged() {
        let refused = RefusedOrigins::default();
        let news: Vec<_> = (0..10_000).map(|n| refused.note(n.to_string().as_bytes())).collect();
        assert!(news[..MAX_ORIGINS - 1].iter().all(|news| matches!(news, News::Origin(_))));
        assert_eq!(news[MAX_ORIGINS - 1], News::LastOrigin((MAX_ORIGINS - 1).to_string()));
        assert!(news[MAX_ORIGINS..].iter().all(|news| *news == News::Nothing));
        assert_eq!(refused.0.lock().len(), MAX_ORIGINS);
    }
}
