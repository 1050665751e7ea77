//! Reads options from flags and the environment, and secrets from files that these name. White space around a value does
//! not count, and an empty value is none: a secret in a file ends with a line break, and platforms set variables to nothing.

use std::env;
use std::ffi::{OsStr, OsString};

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, Error, FromArgMatches};

use super::secret_files::{Place, SecretFile, file_option, is_file_option, read_secret, with_file_options};

/// Options, and the files that hold secrets among them.
pub struct Parsed<C> {
    /// The options.
    pub options: C,
    /// The variables of secrets that are in files, with the paths of these.
    files: Vec<(String, String)>,
}

impl<C> Parsed<C> {
    /// Returns an error about an option, with the file that holds it, if it is in one.
    pub fn with_file(&self, error: &str) -> String {
        let of_file = self.files.iter().find_map(|(variable, path)| {
            let rest = error.strip_prefix(variable.as_str())?.strip_prefix(": ")?;
            Some(format!("{variable} in {path}: {rest}"))
        });
        of_file.unwrap_or_else(|| error.to_owned())
    }
}

/// Parses the arguments and the environment of this process. If they cannot be parsed, or only help is asked for, prints
/// that and ends the process.
pub fn parse<C: CommandFactory + FromArgMatches>() -> Parsed<C> {
    parse_from(env::args_os().collect(), |variable| env::var_os(variable)).unwrap_or_else(|error| error.exit())
}

fn parse_from<C: CommandFactory + FromArgMatches>(
    arguments: Vec<OsString>,
    variable: impl Fn(&OsStr) -> Option<OsString>,
) -> Result<Parsed<C>, Error> {
    let parsed = |command: Command, arguments: Vec<OsString>, secrets: &[SecretFile]| {
        let files = secrets.iter().map(|secret| (secret.variable.clone(), secret.path.clone())).collect();
        let options = C::from_arg_matches(&command.try_get_matches_from(arguments)?)?;
        Ok(Parsed { options, files })
    };
    // First only which flags there are, with any value and without the environment.
    let any_value = |arg: Arg| {
        if arg.get_action().takes_values() {
            arg.env(Resettable::Reset).value_parser(clap::value_parser!(OsString))
        } else {
            arg
        }
    };
    let with_files = || with_file_options(C::command());
    let command = || with_files().mut_subcommands(|command| without_empty_variables(command, &variable));
    let given = match command().mut_args(any_value).try_get_matches_from(&arguments) {
        Ok(given) if given.subcommand_name().is_none() => given,
        Ok(given) => {
            // A command of its own is not concerned by the variables of a node, valid or not.
            let command = command().mut_args(|arg| arg.env(Resettable::Reset));
            let secrets = secrets_of_subcommand(&command, &given, &variable)?;
            return parsed(command.mut_subcommands(|command| with_defaults(command, &secrets)), arguments, &secrets);
        }
        Err(error) if error.kind() != ErrorKind::DisplayHelp => return Err(error),
        // Help shows the variables and the values.
        Err(_) => return parsed(with_files(), arguments, &[]),
    };
    let command = with_files();
    let secrets = secrets_of(&command, &given, &variable)?;
    let mut cleaned = vec![arguments.into_iter().next().unwrap_or_default()];
    for arg in command.get_arguments().filter(|arg| !is_file_option(arg)) {
        if let Some(flag) = arg.get_long() {
            let secret = secrets.iter().find(|secret| arg.get_id() == &secret.id);
            let values = secret.map_or_else(|| values_of(arg, &given, &variable), |secret| vec![secret.value.clone()]);
            cleaned.extend(values.iter().filter_map(|value| trimmed(value)).map(|value| with_value(flag, value)));
        }
    }
    parsed(C::command().mut_args(|arg| arg.env(Resettable::Reset)), cleaned, &secrets)
}

/// Reads the secrets of a command that are in files.
fn secrets_of(
    command: &Command,
    given: &ArgMatches,
    variable: &impl Fn(&OsStr) -> Option<OsString>,
) -> Result<Vec<SecretFile>, Error> {
    let secret = |secret: &Arg| {
        let file = file_option(command, secret)?;
        let flag = |arg: &Arg| format!("--{}", arg.get_long().unwrap_or_default());
        let name = |arg: &Arg| arg.get_env().unwrap_or_default().to_string_lossy().into_owned();
        let of_flag = |arg: &Arg| trimmed(&flag_values_of(arg, given)?.pop()?).map(OsStr::to_owned);
        let of_variable = |arg: &Arg| trimmed(&variable(arg.get_env()?)?).map(OsStr::to_owned);
        let flags = Place { name: flag(secret), value: of_flag(secret), file_name: flag(file), path: of_flag(file) };
        let variables = Place {
            name: name(secret),
            value: of_variable(secret),
            file_name: name(file),
            path: of_variable(file),
        };
        read_secret(secret, [flags, variables]).transpose()
    };
    let secrets: Result<_, String> = command.get_arguments().filter_map(secret).collect();
    secrets.map_err(|error| Error::raw(ErrorKind::ValueValidation, error + "\n"))
}

/// Reads the secrets of the command below that was given.
fn secrets_of_subcommand(
    command: &Command,
    given: &ArgMatches,
    variable: &impl Fn(&OsStr) -> Option<OsString>,
) -> Result<Vec<SecretFile>, Error> {
    match given.subcommand().and_then(|(name, given)| Some((command.find_subcommand(name)?, given))) {
        Some((command, given)) => secrets_of_subcommand(command, given, variable),
        None => secrets_of(command, given, variable),
    }
}

/// Returns a command, with those below it, to which these secrets are the defaults of their options.
fn with_defaults(command: Command, secrets: &[SecretFile]) -> Command {
    let with_default = |arg: Arg| match secrets.iter().find(|secret| arg.get_id() == &secret.id) {
        Some(secret) => arg.env(Resettable::Reset).default_value(&secret.value),
        None => arg,
    };
    command.mut_args(with_default).mut_subcommands(|command| with_defaults(command, secrets))
}

/// Returns a command, with those below it, to which empty variables are none.
fn without_empty_variables(command: Command, variable: &impl Fn(&OsStr) -> Option<OsString>) -> Command {
    let is_empty = |arg: &Arg| arg.get_env().and_then(variable).is_some_and(|value| trimmed(&value).is_none());
    command
        .mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg })
        .mut_subcommands(|command| without_empty_variables(command, variable))
}

/// Returns the values of a flag, or else of its variable.
fn values_of(arg: &Arg, given: &ArgMatches, variable: impl Fn(&OsStr) -> Option<OsString>) -> Vec<OsString> {
    let of_variable = || arg.get_env().and_then(variable).into_iter().collect();
    flag_values_of(arg, given).unwrap_or_else(of_variable)
}

/// Returns the values of a flag, if it was given.
fn flag_values_of(arg: &Arg, given: &ArgMatches) -> Option<Vec<OsString>> {
    let id = arg.get_id().as_str();
    let is_given = arg.get_action().takes_values() && given.value_source(id) == Some(ValueSource::CommandLine);
    let values = given.get_raw(id).filter(|_| is_given)?;
    Some(values.map(OsStr::to_owned).collect())
}

/// Returns a value without white space around it, if anything is left.
fn trimmed(value: &OsStr) -> Option<&OsStr> {
    // What is not UTF-8 is left to the parser of the option, which refuses it.
    Some(value.to_str().map_or(value, |text| text.trim().as_ref())).filter(|value| !value.is_empty())
}

fn with_value(flag: &str, value: &OsStr) -> OsString {
    let mut argument = OsString::from(format!("--{flag}="));
    argument.push(value);
    argument
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Options {
        #[arg(long, env = "NUMBER", default_value_t = 7)]
        number: u8,
        #[arg(long, env = "NAMES", default_value = "a,b", value_delimiter = ',')]
        names: Vec<String>,
        #[arg(long, env = "URL", hide_env_values = true)]
        url: Option<String>,
    }

    fn parse(arguments: &[&str], environment: &[(&str, &str)]) -> Result<(u8, String, Option<String>), String> {
        let arguments = ["program"].iter().chain(arguments).map(OsString::from).collect();
        let variable =
            |name: &OsStr| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        let parsed: Parsed<Options> = parse_from(arguments, variable).map_err(|error| error.to_string())?;
        let options = parsed.options;
        Ok((options.number, options.names.join("|"), options.url))
    }

    #[test]
    fn an_empty_value_is_none_and_white_space_does_not_count() {
        let defaults = Ok((7, "a|b".to_owned(), None));
        assert_eq!(parse(&[], &[]), defaults);
        assert_eq!(parse(&[], &[("NUMBER", ""), ("NAMES", " "), ("URL", "\r\n")]), defaults);
        assert_eq!(parse(&["--number=", "--names", "", "--url", " "], &[]), defaults);
        let set = Ok((5, "c|d".to_owned(), Some("u v".to_owned())));
        assert_eq!(parse(&[], &[("NUMBER", " 5\n"), ("NAMES", "\tc,d\n"), ("URL", "u v\r\n")]), set);
        assert_eq!(parse(&["--number", "5 ", "--names= c, d", "--url=u v"], &[]), set);
    }

    #[test]
    fn a_flag_goes_before_its_variable() {
        let environment = [("NUMBER", "x"), ("NAMES", "c"), ("URL", "there")];
        let here = parse(&["--number=5", "--names", "d", "--url=here"], &environment);
        assert_eq!(here, Ok((5, "d".to_owned(), Some("here".to_owned()))));
        // An empty flag takes the variable back.
        assert_eq!(parse(&["--number=5", "--url="], &environment).unwrap().2, None);
    }

    #[test]
    fn a_secret_comes_from_its_file_unless_it_is_set_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("url");
        std::fs::write(&path, " there\r\n").unwrap();
        let (path, missing) = (path.to_str().unwrap(), "/nonexistent/url");
        let url = |arguments: &[&str], environment: &[(&str, &str)]| parse(arguments, environment).map(|(.., url)| url);
        let there = Ok(Some("there".to_owned()));
        assert_eq!(url(&[], &[("URL_FILE", path)]), there);
        assert_eq!(url(&[], &[("URL_FILE", &format!(" {path}\n")), ("URL", " ")]), there);
        assert_eq!(url(&["--url-file", path], &[("URL", "here"), ("URL_FILE", missing)]), there);
        assert_eq!(url(&["--url=here"], &[("URL_FILE", missing)]), Ok(Some("here".to_owned())));
        assert_eq!(url(&["--url=", "--url-file="], &[("URL_FILE", path)]), there);
        assert_eq!(url(&[], &[("URL_FILE", "\n")]), Ok(None));
        let error = url(&[], &[("URL_FILE", missing)]).unwrap_err();
        assert!(error.contains("URL_FILE /nonexistent/url: No such file"), "{error}");
        let error = url(&["--url-file", missing], &[]).unwrap_err();
        assert!(error.contains("--url-file /nonexistent/url: No such file"), "{error}");
        std::fs::write(path, " \n").unwrap();
        assert!(
            url(&[], &[("URL_FILE", path)])
                .unwrap_err()
                .contains(&format!("URL_FILE {path}: the file is empty"))
        );
        for both in [url(&[], &[("URL", "x"), ("URL_FILE", path)]), url(&["--url=x", "--url-file", path], &[])] {
            let error = both.unwrap_err().to_uppercase().replace('-', "_");
            assert!(error.contains("URL AND ") && error.contains("URL_FILE ARE BOTH SET"), "{error}");
        }
        // Only secrets have files.
        assert!(url(&["--names-file", path], &[]).is_err());
    }

    #[test]
    fn an_error_about_a_secret_names_its_file() {
        let parsed = Parsed { options: (), files: vec![("URL".to_owned(), "/run/url".to_owned())] };
        assert_eq!(parsed.with_file("URL: no"), "URL in /run/url: no");
        for other in ["URLS: no", "NAME: no", "URL"] {
            assert_eq!(parsed.with_file(other), other);
        }
    }

    #[test]
    fn errors_name_the_option() {
        assert!(parse(&[], &[("NUMBER", " x ")]).unwrap_err().contains("'x' for '--number <NUMBER>'"));
        assert!(parse(&["--unknown"], &[]).unwrap_err().contains("--unknown"));
        assert!(parse(&["--help"], &[]).unwrap_err().contains("[env: NUMBER="));
    }
}
