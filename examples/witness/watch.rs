//! `witness watch`: reads and speaks in a chat that runs already, while somebody else does things to it and says what.

use clap::Args;
use reqwest::Url;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

use crate::{
    Failure, interrupted,
    room::{Crowd, Room},
    screen::Screen,
};

#[derive(Args)]
pub struct Options {
    /// The room, as a browser opens it
    #[arg(value_name = "URL", value_parser = room)]
    url: Url,

    /// How many read
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    readers: u16,

    /// How many talk
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u8).range(1..=12))]
    chatters: u8,

    /// Messages per second, of all together
    #[arg(long, default_value_t = 3.0)]
    rate: f64,
}

fn room(text: &str) -> Result<Url, String> {
    let mut url: Url = text.parse().map_err(|_| "not a URL")?;
    if url.scheme() != "http" {
        return Err("only plain HTTP is spoken here".to_owned());
    }
    if url.path() == "/" {
        url.set_path("/everyone");
    }
    Ok(url)
}

/// Until standard input ends or a signal comes. There, `mark NAME` says that something begins to be done, and `done`
/// that it is done; what stands in between has its own row.
pub async fn run(options: Options) -> Result<bool, Failure> {
    let (readers, chatters) = (options.readers.into(), options.chatters.into());
    let mut room = Room::open(&options.url, Crowd { readers, chatters, rate: options.rate }).await?;
    let screen = Screen::start(&format!("{readers} readers and {chatters} chatters in {}", options.url), &room.tally);
    tokio::select! {
        marked = follow(&mut room) => marked?,
        ended = interrupted() => ended?,
    }
    let flawless = room.close().await;
    screen.end().await;
    Ok(flawless)
}

async fn follow(room: &mut Room) -> Result<(), Failure> {
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match line.trim().split_once(' ') {
            Some(("mark", name)) => room.act(name.trim()),
            None if line.trim() == "done" => room.done(),
            _ => return Err(format!("neither `mark NAME` nor `done`: {line:?}").into()),
        }
    }
    Ok(())
}
