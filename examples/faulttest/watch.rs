//! `faulttest watch`: posts to a running chat and reads it, while another program acts on the chat and names its acts.

use clap::Args;
use reqwest::Url;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

use crate::{
    Failure, interrupted,
    room::{Load, Room},
    screen::Screen,
};

#[derive(Args)]
pub struct Options {
    /// URL of the room, as a browser opens it
    #[arg(value_name = "URL", value_parser = parse_room)]
    url: Url,

    /// Number of readers
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    readers: u16,

    /// Number of chatters
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u8).range(1..=12))]
    chatters: u8,

    /// Messages per second of all chatters together
    #[arg(long, default_value_t = 3.0)]
    rate: f64,
}

fn parse_room(text: &str) -> Result<Url, String> {
    let mut url: Url = text.parse().map_err(|_| "not a URL")?;
    if url.scheme() != "http" {
        return Err("only http:// is supported".to_owned());
    }
    if url.path() == "/" {
        url.set_path("/everyone");
    }
    Ok(url)
}

/// Runs until standard input ends or a signal comes, and returns whether there was no fault. On standard input, the
/// line `mark NAME` begins an act, which gets a row of the table, and `done` says that its action is done.
pub async fn run(options: Options) -> Result<bool, Failure> {
    let (readers, chatters) = (options.readers.into(), options.chatters.into());
    let mut room = Room::open(&options.url, Load { readers, chatters, messages_per_second: options.rate }).await?;
    let screen = Screen::start(&format!("{readers} readers and {chatters} chatters in {}", options.url), &room.ledger);
    tokio::select! {
        ended = read_acts(&mut room) => ended?,
        ended = interrupted() => ended?,
    }
    let flawless = room.close().await;
    screen.end().await;
    Ok(flawless)
}

async fn read_acts(room: &mut Room) -> Result<(), Failure> {
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match line.trim().split_once(' ') {
            Some(("mark", name)) => room.begin_act(name.trim()),
            None if line.trim() == "done" => room.act_done(),
            _ => return Err(format!("not `mark NAME` or `done`: {line:?}").into()),
        }
    }
    Ok(())
}
