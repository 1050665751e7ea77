//! Who calls: an app that signs with its secret, or sends it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use subtle::ConstantTimeEq;

use super::fields::CallFields;
use super::refusal::Refusal;
use crate::apps::{self, App, Apps};
use crate::web::basic_auth::{BasicAuth, PasswordHash};

/// By how much the clock of an app may differ from ours, in microseconds.
const MAX_CLOCK_SKEW_MICROS: i128 = 300_000_000;

/// How much of a timestamp that is not valid is repeated, in characters.
const MAX_REPEATED_CHARS: usize = 64;

/// What a request says of who sends it.
#[derive(Debug, PartialEq, Eq)]
pub enum Credentials {
    /// The key, a timestamp, and the hash of both with the secret.
    Signature {
        key: String,
        timestamp: String,
        token: String,
    },
    /// The key and the secret (HTTP Basic).
    Secret { key: String, secret: String },
}

impl Credentials {
    /// Reads the credentials of a request. If one of the three fields is there, they count, and not HTTP Basic.
    ///
    /// # Errors
    /// 401 if some are missing or empty.
    pub fn of(fields: &CallFields, headers: &HeaderMap) -> Result<Self, Refusal> {
        let signature = ["key", "timestamp", "token"].map(|name| fields.get(name));
        if signature.iter().all(Option::is_none) {
            return BasicAuth::of(headers).as_ref().and_then(basic).ok_or_else(missing);
        }
        match signature.map(|field| field.filter(|value| !value.is_empty()).map(str::to_owned)) {
            [Some(key), Some(timestamp), Some(token)] => Ok(Self::Signature { key, timestamp, token }),
            _ => Err(missing()),
        }
    }

    /// Returns the app with the key.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn app(&self, apps: &Apps) -> Result<Arc<App>, Refusal> {
        let (Self::Signature { key, .. } | Self::Secret { key, .. }) = self;
        apps.find(key).ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "User not found"))
    }

    /// Checks that they prove knowledge of a secret of the app. It takes the same time whichever secret that is.
    ///
    /// # Errors
    /// 401 otherwise.
    pub fn verify(&self, app: &App) -> Result<(), Refusal> {
        let is_right = match self {
            Self::Signature { key, timestamp, token } => {
                check_timestamp(timestamp, unix_micros())?;
                app.has_secret(|secret| equal(&apps::token(key, secret, timestamp), token))
            }
            Self::Secret { secret, .. } => {
                let sent = PasswordHash::of(secret);
                app.has_secret(|known| sent.is_same(PasswordHash::of(known)))
            }
        };
        if is_right { Ok(()) } else { Err(denied("Bad Credentials")) }
    }
}

/// Returns the app whose key and secret a request has as HTTP Basic, if both are right.
pub fn app_of_basic(auth: &BasicAuth, apps: &Apps) -> Option<Arc<App>> {
    let credentials = basic(auth)?;
    credentials.app(apps).ok().filter(|app| credentials.verify(app).is_ok())
}

/// Returns the credentials of HTTP Basic.
fn basic(BasicAuth { user, password }: &BasicAuth) -> Option<Credentials> {
    let (key, secret) = (String::from_utf8(user.clone()).ok()?, String::from_utf8(password.clone()).ok()?);
    (!key.is_empty()).then_some(Credentials::Secret { key, secret })
}

fn equal(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// Checks that a timestamp, in Unix seconds, is not far from now, in microseconds.
fn check_timestamp(timestamp: &str, now: i128) -> Result<(), Refusal> {
    let digits = timestamp.strip_prefix('-').unwrap_or(timestamp);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = timestamp.parse::<i64>().ok().filter(|_| is_integer); // `parse` alone accepts "+1"
    if seconds.is_some_and(|seconds| (i128::from(seconds) * 1_000_000 - now).abs() < MAX_CLOCK_SKEW_MICROS) {
        return Ok(());
    }
    let repeated: String = timestamp.chars().take(MAX_REPEATED_CHARS).collect();
    let (seconds, micros) = (now / 1_000_000, now % 1_000_000);
    Err(denied(&format!("Timestamp invalid, timestamp: \"{repeated}\" server time: {seconds}.{micros:06}s")))
}

fn unix_micros() -> i128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i128)
}

fn missing() -> Refusal {
    denied("Missing Credentials")
}

fn denied(reason: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, format!("Access Denied - {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_an_integer_within_five_minutes() {
        let now = 1_361_572_294_123_456;
        for good in ["1361572294", "1361571995", "1361572594", "01361572294"] {
            assert!(check_timestamp(good, now).is_ok(), "{good}");
        }
        let long = "9".repeat(100);
        for bad in ["1361571994", "1361572595", "+1361572294", "1361572294.0", "", "-", "-1361572294", "x", &long] {
            let Err(Refusal::Text { status, text, .. }) = check_timestamp(bad, now) else {
                panic!("{bad}")
            };
            assert_eq!(status, StatusCode::UNAUTHORIZED);
            let repeated = bad.get(..64).unwrap_or(bad);
            let expected =
                format!("Access Denied - Timestamp invalid, timestamp: \"{repeated}\" server time: 1361572294.123456s");
            assert_eq!(text, expected);
        }
    }
}
