//! The token with which an app signs a call.

use sha1::{Digest, Sha1};

/// Returns the token of a call: the SHA-1 of key, secret and timestamp in lower-case hex digits.
pub fn token(key: &str, secret: &str, timestamp: &str) -> String {
    let hash = Sha1::digest(format!("{key}:{secret}:{timestamp}"));
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash is that of `printf %s 'key:secret:1361572294' | sha1sum`.
    #[test]
    fn a_token_is_the_sha1_of_key_secret_and_timestamp() {
        assert_eq!(token("key", "secret", "1361572294"), "07c0940e40c4f93404f4fc6347b4b8526fa26f09");
    }
}
