//! Whether an app can use its key at the address. Judging does no I/O.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::finding::Finding;
use super::http::BufferedResponse;
use super::text::printable;
use crate::apps::token;

/// The name of the check.
const CHECK: &str = "app key";

/// By how many seconds the clocks may differ. It is far from the 300 s at which calls are refused.
const MAX_GOOD_SKEW_SECS: u64 = 60;

/// A key and its secret.
#[derive(Clone)]
pub(super) struct AppKey {
    key: String,
    secret: String,
}

impl AppKey {
    /// Parses `KEY:SECRET`.
    ///
    /// # Errors
    /// If one of the two is missing.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((key, secret)) if !key.is_empty() && !secret.is_empty() => {
                Ok(Self { key: key.to_owned(), secret: secret.to_owned() })
            }
            _ => Err("write it as KEY:SECRET".to_owned()),
        }
    }

    /// Returns the fields of a call, signed now.
    pub(super) fn signature(&self) -> [(&'static str, String); 3] {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).to_string();
        [("key", self.key.clone()), ("token", token(&self.key, &self.secret, &now)), ("timestamp", now)]
    }
}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppKey").field("key", &self.key).finish_non_exhaustive()
    }
}

/// An answer to a signed call, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CallAnswer {
    status: u16,
    body: String,
    /// Seconds by which the clock of the node differs from ours.
    skew: Option<u64>,
}

impl CallAnswer {
    pub(super) fn of(response: &BufferedResponse) -> Self {
        let date = response.headers.get("date").and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| chrono::DateTime::parse_from_rfc2822(date).ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self {
            status: response.status,
            body: response.body.clone(),
            skew: date.map(|date| now.abs_diff(date.timestamp().unsigned_abs())),
        }
    }
}

/// Checks the answers to signed calls, each on a connection of its own.
pub(super) fn signed_calls(answers: &[CallAnswer]) -> Finding {
    let accepted = answers.iter().filter(|answer| answer.status == 200).count();
    let Some(refused) = answers.iter().find(|answer| answer.status != 200) else {
        return match answers.iter().filter_map(|answer| answer.skew).max() {
            None if answers.is_empty() => Finding::note(CHECK, "cannot tell: no call was answered"),
            Some(skew @ MAX_GOOD_SKEW_SECS..) => {
                Finding::note(CHECK, format!("signed calls are accepted, but the clocks differ by {skew} s"))
                    .with_advice_line("this machine and all nodes: set the clock by NTP; from 300 s on calls fail")
            }
            _ => Finding::good(CHECK, format!("{accepted} signed calls were accepted")),
        };
    };
    let reason = printable(&refused.body);
    let of = if accepted == 0 {
        String::new()
    } else {
        format!(" to {} of {}", answers.len() - accepted, answers.len())
    };
    let finding =
        |text: &str| Finding::broken(CHECK, format!("{text}: the answer{of} was {} {reason}", refused.status));
    match (refused.status, refused.body.as_str()) {
        (404, "User not found") => finding("a node does not know the key")
            .with_advice_line("every node: the same APP_KEYS; SIGHUP reads APP_KEYS_FILE again"),
        (404, _) => Finding::broken(CHECK, "a node has no keys at all, or is of a version without them")
            .with_advice_line("every node: APP_KEYS, from tiny-chat keys new"),
        (401, body) if body.contains("Timestamp invalid") => {
            finding("the clocks differ too much").with_advice_line("this machine and all nodes: set the clock by NTP")
        }
        (401, body) if body.contains("Bad Credentials") => finding("a node has another secret for this key")
            .with_advice_line("the app and every node: the same secret; during a change list both"),
        (401, body) if body.contains("Missing Credentials") => finding("the fields of the call do not arrive")
            .with_advice_line("every proxy: pass the body of POST /socket on as it is"),
        (429 | 503, _) => Finding::note(CHECK, format!("cannot tell: {} {reason}", refused.status)),
        _ => finding("a signed call is not understood"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str, skew: u64) -> CallAnswer {
        CallAnswer { status, body: body.to_owned(), skew: Some(skew) }
    }

    #[test]
    fn each_refusal_of_a_call_has_its_advice() {
        let good = answer(200, "{}", 1);
        for (answers, begin) in [
            (vec![good.clone(); 8], "good    app key         8 signed calls were accepted"),
            (
                vec![answer(200, "{}", 90)],
                "note    app key         signed calls are accepted, but the clocks differ by 90 s",
            ),
            (
                vec![good.clone(), answer(404, "User not found", 0)],
                "BROKEN  app key         a node does not know the key: the answer to 1 of 2 was 404 User not found\n",
            ),
            (vec![answer(404, "{}", 0)], "BROKEN  app key         a node has no keys at all"),
            (
                vec![answer(401, "Access Denied - Bad Credentials", 0)],
                "BROKEN  app key         a node has another secret for this key: the answer was 401 Access Denied",
            ),
            (
                vec![answer(401, "Access Denied - Timestamp invalid, timestamp: \"1\" server time: 2.000000s", 0)],
                "BROKEN  app key         the clocks differ too much: ",
            ),
            (vec![answer(503, "Database Connection Error", 0)], "note    app key         cannot tell: 503 "),
            (vec![], "note    app key         cannot tell: no call was answered"),
        ] {
            let finding = signed_calls(&answers).to_string();
            assert!(finding.starts_with(begin), "{finding}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let key = AppKey::parse("shop:s3cret").unwrap();
        assert!(!format!("{key:?}").contains("s3cret"));
        for bad in ["shop", "shop:", ":x", ""] {
            assert!(AppKey::parse(bad).is_err(), "{bad}");
        }
    }
}
