//! What Mercure 1.0 wants: a configuration with an issuer, and a token with which to publish.

use std::{
    net::SocketAddr,
    path::Path,
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const KEY: &str = "a-key-of-the-benchmark-that-is-long-enough-for-a-signature";
const ISSUER: &str = "https://benchmark.test";
const RESOURCE: &str = "http://localhost/.well-known/mercure";

const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

static TOKEN: LazyLock<String> = LazyLock::new(|| {
    let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + TOKEN_LIFETIME;
    let details = serde_json::json!([{
        "type": "https://mercure.rocks/authorization-detail",
        "actions": ["publish"],
        "topics": [{ "match": "*" }],
    }]);
    let claims = serde_json::json!({
        "iss": ISSUER,
        "aud": RESOURCE,
        "sub": "benchmark",
        "client_id": "benchmark",
        "exp": expires.as_secs(),
        "authorization_details": details,
    });
    let head = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"at+jwt"}"#);
    let signed = format!("{head}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).map(|mut code| {
        code.update(signed.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(code.finalize().into_bytes())
    });
    format!("{signed}.{}", signature.unwrap_or_default())
});

/// Returns a token that allows publishing to every topic.
pub fn token() -> &'static str {
    &TOKEN
}

/// Returns a Caddyfile with a hub that keeps its updates in Bolt, and that everyone may read.
pub fn config(address: SocketAddr, folder: &Path) -> String {
    let (host, port, folder) = (address.ip(), address.port(), folder.display());
    format!(
        "{{
	auto_https off
	admin off
	persist_config off
	log {{
		level ERROR
	}}
}}
http://:{port} {{
	bind {host}
	mercure {{
		anonymous
		resource_identifier {RESOURCE}
		issuer {ISSUER} {{
			publisher {{
				jwt {KEY}
			}}
		}}
		transport bolt {{
			path {folder}/mercure.db
			size 1000
		}}
	}}
}}
"
    )
}
