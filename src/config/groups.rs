//! Options that nodes and the commands for keys have in common.

use std::fmt;

use clap::Args;

use crate::apps::KeySources;
use crate::bus::{RedisServer, TlsFiles};

/// Where the Redis is.
#[derive(Clone, Debug, Args)]
pub struct RedisOptions {
    /// URL of the Redis that the nodes share: redis://, redis-sentinel:// or redis-cluster://, with TLS rediss://, rediss-sentinel:// or rediss-cluster://, and valkey like redis; without one, this node runs alone and keeps messages in memory
    #[arg(long, env = "REDIS_URL", value_name = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,

    /// URL of the Redis if REDIS_URL is not set
    #[arg(long, env = "REDISTOGO_URL", value_name = "REDISTOGO_URL", hide_env_values = true)]
    pub redistogo_url: Option<String>,

    /// PEM file with the certificate authorities to trust with TLS, instead of the public ones
    #[arg(long, env = "REDIS_CA", value_name = "REDIS_CA")]
    pub redis_ca: Option<String>,

    /// PEM file with the certificate to show with TLS, and those between it and an authority
    #[arg(long, env = "REDIS_CERT", value_name = "REDIS_CERT")]
    pub redis_cert: Option<String>,

    /// PEM file with the private key of REDIS_CERT
    #[arg(long, env = "REDIS_KEY", value_name = "REDIS_KEY")]
    pub redis_key: Option<String>,

    /// User at the Sentinels of redis-sentinel://, where user and password in the URL are those at the servers
    #[arg(long, env = "REDIS_SENTINEL_USER", value_name = "REDIS_SENTINEL_USER")]
    pub redis_sentinel_user: Option<String>,

    /// Password at the Sentinels
    #[arg(
        long,
        env = "REDIS_SENTINEL_PASSWORD",
        value_name = "REDIS_SENTINEL_PASSWORD",
        hide_env_values = true
    )]
    pub redis_sentinel_password: Option<Hidden>,

    /// First part of every key and channel in Redis; a database number does not separate chats, since Pub/Sub ignores it
    #[arg(long, env = "REDIS_PREFIX", value_name = "REDIS_PREFIX", default_value = "chat", value_parser = parse_prefix)]
    pub redis_prefix: String,
}

impl RedisOptions {
    /// Returns the URL of Redis, if there is one, with the name of the variable that holds it.
    pub fn url(&self) -> Option<(&'static str, &str)> {
        let urls = [("REDIS_URL", &self.redis_url), ("REDISTOGO_URL", &self.redistogo_url)];
        urls.into_iter().find_map(|(name, url)| Some((name, given(url)?)))
    }

    /// Returns the server to connect to, if there is one.
    ///
    /// # Errors
    /// If a file cannot be read, or the URL and the options beside it cannot be understood. The error names the variable.
    pub fn server(&self) -> Result<Option<RedisServer<'_>>, String> {
        let Some((variable, url)) = self.url() else {
            return Ok(None);
        };
        let tls = TlsFiles {
            ca: read("REDIS_CA", &self.redis_ca)?,
            certificate: read("REDIS_CERT", &self.redis_cert)?,
            key: read("REDIS_KEY", &self.redis_key)?,
        };
        let server = RedisServer {
            variable,
            url,
            tls,
            is_user_optional: variable == "REDISTOGO_URL",
            sentinel_user: given(&self.redis_sentinel_user),
            sentinel_password: self.redis_sentinel_password.as_ref().and_then(|password| trimmed(&password.0)),
        };
        server.check()?;
        Ok(Some(server))
    }
}

/// Reads a file, if a variable names one.
fn read(variable: &str, path: &Option<String>) -> Result<Option<Vec<u8>>, String> {
    given(path)
        .map(|path| std::fs::read(path).map_err(|error| format!("{variable}: {path}: {error}")))
        .transpose()
}

/// The keys of the apps.
#[derive(Clone, Debug, Args)]
pub struct KeyOptions {
    /// Keys of the apps that may send events, each key:secret or key:secret:prefix, separated by commas
    #[arg(long, env = "APP_KEYS", value_name = "APP_KEYS", hide_env_values = true)]
    pub app_keys: Option<Hidden>,

    /// File with more keys, one on each line, which is read again at SIGHUP
    #[arg(long, env = "APP_KEYS_FILE", value_name = "APP_KEYS_FILE")]
    pub app_keys_file: Option<String>,

    /// One more key, whose secret is ESHQ_SECRET
    #[arg(long, env = "ESHQ_KEY", value_name = "ESHQ_KEY")]
    pub eshq_key: Option<String>,

    /// Secret of ESHQ_KEY
    #[arg(long, env = "ESHQ_SECRET", value_name = "ESHQ_SECRET", hide_env_values = true)]
    pub eshq_secret: Option<Hidden>,
}

impl KeyOptions {
    /// Returns where the list of keys comes from.
    pub fn sources(&self) -> KeySources {
        let text = |value: &Option<String>| given(value).map(str::to_owned);
        let hidden = |value: &Option<Hidden>| value.as_ref().and_then(|value| trimmed(&value.0)).map(str::to_owned);
        KeySources {
            list: hidden(&self.app_keys),
            file: text(&self.app_keys_file),
            key: text(&self.eshq_key),
            secret: hidden(&self.eshq_secret),
        }
    }
}

/// A value that no output shows.
#[derive(Clone)]
pub struct Hidden(pub String);

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().and_then(trimmed)
}

/// Returns a value without white space around it, if anything is left.
fn trimmed(value: &str) -> Option<&str> {
    Some(value.trim()).filter(|value| !value.is_empty())
}

fn parse_prefix(text: &str) -> Result<String, String> {
    let text = text.trim();
    // Braces would end the hash tag of a room, by which a cluster places its keys.
    let is_valid = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'{' && b != b'}');
    if is_valid {
        Ok(text.to_owned())
    } else {
        Err("a prefix consists of visible ASCII characters other than { and }, at least one".to_owned())
    }
}
