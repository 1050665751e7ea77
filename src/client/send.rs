//! `tiny-chat send`: posts one message, or each line of a text, and says what became of it.

use std::io::{self, BufRead, Read, Write};
use std::process::ExitCode;

use clap::Args;
use tokio::runtime::{self, Runtime};

use super::notices::complain;
use super::publisher::{PublishError, Publisher};
use super::request::parse_headers;
use super::target::{Header, Target, parse_header};

/// Every message was stored.
const STORED: u8 = 0;
/// The server refused one.
const REFUSED: u8 = 1;
/// The command line is wrong, or standard input cannot be read.
const USAGE: u8 = 2;
/// It is not known whether one was stored.
const UNKNOWN: u8 = 3;

/// What is read of one message: more than any server of ours takes.
const MAX_INPUT_BYTES: u64 = 1 << 20;

/// Options of `tiny-chat send`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// A room's address, or a room of the chat in TINY_CHAT_URL (`http://127.0.0.1:8080`)
    #[arg(value_name = "URL|ROOM", value_parser = Target::parse)]
    target: Target,

    /// The message [default: standard input, without the line break at its end]
    text: Option<String>,

    /// Who says it [default: Anonymous]
    #[arg(long, value_name = "NAME")]
    sender: Option<String>,

    /// The key by which the server knows the message again [default: a random one]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// Send this header, too; can be repeated
    #[arg(long = "header", value_name = "K: V", value_parser = parse_header)]
    headers: Vec<Header>,

    /// Send each line as a message of its own, as soon as it comes; blank lines are left out
    #[arg(long, conflicts_with = "key")]
    lines: bool,
}

/// Runs the command.
pub fn run(options: &Options) -> ExitCode {
    let code = Sender::new(options).and_then(|sender| sender.send_all(options)).unwrap_or_else(|why| {
        complain(&why);
        USAGE
    });
    code.into()
}

struct Sender {
    runtime: Runtime,
    publisher: Publisher,
}

impl Sender {
    fn new(options: &Options) -> Result<Self, String> {
        let headers = parse_headers(&options.headers)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let mut publisher = Publisher::to(options.target.room()?)?.headers(headers);
        if let Some(name) = &options.sender {
            publisher = publisher.sender(name);
        }
        Ok(Self { runtime, publisher })
    }

    /// Sends what the options say, up to the first message that is not known to be stored, and returns the exit code.
    fn send_all(&self, options: &Options) -> Result<u8, String> {
        let mut input: Box<dyn BufRead> = match &options.text {
            Some(text) => Box::new(text.as_bytes()),
            None => Box::new(io::stdin().lock()),
        };
        if !options.lines {
            let text = match &options.text {
                Some(text) => text.clone(),
                None => read_text(&mut input)?,
            };
            return Ok(self.send(&text, options.key.as_deref()));
        }
        while let Some(line) = read_line(&mut input)? {
            if !line.trim().is_empty() {
                let code = self.send(&line, None);
                if code != STORED {
                    return Ok(code);
                }
            }
        }
        Ok(STORED)
    }

    /// Sends one message, prints its id or says what is wrong, and returns the exit code.
    fn send(&self, text: &str, key: Option<&str>) -> u8 {
        match self.runtime.block_on(self.publisher.publish(text, key)) {
            Ok(id) => {
                // It is stored, even if the id cannot be written.
                let _ = writeln!(io::stdout(), "{id}");
                STORED
            }
            Err(error) => {
                complain(&error.to_string());
                if matches!(error, PublishError::Refused(_)) { REFUSED } else { UNKNOWN }
            }
        }
    }
}

/// Reads a whole text without the line break at its end.
fn read_text(input: &mut dyn BufRead) -> Result<String, String> {
    let mut bytes = Vec::new();
    input.take(MAX_INPUT_BYTES).read_to_end(&mut bytes).map_err(cannot_read)?;
    Ok(without_line_end(&bytes))
}

/// Reads a line without its line break.
fn read_line(input: &mut dyn BufRead) -> Result<Option<String>, String> {
    let mut bytes = Vec::new();
    input.take(MAX_INPUT_BYTES).read_until(b'\n', &mut bytes).map_err(cannot_read)?;
    Ok((!bytes.is_empty()).then(|| without_line_end(&bytes)))
}

fn cannot_read(error: io::Error) -> String {
    format!("Cannot read standard input: {error}")
}

fn without_line_end(bytes: &[u8]) -> String {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    String::from_utf8_lossy(bytes).into_owned()
}
