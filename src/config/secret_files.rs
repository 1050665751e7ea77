//! Secrets in files. Beside each option whose value is not shown there is one for a file that holds the value:
//! `--admin-password-file` and `ADMIN_PASSWORD_FILE` beside `--admin-password` and `ADMIN_PASSWORD`.

use std::ffi::{OsStr, OsString};
use std::fs;

use clap::{Arg, Command};

/// What the options for files are listed under in `--help`.
const HEADING: &str = "Secrets in files";

/// What a secret and its file are set to in one place: as flags, or as variables.
pub struct Place {
    /// The name of the secret there, such as `ADMIN_PASSWORD`.
    pub name: String,
    /// The secret itself.
    pub value: Option<OsString>,
    /// The name of the option for a file there, such as `ADMIN_PASSWORD_FILE`.
    pub file_name: String,
    /// The path of that file.
    pub path: Option<OsString>,
}

/// A secret that was read from a file.
pub struct SecretFile {
    /// The identifier of the secret's option.
    pub id: String,
    /// The secret's variable.
    pub variable: String,
    /// The path of the file.
    pub path: String,
    /// The secret.
    pub value: OsString,
}

/// Returns a command, with those below it, that also takes a file for each secret.
pub fn with_file_options(command: Command) -> Command {
    let file_option = |secret: &Arg| {
        let (long, variable) = (secret.get_long()?, secret.get_env()?.to_str()?);
        let (long, file_variable) = (format!("{long}-file"), format!("{variable}_FILE"));
        // APP_KEYS_FILE is an option of its own, which is read again at SIGHUP.
        let is_taken = command.get_arguments().any(|arg| arg.get_long() == Some(&long));
        let option = Arg::new(long.clone()).long(long).env(file_variable.clone()).value_name(file_variable);
        (secret.is_hide_env_values_set() && !is_taken)
            .then(|| option.help(format!("File that holds {variable}")).help_heading(HEADING))
    };
    let options: Vec<Arg> = command.get_arguments().filter_map(file_option).collect();
    command.args(options).mut_subcommands(with_file_options)
}

/// Returns the option for the file of a secret, if the command has one.
pub fn file_option<'a>(command: &'a Command, secret: &Arg) -> Option<&'a Arg> {
    let long = format!("{}-file", secret.get_long()?);
    command.get_arguments().find(|arg| arg.get_long() == Some(&long) && is_file_option(arg))
}

/// Returns true if an option is for the file of a secret.
pub fn is_file_option(arg: &Arg) -> bool {
    arg.get_help_heading() == Some(HEADING)
}

/// Reads the secret with this option if a file holds it. The first place where anything is set counts.
///
/// # Errors
/// If both a secret and its file are set there, or the file cannot be read or is empty: what is set, and the path.
pub fn read_secret(secret: &Arg, places: [Place; 2]) -> Result<Option<SecretFile>, String> {
    for Place { name, value, file_name, path } in places {
        match (value, path) {
            (None, None) => {}
            (Some(_), None) => return Ok(None),
            (Some(_), Some(_)) => return Err(format!("{name} and {file_name} are both set: use one of them")),
            (None, Some(path)) => {
                let path = path.to_string_lossy().into_owned();
                let value = read(&path).map_err(|error| format!("{file_name} {path}: {error}"))?;
                let variable = secret.get_env().unwrap_or(OsStr::new("")).to_string_lossy().into_owned();
                return Ok(Some(SecretFile { id: secret.get_id().to_string(), variable, path, value }));
            }
        }
    }
    Ok(None)
}

/// Reads a file, without white space around what it holds.
fn read(path: &str) -> Result<OsString, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    // As an empty variable it would count as none: a node without the Redis or the password that it was to have.
    Some(text.trim())
        .filter(|text| !text.is_empty())
        .map(OsString::from)
        .ok_or_else(|| "the file is empty".to_owned())
}
