//! The readers and chatters of one run, in one room.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Url};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::{
    Failure,
    chatter::{Mouth, Topics, talk},
    reader::Reader,
    script::{PEOPLE, STAGE},
    tally::{Shared, Tally},
};

/// How many people talk with each other; as many conversations go on at once as there are people for.
const CIRCLE: usize = 3;

/// How long whatever has to come may take to come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How many read, how many talk, and how much they say per second, all together.
#[derive(Clone, Copy)]
pub struct Crowd {
    pub readers: usize,
    pub chatters: usize,
    pub rate: f64,
}

pub struct Room {
    pub tally: Shared,
    mouth: Mouth,
    readers: JoinSet<()>,
    talks: JoinSet<()>,
    announcements: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Room {
    /// Opens all streams, and when every reader is live, people begin to talk.
    pub async fn open(url: &Url, crowd: Crowd) -> Result<Self, Failure> {
        let run = format!("w{:x}", rand::random::<u32>());
        let tally: Shared = Arc::new(watch::Sender::new(Tally::new(&run, crowd.readers)));
        let mouth = Mouth::new(url.as_str(), &tally)?;
        let (readers, stop) = (read(url, crowd, &tally)?, watch::Sender::new(false));
        let mut room = Self { tally, mouth, readers, talks: JoinSet::new(), announcements: JoinSet::new(), stop };
        room.until("live streams for all readers", Tally::all_live).await?;
        room.begin(crowd);
        Ok(room)
    }

    fn begin(&mut self, crowd: Crowd) {
        let people: Vec<&str> = PEOPLE.into_iter().take(crowd.chatters).collect();
        let circles: Vec<_> = people.chunks(CIRCLE).collect();
        let (pause, topics) = (Duration::from_secs_f64(circles.len() as f64 / crowd.rate), Topics::default());
        for circle in circles {
            let (mouth, stop) = (self.mouth.clone(), self.stop.subscribe());
            self.talks.spawn(talk(mouth, circle.to_vec(), topics.clone(), pause, stop));
        }
    }

    /// Begins an act and says so in the room.
    pub fn act(&mut self, name: &str) {
        self.tally.send_modify(|tally| tally.begin(name));
        let (mouth, line) = (self.mouth.clone(), format!("— {name} —"));
        self.announcements.spawn(async move { mouth.say(STAGE, &line).await });
    }

    /// What the act was to do is done.
    pub fn done(&self) {
        self.tally.send_modify(Tally::done);
    }

    /// Waits for something in the tally; fails when it takes too long.
    pub async fn until(&self, what: &str, holds: impl FnMut(&Tally) -> bool) -> Result<(), Failure> {
        let mut changes = self.tally.subscribe();
        let mut holds = holds;
        match timeout(PATIENCE, changes.wait_for(|tally| holds(tally))).await {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("{what} did not come within {} s", PATIENCE.as_secs()).into()),
        }
    }

    /// Lets everybody finish, gives the readers time for the rest, and closes the books. Whether all was as promised.
    pub async fn close(mut self) -> bool {
        self.stop.send_replace(true);
        let finished = async {
            while self.talks.join_next().await.is_some() {}
            while self.announcements.join_next().await.is_some() {}
        };
        let _ = timeout(PATIENCE, finished).await;
        let _ = self.until("the last messages", Tally::is_complete).await;
        self.readers.shutdown().await;
        self.tally.send_modify(Tally::finish);
        self.tally.borrow().is_flawless()
    }
}

/// Where a room is read: `/subscribe` before its name.
fn read(url: &Url, crowd: Crowd, tally: &Shared) -> Result<JoinSet<()>, Failure> {
    let mut stream = url.clone();
    stream.set_path(&format!("/subscribe{}", url.path()));
    let client = Client::builder().no_proxy().pool_max_idle_per_host(0).build()?;
    let mut readers = JoinSet::new();
    for number in 0..crowd.readers {
        let name = PEOPLE.into_iter().take(crowd.chatters).nth(number);
        readers.spawn(Reader::new(number, stream.as_str(), name, client.clone(), tally).run());
    }
    Ok(readers)
}
