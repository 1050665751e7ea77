//! The scripts, which every connection loads when it is established.

/// Publishes a message or an event.
pub const PUBLISH: &str = concat!(include_str!("log.lua"), include_str!("publish.lua"));
/// Deletes entries.
pub const DELETE: &str = concat!(include_str!("log.lua"), include_str!("removal.lua"), include_str!("delete.lua"));
/// Edits a message.
pub const EDIT: &str = concat!(include_str!("log.lua"), include_str!("removal.lua"), include_str!("edit.lua"));

/// All scripts but the check's own.
pub const ALL: &[&str] = &[
    PUBLISH,
    include_str!("read.lua"),
    DELETE,
    EDIT,
    include_str!("presence.lua"),
    include_str!("list_processes.lua"),
    include_str!("take_token.lua"),
    include_str!("reserve_streams.lua"),
    include_str!("user_ids.lua"),
    include_str!("salt.lua"),
    include_str!("write_summary.lua"),
    include_str!("count_sockets.lua"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ALL;

    /// Returns the commands that a script calls, written as `call('NAME'` or in a table as `{ 'NAME'`.
    fn commands(script: &str, before: &str) -> BTreeSet<String> {
        let calls = script.split(before).skip(1);
        calls.map(|call| call.split('\'').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn every_command_of_a_script_is_checked_and_documented() {
        let checked = commands(include_str!("check.lua"), "{ '");
        let operations = include_str!("../../../docs/operations.md");
        let rule = operations.lines().find(|line| line.trim().starts_with("user tiny-chat ")).unwrap_or_default();
        let granted = |command: &str| {
            let command = command.to_lowercase();
            rule.split([' ', '|']).any(|right| right.strip_prefix('+').unwrap_or_default() == command)
        };
        for command in ALL.iter().flat_map(|script| commands(script, "call('")) {
            assert!(checked.contains(&command), "check.lua does not try {command}");
            assert!(granted(&command), "docs/operations.md does not grant {command}");
        }
    }

    #[test]
    fn every_script_of_the_directory_is_loaded() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bus/redis");
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "lua") && !path.ends_with("check.lua") {
                let script = std::fs::read_to_string(&path).unwrap();
                assert!(ALL.iter().any(|loaded| loaded.contains(&script)), "{} is not in the list", path.display());
            }
        }
    }
}
