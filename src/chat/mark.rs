//! Secrets, and the marks that they leave in messages: whose a message is, where there are no accounts.
//!
//! A mark tells people of one name apart, and shows nothing of the secret: it is keyed with a salt that only the message
//! store and its nodes know.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The lengths that a secret may have, in characters.
const SECRET_CHARS: std::ops::RangeInclusive<usize> = 16..=128;
/// The bytes of a salt.
const SALT_BYTES: usize = 32;
/// The bytes of a block of SHA-256.
const BLOCK_BYTES: usize = 64;
/// The bytes of a mark.
const MARK_BYTES: usize = 16;

/// A secret as a client has sent it, valid or not. No log line and no error shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What makes the marks of one message store different from those of others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; SALT_BYTES]);

/// The first 128 bits of HMAC-SHA-256 with the salt as key, over a secret.
#[derive(Clone, Copy, Debug)]
pub struct Mark([u8; MARK_BYTES]);

impl Secret {
    /// Takes what was sent.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns true if the secret is neither too short nor too long, and all of it is printable ASCII.
    pub fn is_valid(&self) -> bool {
        let is_printable = self.0.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        is_printable && SECRET_CHARS.contains(&self.0.len())
    }
}

impl Salt {
    /// Draws a salt.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Parses the lower-case hex digits of a salt.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 2 * SALT_BYTES && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let byte = |index: usize| u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok();
        let bytes: Vec<u8> = (0..SALT_BYTES).filter(|_| digits).filter_map(byte).collect();
        bytes.try_into().ok().map(Self)
    }

    /// Returns the lower-case hex digits of the salt.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Mark {
    /// Returns the mark that a secret leaves.
    pub fn new(salt: &Salt, secret: &Secret) -> Self {
        // A key that is shorter than a block is filled up with zeros (RFC 2104).
        let mut key = [0; BLOCK_BYTES];
        key[..SALT_BYTES].copy_from_slice(&salt.0);
        let mut code = Hmac::<Sha256>::new(&key.into());
        code.update(secret.0.as_bytes());
        let code = code.finalize().into_bytes();
        Self(std::array::from_fn(|index| code[index]))
    }

    /// Returns true if this is the mark of a message. It takes the same time for all marks of the right length.
    pub fn is_same(&self, other: &str) -> bool {
        self.to_string().as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code is that of `printf %s 'correct horse battery' | openssl dgst -sha256 -mac HMAC -macopt hexkey:…`, where the
    /// key is the bytes 0 to 31.
    #[test]
    fn a_mark_is_half_of_the_code_of_the_secret() {
        let salt = Salt(std::array::from_fn(|index| index as u8));
        let mark = Mark::new(&salt, &Secret::new("correct horse battery".into()));
        assert_eq!(mark.to_string(), "6e38fb29221fbc33373071e3a2f97ae6");
        assert!(mark.is_same(&mark.to_string()));
        for other in ["", &mark.to_string()[1..], &mark.to_string().to_uppercase()] {
            assert!(!mark.is_same(other), "{other}");
        }
        assert!(!Mark::new(&Salt::random(), &Secret::new("correct horse battery".into())).is_same(&mark.to_string()));
    }

    #[test]
    fn a_secret_is_16_to_128_printable_characters() {
        for good in ["x".repeat(16), "~ ".repeat(64)] {
            assert!(Secret::new(good).is_valid());
        }
        for bad in
            ["x".repeat(15), "x".repeat(129), "é".repeat(16), "\n".repeat(16), "\u{7f}".repeat(16), String::new()]
        {
            assert!(!Secret::new(bad.clone()).is_valid(), "{bad:?}");
        }
    }

    #[test]
    fn a_salt_is_parsed_as_it_was_written() {
        let salt = Salt::random();
        assert!(Salt::parse(&salt.to_hex()) == Some(salt));
        for bad in ["", "00", &"G".repeat(64), &"A".repeat(64), &"é".repeat(32), &salt.to_hex()[1..]] {
            assert!(Salt::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_seen_of_secrets_and_salts() {
        assert_eq!(format!("{:?} {:?}", Secret::new("xyzzy".into()), Salt([1; 32])), "Secret Salt");
    }
}
