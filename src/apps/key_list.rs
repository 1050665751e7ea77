//! The entries of a list of keys, `key:secret[:prefix]`, parsed or refused with the rule. No error repeats a secret.

use std::fmt;
use std::sync::Arc;

use super::prefix::Prefix;

/// The longest key, in characters.
const MAX_KEY_CHARS: usize = 64;

/// The shortest and the longest secret in a list, in characters.
const SECRET_CHARS: (usize, usize) = (16, 128);

/// A secret of a key. It is never part of a text for people.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Returns the secret, to be compared with what a client knows.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// An entry of a list of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// One of its secrets.
    pub secret: Secret,
    /// How its rooms begin.
    pub prefix: Prefix,
    /// Where the entry stands, for errors.
    pub place: String,
}

impl Entry {
    /// Parses `key:secret[:prefix]`.
    ///
    /// # Errors
    /// If the entry is bad: its place and the rule.
    pub(super) fn parse(text: &str, place: String) -> Result<Self, String> {
        let Some((key, rest)) = text.split_once(':') else {
            return Err(format!("{place}: an entry is key:secret or key:secret:prefix"));
        };
        check_key(key).map_err(|rule| format!("{place}: {rule}"))?;
        let named = named(key, &place);
        let (secret, prefix) = rest.split_once(':').map_or((rest, None), |(secret, prefix)| (secret, Some(prefix)));
        let secret = parse_secret(secret, SECRET_CHARS).map_err(|rule| format!("{named}: {rule}"))?;
        let prefix = prefix.map_or_else(|| Ok(Prefix::default_of(key)), Prefix::parse);
        let prefix = prefix.map_err(|rule| format!("{named}: {rule}"))?;
        Ok(Self { key: key.to_owned(), secret, prefix, place })
    }

    /// Makes an entry of a key and a secret that come separately, with the default prefix.
    ///
    /// # Errors
    /// If one of them breaks its rule, with that rule and the one it is of.
    pub(super) fn pair((key_name, key): (&str, &str), (secret_name, secret): (&str, &str)) -> Result<Self, String> {
        check_key(key).map_err(|rule| format!("{key_name}: {rule}"))?;
        let secret = parse_secret(secret, (1, SECRET_CHARS.1)).map_err(|rule| format!("{secret_name}: {rule}"))?;
        Ok(Self { key: key.to_owned(), secret, prefix: Prefix::default_of(key), place: key_name.to_owned() })
    }
}

/// Checks what two entries may not have together.
///
/// # Errors
/// If a key has two prefixes, or a prefix begins with another: both places and the rule.
pub(super) fn check_together(entries: &[Entry]) -> Result<(), String> {
    for (index, entry) in entries.iter().enumerate() {
        for earlier in &entries[..index] {
            let rule = if entry.key == earlier.key && entry.prefix != earlier.prefix {
                "a key has one prefix, however many secrets it has"
            } else if entry.prefix != earlier.prefix && entry.prefix.shares_rooms(&earlier.prefix) {
                "no prefix may begin with that of another key, unless they are equal"
            } else {
                continue;
            };
            let (key, other) = (&entry.key, &earlier.key);
            return Err(format!("{} (key {key}) and {} (key {other}): {rule}", entry.place, earlier.place));
        }
    }
    Ok(())
}

/// Returns the place with the key, unless that may be a secret in the wrong order.
fn named(key: &str, place: &str) -> String {
    if key.len() < SECRET_CHARS.0 {
        format!("{place} (key {key})")
    } else {
        place.to_owned()
    }
}

/// Checks the rule of keys.
///
/// # Errors
/// If the key breaks it, with the rule.
pub fn check_key(key: &str) -> Result<(), String> {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if (1..=MAX_KEY_CHARS).contains(&key.len()) && key.bytes().all(is_allowed) {
        Ok(())
    } else {
        Err(format!("a key has 1 to {MAX_KEY_CHARS} of the characters A-Z, a-z, 0-9, '.', '_' and '-'"))
    }
}

fn parse_secret(secret: &str, (min, max): (usize, usize)) -> Result<Secret, String> {
    let is_allowed = |b: u8| b.is_ascii_graphic() && b != b',' && b != b':';
    if (min..=max).contains(&secret.len()) && secret.bytes().all(is_allowed) {
        Ok(Secret(secret.into()))
    } else {
        Err(format!("a secret has {min} to {max} visible ASCII characters other than ',' and ':'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn parse(text: &str) -> Result<Entry, String> {
        Entry::parse(text, "entry 2".into())
    }

    #[test]
    fn an_entry_has_a_key_a_secret_and_perhaps_a_prefix() {
        for (text, prefix) in [
            (format!("shop:{SECRET}"), "private-shop~"),
            (format!("shop:{SECRET}:"), ""),
            (format!("shop:{SECRET}:news~"), "news~"),
        ] {
            let entry = parse(&text).unwrap();
            assert_eq!((entry.key.as_str(), entry.secret.reveal(), entry.prefix.as_str()), ("shop", SECRET, prefix));
        }
        let all: String = ('!'..='~').filter(|c| !",:".contains(*c)).collect();
        assert_eq!(parse(&format!("A.z_9-:{all}")).unwrap().secret.reveal(), all);
        assert!(parse(&format!("{}:{}", "k".repeat(64), "s".repeat(128))).is_ok());
    }

    #[test]
    fn a_bad_entry_is_named_with_its_rule_and_without_its_secret() {
        let long = "s".repeat(129);
        for (text, rule) in [
            (SECRET.to_owned(), "key:secret"),
            (format!(":{SECRET}"), "a key has 1 to 64"),
            (format!("a b:{SECRET}"), "a key has 1 to 64"),
            (format!("caf\u{e9}:{SECRET}"), "a key has 1 to 64"),
            (format!("{}:{SECRET}", "k".repeat(65)), "a key has 1 to 64"),
            ("shop:".into(), "a secret has 16 to 128"),
            (format!("shop:{}", &SECRET[1..]), "a secret has 16 to 128"),
            (format!("shop:{long}"), "a secret has 16 to 128"),
            (format!("shop:{SECRET} "), "a secret has 16 to 128"),
            (format!("shop:{SECRET}\u{e9}"), "a secret has 16 to 128"),
            (format!("shop:{SECRET}:news"), "a prefix ends in ~"),
            (format!("shop:{SECRET}:a:b~"), "a prefix is empty, or a room name"),
            (format!("shop:{SECRET}:eshq.a~"), "neither eshq. nor private-eshq."),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.starts_with("entry 2") && error.contains(rule), "{text}: {error}");
            assert!(!error.contains(&SECRET[1..]) && !error.contains(&long), "{text}: {error}");
            assert_eq!(error.contains("(key shop)"), text.starts_with("shop:"), "{text}: {error}");
        }
    }

    /// Secret and key in the wrong order: what is taken for a key is a secret.
    #[test]
    fn a_key_that_may_be_a_secret_is_not_named() {
        let error = parse(&format!("{SECRET}:shop")).unwrap_err();
        assert!(!error.contains(SECRET), "{error}");
    }

    #[test]
    fn the_secret_of_a_pair_has_1_to_128_characters() {
        let pair = |key: &str, secret: &str| Entry::pair(("ESHQ_KEY", key), ("ESHQ_SECRET", secret));
        assert_eq!(pair("shop", "x").unwrap().prefix.as_str(), "private-shop~");
        for secret in ["", "a,b", "a:b", "a b", &"s".repeat(129)] {
            assert!(pair("shop", secret).unwrap_err().starts_with("ESHQ_SECRET: a secret has 1 to 128"), "{secret}");
        }
        assert!(pair("a b", "x").unwrap_err().starts_with("ESHQ_KEY: a key"));
    }

    #[test]
    fn no_prefix_begins_another_and_a_key_has_one() {
        let check = |prefixes: [(&str, &str); 2]| {
            let entries = prefixes.map(|(key, prefix)| parse(&format!("{key}:{SECRET}{prefix}")).unwrap());
            check_together(&entries)
        };
        for together in [
            [("a", ""), ("b", "")],
            [("a", ""), ("a", "")],
            [("a", ":x~"), ("b", ":x~")],
            [("a", ":"), ("b", ":x~")],
            [("a", ":"), ("b", ":")],
            [("a", ""), ("a", ":private-a~")],
            [("a", ":cafe\u{301}~"), ("b", ":caf\u{e9}~")],
        ] {
            assert_eq!(check(together), Ok(()), "{together:?}");
        }
        for (together, rule) in [
            ([("a", ""), ("a", ":x~")], "a key has one prefix"),
            ([("a", ":"), ("a", "")], "a key has one prefix"),
            ([("a", ":x~"), ("b", ":x~y~")], "no prefix may begin"),
            ([("a", ":private-b~x~"), ("b", "")], "no prefix may begin"),
            ([("a", ":cafe\u{301}~x~"), ("b", ":caf\u{e9}~")], "no prefix may begin"),
        ] {
            assert!(check(together).unwrap_err().contains(rule), "{together:?}");
        }
    }

    #[test]
    fn no_debug_output_holds_a_secret() {
        let entry = parse(&format!("shop:{SECRET}")).unwrap();
        assert!(!format!("{entry:?}").contains(SECRET));
    }
}
