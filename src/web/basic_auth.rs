//! HTTP Basic (RFC 7617): what a client sends, and how a password is compared with it.

use actix_web::http::header::{self, HeaderMap};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The user and the password that a client sends. Neither has to be UTF-8.
pub(super) struct BasicAuth {
    pub user: Vec<u8>,
    pub password: Vec<u8>,
}

impl BasicAuth {
    /// Reads the header `Authorization`; `None` if there is none, if it has another scheme, or if the password is empty.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        let mut user = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
        let colon = user.iter().position(|byte| *byte == b':')?;
        let password = user.split_off(colon + 1);
        user.pop();
        (!password.is_empty()).then_some(Self { user, password })
    }
}

/// Returns true if a request tries HTTP Basic, whatever it sends.
pub(super) fn is_basic(headers: &HeaderMap) -> bool {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    header.split(' ').next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
}

/// The hash of a password. Comparing two takes the same time for all passwords, whatever their lengths are.
#[derive(Clone, Copy)]
pub(super) struct PasswordHash([u8; 32]);

impl PasswordHash {
    /// Hashes a password.
    pub(super) fn of(password: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(password).into())
    }

    /// Returns true if both are hashes of one password.
    pub(super) fn is_same(self, other: Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_password_is_what_follows_the_first_colon_and_is_not_empty() {
        let password = |credentials: &str| {
            let request = TestRequest::get().insert_header((header::AUTHORIZATION, credentials)).to_http_request();
            BasicAuth::of(request.headers()).map(|auth| String::from_utf8(auth.password).unwrap())
        };
        let basic = |text: &str| password(&format!("Basic {}", STANDARD.encode(text)));
        assert_eq!(basic("any:s3:cret").as_deref(), Some("s3:cret"));
        assert_eq!(basic(":né").as_deref(), Some("né"));
        assert_eq!(password("bAsIc OnB3").as_deref(), Some("pw"));
        for none in [
            basic("user:"),
            basic("user"),
            basic(""),
            password("Bearer OnB3"),
            password("Basic"),
            password("Basic %"),
        ] {
            assert_eq!(none, None);
        }
    }

    #[test]
    fn a_user_is_what_stands_before_the_first_colon() {
        let credentials = format!("Basic {}", STANDARD.encode("shop:s3:cret"));
        let request = TestRequest::get().insert_header((header::AUTHORIZATION, credentials)).to_http_request();
        assert_eq!(BasicAuth::of(request.headers()).map(|auth| auth.user), Some(b"shop".to_vec()));
    }
}
