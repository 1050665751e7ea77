//! The scripts, which every connection loads when it is established.

use redis::Script;

/// Publishes a message or an event.
pub const PUBLISH: &str = concat!(include_str!("log.lua"), include_str!("token.lua"), include_str!("publish.lua"));
/// Takes a token.
pub const TAKE_TOKEN: &str = concat!(include_str!("token.lua"), include_str!("take_token.lua"));
/// Publishes with the log alone.
pub const APPEND: &str = concat!(include_str!("log.lua"), include_str!("entry_key.lua"), include_str!("append.lua"));
/// Looks for an idempotency key in a log.
pub const FIND_KEY: &str =
    concat!(include_str!("log.lua"), include_str!("entry_key.lua"), include_str!("find_key.lua"));
/// Reads part of a log.
pub const READ: &str = concat!(include_str!("run.lua"), include_str!("read.lua"));
/// Answers what that leaves open.
pub const IS_DELETED: &str = concat!(include_str!("run.lua"), include_str!("is_deleted.lua"));
/// Deletes entries.
pub const DELETE: &str = concat!(include_str!("log.lua"), include_str!("removal.lua"), include_str!("delete.lua"));
/// Edits a message.
pub const EDIT: &str = concat!(include_str!("log.lua"), include_str!("removal.lua"), include_str!("edit.lua"));

/// Restores entries.
pub const HEAL: &str = concat!(include_str!("log.lua"), include_str!("removal.lua"), include_str!("heal.lua"));

/// Announces a process' subscribers.
pub const PRESENCE: &str = include_str!("presence.lua");
/// Stores summaries.
pub const WRITE_SUMMARY: &str = include_str!("write_summary.lua");
/// Tries what the others do.
pub const CHECK: &str = include_str!("check.lua");

/// The scripts that announce something.
const ANNOUNCING: &[&str] = &[PUBLISH, APPEND, DELETE, EDIT, HEAL, PRESENCE, WRITE_SUMMARY, CHECK];
/// All others.
const SILENT: &[&str] = &[
    FIND_KEY,
    READ,
    IS_DELETED,
    TAKE_TOKEN,
    include_str!("list_processes.lua"),
    include_str!("reserve_streams.lua"),
    include_str!("user_ids.lua"),
    include_str!("salt.lua"),
    include_str!("count_sockets.lua"),
];

/// How announcements are published.
#[derive(Clone, Copy)]
pub enum Announcing {
    /// To all servers.
    Everywhere,
    /// On a cluster: at the master of the channel's slot, which Redis can since 7.0.
    InSlot,
}

impl Announcing {
    pub fn new(is_cluster: bool) -> Self {
        if is_cluster { Announcing::InSlot } else { Announcing::Everywhere }
    }

    /// Returns the command that publishes.
    pub fn command(self) -> &'static str {
        match self {
            Announcing::Everywhere => "PUBLISH",
            Announcing::InSlot => "SPUBLISH",
        }
    }

    /// Prepares a script that announces something: it finds the command in `PUBLISH`.
    pub fn script(self, text: &str) -> Script {
        Script::new(&self.complete(text))
    }

    /// Returns the texts of all scripts, as they are called.
    pub fn texts(self) -> impl Iterator<Item = String> {
        let announcing = ANNOUNCING.iter().map(move |text| self.complete(text));
        announcing.chain(SILENT.iter().map(ToString::to_string))
    }

    fn complete(self, text: &str) -> String {
        format!("local PUBLISH = '{}'\n{text}", self.command())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Returns the commands that a script calls, written as `call('NAME'` or in a table as `{ 'NAME'`.
    fn commands(script: &str, before: &str) -> BTreeSet<String> {
        let calls = script.split(before).skip(1);
        calls.map(|call| call.split('\'').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn every_command_of_a_script_is_checked_and_documented() {
        let operations = include_str!("../../../docs/operations.md");
        let mut rules = operations.lines().filter(|line| line.trim().starts_with("user tiny-chat "));
        let (one, sentinel, cluster) = (rules.next(), rules.next(), rules.nth(1));
        let forms = [(Announcing::Everywhere, one), (Announcing::Everywhere, sentinel), (Announcing::InSlot, cluster)];
        for (announcing, rule) in forms {
            let publish = format!("'{}'", announcing.command());
            let checked = commands(&CHECK.replace("PUBLISH", &publish), "{ '");
            let granted = |command: &str| {
                let right = format!("+{}", command.to_lowercase());
                rule.unwrap_or_default().split([' ', '|']).any(|granted| granted == right)
            };
            let scripts = announcing.texts().map(|text| text.replace("(PUBLISH", &format!("({publish}")));
            for command in scripts.flat_map(|script| commands(&script, "call('")) {
                assert!(checked.contains(&command), "check.lua does not try {command}");
                assert!(granted(&command), "docs/operations.md does not grant {command}");
            }
        }
    }

    #[test]
    fn every_script_of_the_directory_is_loaded() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bus/redis");
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "lua") {
                let script = std::fs::read_to_string(&path).unwrap();
                let is_loaded = ANNOUNCING.iter().chain(SILENT).any(|loaded| loaded.contains(&script));
                assert!(is_loaded, "{} is not in the list", path.display());
            }
        }
    }
}
