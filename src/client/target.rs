//! What a command is pointed at, and the values of its options.

use std::time::Duration;

use reqwest::Url;

use super::request::parse_headers;
use crate::chat::{RoomName, Rooms};

/// The chat whose rooms are meant where no URL is given.
const CHAT_VARIABLE: &str = "TINY_CHAT_URL";

const DEFAULT_CHAT: &str = "http://127.0.0.1:8080";

/// A URL, or rooms of the chat in `TINY_CHAT_URL`.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Url(Url),
    Rooms(Rooms),
}

/// A header that the user adds to the requests.
pub(super) type Header = (String, String);

impl Target {
    /// Parses the argument of a command: what has no scheme is rooms.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return parse_url(text).map(Self::Url);
        }
        Rooms::from_path(text)
            .map(Self::Rooms)
            .map_err(|why| format!("{why} What is no room is a URL, with http://."))
    }

    /// Returns the address of the stream.
    pub(super) fn stream(&self) -> Result<Url, String> {
        match self {
            Self::Url(url) => Ok(url.clone()),
            Self::Rooms(rooms) => {
                let names: Vec<String> = rooms.iter().map(|room| room.path()[1..].to_owned()).collect();
                below_chat(&format!("/subscribe/{}", names.join(",")))
            }
        }
    }

    /// Returns the address of the room, to which messages are posted.
    pub(super) fn room(&self) -> Result<Url, String> {
        match self {
            Self::Url(url) => Ok(url.clone()),
            Self::Rooms(rooms) => match &rooms[..] {
                [room] => below_chat(&RoomName::path(room)),
                _ => Err("a message goes to one room".to_owned()),
            },
        }
    }
}

/// Returns an address below that of the chat.
fn below_chat(path: &str) -> Result<Url, String> {
    let chat = std::env::var(CHAT_VARIABLE).unwrap_or_default();
    let chat = Some(chat.trim()).filter(|chat| !chat.is_empty()).unwrap_or(DEFAULT_CHAT);
    let mut url = parse_url(chat).map_err(|why| format!("{CHAT_VARIABLE}: {why}"))?;
    url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
    Ok(url)
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is not a URL: {error}"))?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err(format!("{text:?} is not a URL of HTTP"))
    }
}

/// Parses the option `--header 'K: V'`.
pub(super) fn parse_header(text: &str) -> Result<Header, String> {
    let (name, value) = text.split_once(':').ok_or("a header is written as 'Name: value'")?;
    let header = (name.to_owned(), value.trim().to_owned());
    parse_headers(std::slice::from_ref(&header)).map(|_| header)
}

/// Parses a number of seconds, which may be a fraction.
pub(super) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "this is not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
