//! What a connection is checked for: that it leads to a master that is ready, and that its user may do what a node does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, RedisError, RedisResult, Script, ServerErrorKind, Value, cmd, pipe};

use super::failure::Failure;
use super::keys::Keys;
use super::scripts::{self, Announcing};
use super::url::Form;

/// The commands without which only nothing can be deleted or edited.
const COMMANDS_FOR_CHANGING: [&str; 3] = ["XDEL", "XTRIM", "ZRANGEBYSCORE"];

/// The commands without which only nothing can be edited.
const COMMANDS_FOR_EDITING: [&str; 2] = ["HKEYS", "HMGET"];

/// The first version of Redis with Pub/Sub by slots.
const FIRST_WITH_SHARDED_PUBSUB: u32 = 7;

/// A check of what the Redis user may do.
pub struct Check {
    keys: Keys,
    announcing: Announcing,
    script: Script,
    is_cluster: bool,
    has_one_server: bool,
    /// Whether the log has said that the user may not delete or edit.
    warned: AtomicBool,
}

impl Check {
    pub fn new(keys: Keys, form: &Form) -> Self {
        let is_cluster = matches!(form, Form::Cluster { .. });
        let announcing = Announcing::new(is_cluster);
        Self {
            is_cluster,
            has_one_server: matches!(form, Form::One(_)),
            keys,
            announcing,
            script: announcing.script(scripts::CHECK),
            warned: AtomicBool::new(false),
        }
    }

    /// Returns the command that subscribes to a channel.
    pub fn subscribe_command(&self) -> &'static str {
        if self.is_cluster { "SSUBSCRIBE" } else { "SUBSCRIBE" }
    }

    /// Checks a new connection, and loads the scripts, so that no call needs a second round trip for that.
    ///
    /// On a cluster the rights are tried in a slot of the server; without one they are not. Returns the id of the server's
    /// run, if the user may see it.
    pub async fn run(
        &self,
        connection: &mut MultiplexedConnection,
        slot: Option<u16>,
    ) -> Result<Option<String>, Failure> {
        let mut greeting = pipe();
        greeting.cmd("HELLO").cmd("INFO").arg("server").cmd("PING");
        if self.is_cluster {
            greeting.cmd("ASKING"); // for the next command, to which it makes no difference
        }
        for script in self.announcing.texts() {
            greeting.cmd("SCRIPT").arg("LOAD").arg(script);
        }
        let key = if self.is_cluster {
            slot.and_then(|slot| self.keys.check_in(slot))
        } else {
            Some(self.keys.check())
        };
        if let Some(key) = key {
            greeting.cmd("EVALSHA").arg(self.script.get_hash()).arg(1).arg(&key).arg(&key);
        }
        let replies: Vec<RedisResult<Value>> = greeting.ignore_errors().query_async(connection).await?;
        let mut replies = replies.into_iter();
        let hello = Hello::parse(replies.next().as_ref())?;
        let run_id = replies.next().and_then(Result::ok).and_then(run_id);
        hello.judge_role().map_err(|failure| self.in_form(failure))?;
        if self.is_cluster {
            hello.judge_cluster()?;
        } else if hello.mode == "cluster" {
            refuse_several_masters(connection).await?;
        }
        self.judge_rights(replies)?;
        Ok(run_id)
    }

    /// Where masters change, a replica was one a moment ago. Otherwise the URL leads to it.
    fn in_form(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Refused(cause) if !self.has_one_server => Failure::Away(cause),
            Failure::Refused(cause) => Failure::Refused(cause + "; the URL must lead to the master"),
            other => other,
        }
    }

    /// Judges the replies after that to HELLO.
    fn judge_rights(&self, replies: impl Iterator<Item = RedisResult<Value>>) -> Result<(), Failure> {
        let mut missing = Missing::default();
        for reply in replies {
            match reply {
                Ok(Value::Array(refused)) => {
                    let lines = refused.iter().filter_map(|line| redis::from_redis_value_ref::<String>(line).ok());
                    lines.for_each(|line| missing.add_line(&line));
                }
                Ok(_) => {}
                Err(error) => missing.add_error(error, self.is_cluster)?,
            }
        }
        let for_changing = missing.take_commands(&COMMANDS_FOR_CHANGING);
        let for_editing = missing.take_commands(&COMMANDS_FOR_EDITING);
        let lost = if for_changing.is_empty() { "edited" } else { "deleted or edited" };
        let lacking = [for_changing, for_editing].concat();
        if !lacking.is_empty() && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the Redis user lacks the commands {}, so that nothing can be {lost}; docs/operations.md has the whole rule",
                lacking.join(", ")
            );
        }
        missing.into_result(&self.keys)
    }
}

/// Checks that the server is still a master that answers, and returns the round trip.
pub async fn verify(connection: &mut MultiplexedConnection) -> Result<Duration, Failure> {
    let started = Instant::now();
    let nonce = rand::random::<u64>().to_string();
    let mut commands = pipe();
    commands.cmd("HELLO").cmd("PING").arg(&nonce).ignore_errors();
    let replies: Vec<RedisResult<Value>> = commands.query_async(connection).await?;
    let mut replies = replies.into_iter();
    let hello = replies.next();
    match replies.next() {
        Some(Ok(Value::BulkString(reply))) if reply == nonce.as_bytes() => {}
        Some(Err(error)) if refuses_writes_only(&error) => {}
        Some(Err(error)) => return Err(error.into()),
        _ => return Err(Failure::Unclear("the answer to PING is that to another command".into())),
    }
    Hello::parse(hello.as_ref())?.judge_role()?;
    Ok(started.elapsed())
}

/// Asks a server whether it is a master.
pub async fn ask_role(connection: &mut MultiplexedConnection) -> Result<(), Failure> {
    let mut commands = pipe();
    commands.cmd("HELLO").cmd("ROLE").ignore_errors();
    let replies: Vec<RedisResult<Value>> = commands.query_async(connection).await?;
    Hello::parse(replies.first())?.judge_role()?;
    let role = replies.get(1).and_then(|reply| reply.as_ref().ok()?.as_sequence()?.first());
    match role.and_then(|role| redis::from_redis_value_ref::<String>(role).ok()).as_deref() {
        None | Some("master") => Ok(()),
        Some(role) => Err(Failure::Refused(format!("its role is {role}, not master"))),
    }
}

/// Returns true if Redis replies to PING as to a write, because it cannot write to its disk. Logs can be read, and
/// announcements arrive.
fn refuses_writes_only(error: &RedisError) -> bool {
    error.code() == Some("MISCONF")
}

/// Returns the command that [`is_master`] judges.
pub fn hello() -> Cmd {
    cmd("HELLO")
}

/// Returns true if the reply to HELLO does not say that the server is something else than a master.
pub fn is_master(reply: &RedisResult<Value>) -> bool {
    Hello::parse(Some(reply)).and_then(|hello| hello.judge_role()).is_ok()
}

/// Checks that the server is one of a cluster that is new enough, whatever its role: a replica knows the masters, too.
pub async fn in_cluster(connection: &mut MultiplexedConnection) -> Result<(), Failure> {
    Hello::parse(Some(&hello().query_async(connection).await))?.judge_cluster()
}

/// The reply to HELLO without arguments. It has the role, as that to ROLE, and needs no right.
struct Hello {
    mode: String,
    role: String,
    /// The first number of the version.
    major: Option<u32>,
}

impl Hello {
    fn parse(reply: Option<&RedisResult<Value>>) -> Result<Self, Failure> {
        let members: HashMap<String, Value> = match reply {
            Some(Ok(reply)) => redis::from_redis_value_ref(reply).unwrap_or_default(),
            Some(Err(error)) if error.kind() == ErrorKind::Io => return Err(error.clone().into()),
            _ => HashMap::new(), // from a proxy that does not know this form
        };
        let member = |name: &str| -> String {
            members.get(name).and_then(|value| redis::from_redis_value_ref(value).ok()).unwrap_or_default()
        };
        let major = member("version").split('.').next().and_then(|major| major.parse().ok());
        Ok(Self { mode: member("mode"), role: member("role"), major })
    }

    fn judge_role(&self) -> Result<(), Failure> {
        match (self.mode.as_str(), self.role.as_str()) {
            ("sentinel", _) => Err(Failure::Refused("it is a Sentinel; use redis-sentinel://".into())),
            (_, "replica" | "slave") => Err(Failure::Refused("it is a replica".into())),
            _ => Ok(()),
        }
    }

    fn judge_cluster(&self) -> Result<(), Failure> {
        if self.major.is_some_and(|major| major < FIRST_WITH_SHARDED_PUBSUB) {
            return Err(Failure::Unfit("a cluster needs Redis 7.0 or newer, for its sharded Pub/Sub".into()));
        }
        match self.mode.as_str() {
            "cluster" | "" => Ok(()), // a proxy does not say
            _ => Err(Failure::Refused("it is no cluster; use redis:// instead of redis-cluster://".into())),
        }
    }
}

/// Returns the id of the server's run from the reply to INFO.
fn run_id(info: Value) -> Option<String> {
    let info: String = redis::from_redis_value(info).ok()?;
    info.lines().find_map(|line| line.strip_prefix("run_id:")).map(str::to_owned)
}

/// Refuses a cluster of several masters. A user that may not ask is not refused: most clusters then answer MOVED.
async fn refuse_several_masters(connection: &mut MultiplexedConnection) -> Result<(), Failure> {
    let info: RedisResult<String> = cmd("CLUSTER").arg("INFO").query_async(connection).await;
    let size = info.as_deref().unwrap_or_default().lines().find_map(|line| line.strip_prefix("cluster_size:"));
    match size.and_then(|size| size.trim().parse::<u32>().ok()) {
        Some(size) if size > 1 => Err(several_masters()),
        _ => Ok(()),
    }
}

fn several_masters() -> Failure {
    Failure::Refused("it is a cluster of several masters; use redis-cluster:// instead of redis://".into())
}

/// What the Redis user may not do.
#[derive(Default)]
struct Missing {
    commands: Vec<String>,
    keys: bool,
    channels: bool,
}

impl Missing {
    /// Adds a line of the reply of `check.lua`. An error that is no missing right, such as OOM, does not count.
    fn add_line(&mut self, line: &str) {
        let (command, error) = line.split_once(' ').unwrap_or((line, ""));
        // Redis 6.2 and 7.0: "The user executing the script can't …"; since 7.2: "NOPERM ACL failure in script: …".
        if !error.contains("The user executing the script can't") && !error.contains("NOPERM") {
            return;
        }
        self.add(command, error);
    }

    /// Adds the reply to a command of the greeting.
    fn add_error(&mut self, error: RedisError, is_cluster: bool) -> Result<(), Failure> {
        let detail = error.detail().unwrap_or_default();
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::NoPerm) => {
                let command = detail.split('\'').nth(1).unwrap_or_default().to_uppercase();
                self.add(&command, detail);
                Ok(())
            }
            // The script was not loaded, which is said already.
            ErrorKind::Server(ServerErrorKind::NoScript) => Ok(()),
            _ if refuses_writes_only(&error) => Ok(()),
            // The slot has gone to another server.
            ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask) if is_cluster => Ok(()),
            ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::CrossSlot) => Err(several_masters()),
            _ => Err(error.into()),
        }
    }

    fn add(&mut self, command: &str, error: &str) {
        // "can't run this command" or "no permissions to run the 'get' command"; the rest names keys or channels, and may
        // name the user before.
        if error.contains(" run th") {
            if !self.commands.iter().any(|known| known == command) {
                self.commands.push(command.into());
            }
        } else if error.contains("channel") {
            self.channels = true;
        } else {
            self.keys = true;
        }
    }

    /// Removes some commands, and returns those of them that were missing.
    fn take_commands(&mut self, commands: &[&str]) -> Vec<String> {
        self.commands.extract_if(.., |command| commands.contains(&command.as_str())).collect()
    }

    fn into_result(self, keys: &Keys) -> Result<(), Failure> {
        let mut rights = Vec::new();
        if !self.commands.is_empty() {
            rights.push(format!("the commands {}", self.commands.join(", ")));
        }
        if self.keys {
            rights.push(format!("the key pattern ~{}", keys.pattern()));
        }
        if self.channels {
            rights.push(format!("the channel pattern &{}", keys.pattern()));
        }
        if rights.is_empty() {
            return Ok(());
        }
        Err(Failure::Refused(format!(
            "its user lacks {}; docs/operations.md has the whole rule",
            rights.join(", and ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(lines: &[&str]) -> Result<(), Failure> {
        let mut missing = Missing::default();
        lines.iter().for_each(|line| missing.add_line(line));
        missing.into_result(&Keys::new("chat"))
    }

    #[test]
    fn missing_rights_are_named_in_the_words_of_each_version() {
        let cause = |lines: &[&str]| missing(lines).unwrap_err().cause().to_owned();
        let v62 = "HSET @user_script: 3: The user executing the script can't run this command or subcommand";
        let v70 = "HSET ERR The user executing the script can't run this command or subcommand";
        let v72 = "HSET NOPERM ACL failure in script: User default has no permissions to run the 'hset' command";
        for line in [v62, v70, v72] {
            assert!(cause(&[line]).contains("the commands HSET;"), "{line}");
        }
        let v70 = "PUBLISH ERR The user executing the script can't publish to the channel mentioned in the command";
        let v72 = "PUBLISH NOPERM ACL failure in script: No permissions to access a channel";
        for line in [v70, v72] {
            assert!(cause(&[line]).contains("the channel pattern &chat:*;"), "{line}");
        }
        let key = "GET NOPERM ACL failure in script: No permissions to access a key";
        assert!(cause(&[key, v70]).contains("the key pattern ~chat:*, and the channel pattern &chat:*;"));
    }

    #[test]
    fn what_is_refused_for_other_reasons_is_no_missing_right() {
        let full = "HSET OOM command not allowed when used memory > 'maxmemory'.";
        assert_eq!(missing(&[full, "XADD MISCONF errors writing to the AOF file", "XINFO ERR no such key"]), Ok(()));
    }
}
