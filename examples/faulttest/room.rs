//! The readers and chatters of one run, in one room.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Url};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::{
    Failure,
    chatter::{Dialogues, Publisher, talk},
    ledger::{Ledger, SharedLedger},
    reader::Reader,
    script::{ANNOUNCER, PEOPLE},
};

/// The number of chatters in a conversation. As many conversations go on at once as there are chatters for.
const CHATTERS_PER_CONVERSATION: usize = 3;

/// How long a step of a run may take: a process that starts, readers that recover.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// The clients of a run, and the rate at which all chatters together post.
#[derive(Clone, Copy)]
pub struct Load {
    pub readers: usize,
    pub chatters: usize,
    pub messages_per_second: f64,
}

pub struct Room {
    pub ledger: SharedLedger,
    publisher: Publisher,
    readers: JoinSet<()>,
    conversations: JoinSet<()>,
    announcements: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Room {
    /// Opens all streams, and starts the conversations when every reader is live.
    ///
    /// # Errors
    /// When the readers do not become live.
    pub async fn open(url: &Url, load: Load) -> Result<Self, Failure> {
        let run = format!("w{:x}", rand::random::<u32>());
        let ledger: SharedLedger = Arc::new(watch::Sender::new(Ledger::new(&run, load.readers)));
        let publisher = Publisher::new(url.as_str(), &ledger)?;
        let (readers, stop) = (start_readers(url, load, &ledger)?, watch::Sender::new(false));
        let mut room = Self {
            ledger,
            publisher,
            readers,
            conversations: JoinSet::new(),
            announcements: JoinSet::new(),
            stop,
        };
        room.wait_until("live streams for all readers", Ledger::all_live).await?;
        room.start_conversations(load);
        Ok(room)
    }

    fn start_conversations(&mut self, load: Load) {
        let people: Vec<&str> = PEOPLE.into_iter().take(load.chatters).collect();
        let groups: Vec<_> = people.chunks(CHATTERS_PER_CONVERSATION).collect();
        let (pause, dialogues) =
            (Duration::from_secs_f64(groups.len() as f64 / load.messages_per_second), Dialogues::default());
        for group in groups {
            let (publisher, stop) = (self.publisher.clone(), self.stop.subscribe());
            self.conversations.spawn(talk(publisher, group.to_vec(), dialogues.clone(), pause, stop));
        }
    }

    /// Begins an act, and announces it in the room.
    pub fn begin_act(&mut self, name: &str) {
        self.ledger.send_modify(|ledger| ledger.begin_act(name));
        let (publisher, line) = (self.publisher.clone(), format!("— {name} —"));
        self.announcements.spawn(async move { publisher.publish(ANNOUNCER, &line).await });
    }

    /// Marks the action of the current act as done; the readers may recover from now on.
    pub fn act_done(&self) {
        self.ledger.send_modify(Ledger::act_done);
    }

    /// Waits until the ledger fulfils a condition.
    ///
    /// # Errors
    /// When that takes longer than `STEP_TIMEOUT`.
    pub async fn wait_until(&self, what: &str, mut condition: impl FnMut(&Ledger) -> bool) -> Result<(), Failure> {
        let mut changes = self.ledger.subscribe();
        match timeout(STEP_TIMEOUT, changes.wait_for(|ledger| condition(ledger))).await {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("{what} did not come within {} s", STEP_TIMEOUT.as_secs()).into()),
        }
    }

    /// Ends the conversations, waits until the readers have read the rest, and returns whether there was no fault.
    pub async fn close(mut self) -> bool {
        self.stop.send_replace(true);
        let finished = async {
            while self.conversations.join_next().await.is_some() {}
            while self.announcements.join_next().await.is_some() {}
        };
        let _ = timeout(STEP_TIMEOUT, finished).await;
        let _ = self.wait_until("the last messages", Ledger::is_complete).await;
        self.readers.shutdown().await;
        self.ledger.send_modify(Ledger::close);
        self.ledger.borrow().is_flawless()
    }
}

/// Starts the readers of a room. The first ones have the names of the chatters, and so are present.
fn start_readers(url: &Url, load: Load, ledger: &SharedLedger) -> Result<JoinSet<()>, Failure> {
    let mut stream = url.clone();
    stream.set_path(&format!("/subscribe{}", url.path()));
    let client = Client::builder().no_proxy().pool_max_idle_per_host(0).build()?;
    let mut readers = JoinSet::new();
    for number in 0..load.readers {
        let name = PEOPLE.into_iter().take(load.chatters).nth(number);
        readers.spawn(Reader::new(number, stream.as_str(), name, client.clone(), ledger).run());
    }
    Ok(readers)
}
