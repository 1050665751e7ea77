//! Reads options from flags and the environment. White space around a value does not count, and an empty value is none:
//! a secret in a file ends with a line break, and platforms set variables to nothing.

use std::env;
use std::ffi::{OsStr, OsString};

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, Error, FromArgMatches};

/// Parses the arguments and the environment of this process. If they cannot be parsed, or only help is asked for, prints
/// that and ends the process.
pub fn parse<C: CommandFactory + FromArgMatches>() -> C {
    parse_from(env::args_os().collect(), |variable| env::var_os(variable)).unwrap_or_else(|error| error.exit())
}

fn parse_from<C: CommandFactory + FromArgMatches>(
    arguments: Vec<OsString>,
    variable: impl Fn(&OsStr) -> Option<OsString>,
) -> Result<C, Error> {
    // First only which flags there are, with any value and without the environment.
    let any_value = |arg: Arg| {
        if arg.get_action().takes_values() {
            arg.env(Resettable::Reset).value_parser(clap::value_parser!(OsString))
        } else {
            arg
        }
    };
    let command = || C::command().mut_subcommands(|command| without_empty_variables(command, &variable));
    let given = match command().mut_args(any_value).try_get_matches_from(&arguments) {
        Ok(given) if given.subcommand_name().is_none() => given,
        Ok(_) => {
            // A command of its own is not concerned by the variables of a node, valid or not.
            let command = command().mut_args(|arg| arg.env(Resettable::Reset));
            return C::from_arg_matches(&command.try_get_matches_from(arguments)?);
        }
        Err(error) if error.kind() != ErrorKind::DisplayHelp => return Err(error),
        // Help shows the variables and the values.
        Err(_) => return C::from_arg_matches(&C::command().try_get_matches_from(arguments)?),
    };
    let mut cleaned = vec![arguments.into_iter().next().unwrap_or_default()];
    for arg in C::command().get_arguments() {
        if let Some(flag) = arg.get_long() {
            let values = values_of(arg, &given, &variable);
            cleaned.extend(values.iter().filter_map(|value| trimmed(value)).map(|value| with_value(flag, value)));
        }
    }
    C::from_arg_matches(&C::command().mut_args(|arg| arg.env(Resettable::Reset)).try_get_matches_from(cleaned)?)
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
    let id = arg.get_id().as_str();
    let is_flag = arg.get_action().takes_values() && given.value_source(id) == Some(ValueSource::CommandLine);
    if is_flag && let Some(values) = given.get_raw(id) {
        return values.map(OsStr::to_owned).collect();
    }
    arg.get_env().and_then(variable).into_iter().collect()
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
        #[arg(long, env = "URL")]
        url: Option<String>,
    }

    fn parse(arguments: &[&str], environment: &[(&str, &str)]) -> Result<(u8, String, Option<String>), String> {
        let arguments = ["program"].iter().chain(arguments).map(OsString::from).collect();
        let variable =
            |name: &OsStr| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        let options: Options = parse_from(arguments, variable).map_err(|error| error.to_string())?;
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
    fn errors_name_the_option() {
        assert!(parse(&[], &[("NUMBER", " x ")]).unwrap_err().contains("'x' for '--number <NUMBER>'"));
        assert!(parse(&["--unknown"], &[]).unwrap_err().contains("--unknown"));
        assert!(parse(&["--help"], &[]).unwrap_err().contains("[env: NUMBER="));
    }
}
