//! `tiny-chat keys purge`: removes what Redis has of a key, once it is certain that nothing of another key is with it.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use tokio::runtime;

use crate::apps::{Apps, Prefix, check_key};
use crate::bus::{PurgeMode, PurgeTarget, Purged, RedisServer, purge};
use crate::config::{KeyOptions, RedisOptions};

/// The key cannot be purged, or not without `--yes`.
const REFUSED: u8 = 1;
/// The command line or a variable is wrong.
const USAGE: u8 = 2;
/// Redis cannot be reached, or failed meanwhile.
const FAILED: u8 = 3;

/// Options of `tiny-chat keys purge`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The key
    #[arg(value_name = "KEY", value_parser = parse_key)]
    key: String,

    /// Remove it, and do not only say what would be removed
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    redis: RedisOptions,

    #[command(flatten)]
    keys: KeyOptions,
}

/// Why nothing was removed, or not all.
struct Failure {
    code: u8,
    why: String,
}

/// Runs the command.
pub fn run(options: &Options) -> ExitCode {
    match purge_key(options) {
        Ok(purged) => {
            // What is removed is removed, whether anybody hears of it.
            let _ = write!(io::stdout(), "{}", Counts(&purged));
            ExitCode::SUCCESS
        }
        Err(Failure { code, why }) => {
            let _ = writeln!(io::stderr(), "{why}");
            code.into()
        }
    }
}

fn purge_key(options: &Options) -> Result<Purged, Failure> {
    let usage = |why| Failure { code: USAGE, why };
    let apps = Apps::open(options.keys.sources()).map_err(usage)?;
    let prefix = prefix_of(&options.key, &apps)?;
    let server = options.redis.server().map_err(usage)?;
    let server = server.ok_or_else(|| usage("There is no REDIS_URL, and without Redis nodes keep nothing.".into()))?;
    let target = PurgeTarget { key: &options.key, prefix: prefix.as_str() };
    let mode = if options.yes { PurgeMode::Remove } else { PurgeMode::Count };
    let purged = call_redis(server, options, target, mode)?;
    if options.yes {
        return Ok(purged);
    }
    let is_in_use = if apps.find(&options.key).is_some() {
        "The key is in use: its app and its readers would store more.\n"
    } else {
        ""
    };
    let why = format!(
        "Nothing was removed. With --yes this removes of the rooms that begin with {}, and of those whose names are hashes \
         of such names:\n{}{is_in_use}",
        prefix.as_str(),
        Counts(&purged)
    );
    Err(Failure { code: REFUSED, why: why.trim_end().to_owned() })
}

/// Returns the prefix of the key, listed or not, if no room under it is of another key.
fn prefix_of(key: &str, apps: &Apps) -> Result<Prefix, Failure> {
    let refused = |why| Failure { code: REFUSED, why };
    let prefix = apps.find(key).map_or_else(|| Prefix::default_of(key), |app| app.prefix().clone());
    if prefix.is_empty() {
        return Err(refused("The prefix of this key is empty: its channels are rooms that everybody uses.".into()));
    }
    let all = apps.all();
    let other = all.iter().find(|app| **app.key() != *key && app.prefix().shares_rooms(&prefix));
    match other {
        Some(app) => Err(refused(format!(
            "Rooms under the prefix {} are also those of the key {}.",
            prefix.as_str(),
            app.key()
        ))),
        None => Ok(prefix),
    }
}

fn call_redis(
    server: RedisServer<'_>,
    options: &Options,
    target: PurgeTarget<'_>,
    mode: PurgeMode,
) -> Result<Purged, Failure> {
    let failed = |why| Failure { code: FAILED, why };
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(error.to_string()))?;
    let prefix = &options.redis.redis_prefix;
    let purged = runtime.block_on(purge(server, prefix, target, mode));
    purged.map_err(|why| failed(format!("Redis: {why}. Not everything is removed; run the command again.")))
}

fn parse_key(text: &str) -> Result<String, String> {
    check_key(text).map(|()| text.to_owned())
}

/// How many of each were removed, a line for each.
struct Counts<'a>(&'a Purged);

impl fmt::Display for Counts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Purged { logs, presence, idempotency_keys, sockets, usage } = self.0;
        writeln!(f, "logs: {logs}\npresence: {presence}\nidempotency keys: {idempotency_keys}")?;
        writeln!(f, "sockets: {sockets}\nusage: {usage}")
    }
}
