//! The operator's password (`ADMIN_PASSWORD`), and the tries of those who do not know it.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::basic_auth::PasswordHash;
use crate::limits::WrongTries;

/// The longest password, in characters.
const MAX_CHARS: usize = 128;

/// A password with fewer characters is warned of: ten tries a minute from each of many addresses may find it.
const MIN_SAFE_CHARS: usize = 12;

/// The password of the operator, if there is one, and the wrong tries.
pub(crate) struct AdminPassword {
    password: Option<PasswordHash>,
    wrong_tries: WrongTries,
}

impl AdminPassword {
    /// Sets the password; without one, what it protects does not exist.
    ///
    /// # Errors
    /// If the password is too long, or has control characters, which a browser would not send. The text does not hold it.
    pub(crate) fn new(password: Option<&str>) -> Result<Self, String> {
        let chars = password.map(|password| password.chars().count());
        if chars.is_some_and(|chars| chars > MAX_CHARS) || password.is_some_and(|text| text.contains(char::is_control))
        {
            return Err(format!("a password has at most {MAX_CHARS} characters and no control characters"));
        }
        if chars.is_some_and(|chars| chars < MIN_SAFE_CHARS) {
            tracing::warn!("ADMIN_PASSWORD has fewer than {MIN_SAFE_CHARS} characters; it may be guessed");
        }
        Ok(Self { password: password.map(PasswordHash::of), wrong_tries: WrongTries::default() })
    }

    /// Returns true if there is a password.
    pub(super) fn is_set(&self) -> bool {
        self.password.is_some()
    }

    /// Returns true if a password is the right one.
    pub(super) fn is_right(&self, password: &[u8]) -> bool {
        self.password.is_some_and(|right| right.is_same(PasswordHash::of(password)))
    }

    /// Looks at credentials from an address, the password or those of an app, and counts a try if they are wrong.
    ///
    /// # Errors
    /// Returns how long to wait if too many wrong ones came from the address. They are not looked at then.
    pub(super) fn try_once<T>(&self, address: IpAddr, look: impl FnOnce() -> Option<T>) -> Result<Option<T>, Duration> {
        let now = Instant::now();
        if let Some(wait) = self.wrong_tries.wait(address, now) {
            return Err(wait);
        }
        let found = look();
        if found.is_none() {
            self.wrong_tries.count(address, now);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_bounded_and_has_no_control_characters() {
        for good in [None, Some("s"), Some(&*"é".repeat(128)), Some("with spaces: fine")] {
            assert!(AdminPassword::new(good).is_ok(), "{good:?}");
        }
        for bad in ["s".repeat(129), "two\nlines".into()] {
            let error = AdminPassword::new(Some(&bad)).err().unwrap();
            assert!(!error.contains(&bad), "{error}");
        }
    }
}
