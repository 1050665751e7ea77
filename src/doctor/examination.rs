use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::asker::{self, Seen, Way};
use super::checks::{self, LATE, Resumed, Sent, ms};
use super::door::{Answer, Door, Place, plain};
use super::ear::{Ear, Tale};
use super::finding::Finding;
use super::report::Report;

/// Messages that are posted, and how far apart: far enough that a buffer cannot pass for a slow network.
const MESSAGES: usize = 4;
const APART: Duration = Duration::from_millis(300);

/// Connections that are opened side by side, so that a balancer shows all of its nodes.
const CONNECTIONS: usize = 8;

/// How long other readers of ours may still be told of as they leave, which is no silence.
const SETTLING: Duration = Duration::from_secs(3);

/// How long the words of a stream are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// An examination under way.
pub struct Examination<'a> {
    door: &'a Door,
    report: &'a mut Report,
    sent: Vec<Sent>,
    shared: bool,
    proxy: Option<String>,
}

impl<'a> Examination<'a> {
    /// An examination in which nothing has been asked yet.
    pub fn new(door: &'a Door, report: &'a mut Report) -> Self {
        Self { door, report, sent: Vec::new(), shared: true, proxy: None }
    }

    /// Asks everything, and reports what it finds.
    ///
    /// # Errors
    /// When there is nothing to examine, with the reason.
    pub async fn run(mut self, idle: Option<Duration>) -> Result<(), String> {
        self.reach().await?;
        let mut ear = self.open().await?;
        let began = ear.as_ref().map_or_else(Instant::now, |ear| ear.began);
        self.post(began).await;
        self.nodes().await;
        self.repeat().await;
        if ear.is_some() {
            self.resume(began).await;
        }
        self.clients().await;
        match &mut ear {
            Some(ear) => self.listen(ear, idle).await,
            None => self.report.tell(checks::held_back()),
        }
        Ok(())
    }

    /// Whether a tiny-chat is there.
    async fn reach(&mut self) -> Result<(), String> {
        let answer = self.door.history(None).await?;
        self.proxy = answer.proxy();
        if let Some(elsewhere) = answer.elsewhere() {
            return Err(format!("it sends us on; examine {} instead", plain(elsewhere)));
        }
        match (answer.status, answer.text("last"), answer.text("detail")) {
            (200, Some(_), _) => {}
            (503, _, Some(detail)) => return Err(format!("a node answers, but: {}", plain(detail))),
            (status, ..) => return Err(format!("no tiny-chat answers there: /history is {status}{}", by(&self.proxy))),
        }
        self.report.tell(Finding::good("reachable", format!("a tiny-chat answers{}", by(&self.proxy))));
        Ok(())
    }

    /// Opens the stream that everything is heard on; `None` if not even its head comes.
    async fn open(&mut self) -> Result<Option<Ear>, String> {
        let Some(mut ear) = self.door.stream(Place::Fresh, "gzip, br").await? else {
            return Ok(None);
        };
        if !ear.head.is_stream() {
            return Err(format!("/subscribe gives no event stream, but {} {}", ear.head.status, plain(&ear.head.kind)));
        }
        self.report.tell(checks::version(ear.head.version, self.door.is_secure()));
        checks::head(&ear.head).into_iter().for_each(|finding| self.report.tell(finding));
        if !ear.head.coding.is_empty() {
            match self.door.stream(Place::Fresh, "identity").await? {
                Some(readable) => ear = readable,
                None => return Ok(None),
            }
        }
        self.greeting(&mut ear).await?;
        Ok(Some(ear))
    }

    /// The first words of the stream.
    async fn greeting(&mut self, ear: &mut Ear) -> Result<(), String> {
        let enough = |tale: &Tale| tale.event("status").is_some() || tale.end.is_some();
        ear.until(Instant::now() + PATIENCE, enough).await;
        self.status(&ear.tale)?;
        self.report.tell(checks::opening(&ear.tale));
        Ok(())
    }

    /// Whether the node is in a state to be examined.
    fn status(&mut self, tale: &Tale) -> Result<(), String> {
        if let Some(why) = tale.event("backoff") {
            return Err(format!("the node sends readers away: {}", why["reason"]));
        }
        if tale.event("status").is_some_and(|status| status["live"] == false) {
            self.report.tell(Finding::broken("Redis", "the node does not hear its Redis: see its log"));
        }
        Ok(())
    }

    async fn post(&mut self, began: Instant) {
        for number in 1..=MESSAGES {
            match self.send(began, number).await {
                Ok(sent) => self.sent.push(sent),
                Err(why) => {
                    self.report.tell(Finding::broken("posts", format!("message {number} was not taken: {why}")));
                    return;
                }
            }
            sleep(APART).await;
        }
        self.report.tell(Finding::good("posts", format!("{MESSAGES} messages were acknowledged")));
    }

    async fn send(&self, began: Instant, number: usize) -> Result<Sent, String> {
        let answer = self.door.post(&format!("examination, message {number}"), &self.key(number)).await?;
        match (answer.status, answer.text("id")) {
            (200, Some(id)) => Ok(Sent { id: plain(id), acked: began.elapsed() }),
            (status, _) => Err(format!("{status} {}", plain(answer.text("detail").unwrap_or_default()))),
        }
    }

    /// The same for the same message of this room, whenever it is asked for.
    fn key(&self, number: usize) -> String {
        format!("{}-{number}", self.report.run())
    }

    /// Looks through several connections at once for the nodes, and for a message in each of their logs.
    async fn nodes(&mut self) {
        let names =
            join_all((0..CONNECTIONS).map(|_| self.node())).await.into_iter().flatten().collect::<BTreeSet<_>>();
        let Some(first) = self.sent.first() else { return };
        let answers = join_all((0..CONNECTIONS).map(|_| self.door.history(Some(&first.id)))).await;
        let answers: Vec<Answer> =
            answers.into_iter().flatten().filter(|answer| matches!(answer.status, 200 | 404)).collect();
        let found = answers.iter().filter(|answer| answer.status == 200).count();
        self.shared = found == answers.len();
        self.report.tell(checks::nodes(&names, found, answers.len()));
    }

    /// The name of the node that a new connection leads to.
    async fn node(&self) -> Option<String> {
        let mut ear = self.door.stream(Place::Fresh, "identity").await.ok()??;
        ear.until(Instant::now() + 2 * LATE, |tale| tale.event("status").is_some()).await;
        Some(plain(ear.tale.event("status")?["node"].as_str()?))
    }

    async fn repeat(&mut self) {
        let Some(first) = self.sent.first() else { return };
        let answer = self.door.post("examination, message 1", &self.key(1)).await;
        let answer = answer.as_ref().ok();
        let duplicate = answer.is_some_and(|answer| answer.json["duplicate"] == true);
        self.report
            .tell(checks::repeated(&first.id, answer.and_then(|answer| answer.text("id")), duplicate));
    }

    async fn resume(&mut self, began: Instant) {
        let finding = self.resumed(began).await;
        self.report
            .tell(finding.unwrap_or_else(|why| Finding::note("resume", format!("cannot be told: {why}"))));
    }

    /// Comes back as a reader that has the second message, and hears the later ones and one more.
    async fn resumed(&mut self, began: Instant) -> Result<Finding, String> {
        let asked = self
            .sent
            .get(1)
            .filter(|_| self.shared)
            .ok_or("there are no messages that all nodes have")?
            .id
            .clone();
        let header = self.come_back(Place::Header(&asked)).await?;
        let query = self.come_back(Place::Query(&asked)).await?;
        let last = self.send(began, MESSAGES + 1).await.map_err(|why| format!("a post was not taken: {why}"))?;
        let (header, query) = (heard(header, &last.id).await, heard(query, &last.id).await);
        self.sent.push(last);
        if header.place.is_none() {
            return Err("the second stream did not say where it begins".to_owned());
        }
        let later: Vec<_> = self.sent.iter().skip(2).map(|sent| sent.id.clone()).collect();
        Ok(checks::resume(&asked, &later, &header, &query))
    }

    async fn come_back(&self, place: Place<'_>) -> Result<Ear, String> {
        self.door.stream(place, "identity").await?.ok_or_else(|| "no second stream came".to_owned())
    }

    async fn clients(&mut self) {
        let (honest, forged) = (self.door.health(false).await, self.door.health(true).await);
        let own = honest.as_ref().ok().and_then(Answer::own_address);
        let tls = || self.door.is_secure().then(|| "whoever speaks TLS here".to_owned());
        let way = Way { proxy: self.proxy.clone().or_else(tls), own };
        let seen = |answer: Result<Answer, String>| Seen::of(&answer.ok()?);
        self.report.tell(asker::clients(seen(honest).as_ref(), seen(forged).as_ref(), &way));
    }

    /// Says nothing any more and listens, until two heartbeats were due.
    async fn listen(&mut self, ear: &mut Ear, idle: Option<Duration>) {
        let said = ear.tale.event("status").and_then(|status| status["heartbeat"].as_u64());
        let heartbeat = Duration::from_secs(said.unwrap_or(15).clamp(1, 60));
        let idle = idle.unwrap_or(2 * heartbeat + SETTLING);
        self.report.say(&format!("… listening in silence for {}", ms(idle)));
        ear.listen(Instant::now() + idle).await;
        let heard = ear.began.elapsed();
        self.report.tell(checks::idle(&ear.tale, heard));
        self.report.tell(checks::heartbeats(&ear.tale, heartbeat, heard));
        self.report.tell(checks::delivery(&ear.tale, &self.sent, self.shared));
    }
}

/// What a stream says until a message comes.
async fn heard(mut ear: Ear, last: &str) -> Resumed {
    ear.until(Instant::now() + 2 * LATE, |tale| tale.arrival(last).is_some()).await;
    let opening = ear.tale.blocks.iter().find(|(_, block)| block.retry);
    Resumed {
        place: opening.and_then(|(_, block)| block.id.clone()),
        ids: ear.tale.messages().map(|(_, id)| plain(id)).collect(),
    }
}

fn by(proxy: &Option<String>) -> String {
    proxy.as_ref().map_or_else(String::new, |proxy| format!(" by way of {proxy}"))
}
