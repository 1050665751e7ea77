//! Which server is the master, from what the Sentinels say.
//!
//! It is the one that more than half of them name. But a master that was replaced takes writes for another 10 s, and they
//! are lost: so from the first word of another master on, there is none until more than half name the new one, or name
//! the old one for long enough that this one word is not believed.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::bus::redis::url::Address;

/// How long one Sentinel's word can hold up everything.
const DOUBT_TIMEOUT: Duration = Duration::from_secs(2);

/// For how long an old master may say that it still is one, if too few Sentinels answer to ask them. They demote it after
/// 10 s.
const DEMOTION_TIMEOUT: Duration = Duration::from_secs(13);

/// The pause before a server is asked for its role again. It doubles each time.
const ROLE_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_ROLE_PAUSE: Duration = Duration::from_millis(1500);

/// How often a Sentinel can be wrong before its word alone holds up nothing any more.
const MAX_STRIKES: u32 = 3;

/// A master that a Sentinel names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Where it is, as the Sentinel spells that.
    pub address: Address,
    /// The addresses of its host, as far as they are known.
    pub ips: Vec<IpAddr>,
    /// The epoch of the Sentinel's configuration: it grows with each failover.
    pub epoch: u64,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before something is said, or before this time.
    Wait(Option<Instant>),
    /// Ask this server for its role.
    AskRole(Named),
    /// It is the master.
    Follow(Named),
    /// It still is the master: that another one was named is not believed.
    FollowStill(Named),
}

/// The judgement over some Sentinels.
pub struct Judge {
    sentinels: Vec<Sentinel>,
    /// Answers to questions of a round before are too old.
    round: u64,
    /// The master, or the last one while in doubt.
    master: Option<Named>,
    /// Since when there is a doubt about it.
    doubt: Option<Instant>,
    /// The server whose role was master before the answers of this round were asked for.
    verified: Option<Named>,
    /// The server whose role was not master, until when it is not asked again, and the last pause.
    failed: Option<(Named, Instant, Duration)>,
}

#[derive(Default)]
struct Sentinel {
    answer: Option<Named>,
    /// The master that it has named against the others.
    claim: Option<Claim>,
    /// The last claim that was not believed.
    disbelieved: Option<Named>,
    strikes: u32,
}

struct Claim {
    named: Named,
    /// Whether the server says that it is a master, if it was asked.
    is_master: Option<bool>,
    /// Whether the Sentinel has only said that it is about to make it one.
    is_plan: bool,
}

impl Named {
    /// Returns true if both are the same server, however it is spelled.
    fn is(&self, other: &Self) -> bool {
        match (&self.address, &other.address) {
            (Address::Tcp(host, port), Address::Tcp(other_host, other_port)) => {
                port == other_port && (host == other_host || self.ips.iter().any(|ip| other.ips.contains(ip)))
            }
            (address, other) => address == other,
        }
    }
}

impl Judge {
    /// Begins with no master.
    pub fn new(sentinels: usize) -> Self {
        Self {
            sentinels: (0..sentinels).map(|_| Sentinel::default()).collect(),
            round: 0,
            master: None,
            doubt: None,
            verified: None,
            failed: None,
        }
    }

    /// Returns the round in which a question is asked now.
    pub fn round(&self) -> u64 {
        self.round
    }

    /// Returns true if there is a master now.
    pub fn is_sure(&self) -> bool {
        self.master.is_some() && self.doubt.is_none()
    }

    /// Returns how many Sentinels have answered.
    pub fn answering(&self) -> usize {
        self.sentinels.iter().filter(|sentinel| sentinel.answer.is_some()).count()
    }

    /// Takes the answer to a question of a round; `None` if there is none. Returns true if there is no master from now on.
    pub fn on_answer(&mut self, sentinel: usize, round: u64, named: Option<Named>, now: Instant) -> bool {
        let was_sure = self.is_sure();
        if round < self.round && named.is_some() {
            return false;
        }
        if let Some(of) = self.sentinels.get_mut(sentinel) {
            of.answer.clone_from(&named);
        }
        let is_newer = |named: &Named| self.master.as_ref().is_some_and(|master| named.epoch > master.epoch);
        if let Some(named) = named.filter(is_newer) {
            self.claim(sentinel, named, now);
        }
        if let (None, Some(winner), Some(master)) = (&self.doubt, self.winner(), &mut self.master) {
            if winner.is(master) {
                master.epoch = winner.epoch;
            } else {
                self.begin_doubt(now);
            }
        }
        was_sure && !self.is_sure()
    }

    /// Takes the word of a Sentinel that it is about to make a server the master: what the old one takes from now on may be
    /// lost. Returns true if there is none from now on.
    pub fn on_plan(&mut self, sentinel: usize, named: Named, now: Instant) -> bool {
        let was_sure = self.is_sure();
        self.claim_as(sentinel, Claim { named, is_master: Some(true), is_plan: true }, now);
        was_sure && !self.is_sure()
    }

    /// Takes the word of a Sentinel that there is another master. Returns true if there is none from now on.
    pub fn on_switch(&mut self, sentinel: usize, named: Named, now: Instant) -> bool {
        let was_sure = self.is_sure();
        if self.master.is_none() {
            self.begin_round(None);
        }
        self.claim(sentinel, named, now);
        was_sure && !self.is_sure()
    }

    fn claim(&mut self, sentinel: usize, named: Named, now: Instant) {
        self.claim_as(sentinel, Claim { named, is_master: None, is_plan: false }, now);
    }

    fn claim_as(&mut self, sentinel: usize, claim: Claim, now: Instant) {
        let Some(of) = self.sentinels.get_mut(sentinel) else {
            return;
        };
        let is_believed =
            of.strikes < MAX_STRIKES && !of.disbelieved.as_ref().is_some_and(|known| known.is(&claim.named));
        let is_master = self.master.as_ref().is_none_or(|master| master.is(&claim.named));
        // One claim at a time: who makes another each second must not prolong the doubt.
        let had_plan = of.claim.as_ref().is_some_and(|known| known.is_plan && !claim.is_plan);
        if is_believed && !is_master && (of.claim.is_none() || had_plan) {
            of.claim = Some(claim);
            self.doubt = self.doubt.take_if(|_| !had_plan);
            self.begin_doubt(now);
        }
    }

    fn begin_doubt(&mut self, now: Instant) {
        if self.doubt.is_none() {
            self.doubt = Some(now);
            self.begin_round(None);
        }
    }

    /// From now on only answers to questions that come later count.
    fn begin_round(&mut self, verified: Option<Named>) {
        self.round += 1;
        self.verified = verified;
        self.sentinels.iter_mut().for_each(|sentinel| sentinel.answer = None);
    }

    /// Returns true if more than half name this server.
    pub fn is_named_by_most(&self, server: &Named) -> bool {
        self.winner().is_some_and(|winner| winner.is(server))
    }

    /// Takes what a server has said of its role.
    pub fn on_role(&mut self, server: &Named, is_master: bool, now: Instant) {
        for sentinel in &mut self.sentinels {
            let claim = sentinel.claim.as_mut().filter(|claim| !claim.is_plan && claim.named.is(server));
            if let Some(claim) = claim {
                claim.is_master = Some(is_master);
            }
        }
        if !is_master {
            let last = self.failed.take().filter(|(failed, ..)| failed.is(server)).map(|(.., pause)| pause * 2);
            let pause = last.unwrap_or(ROLE_PAUSE).min(LONGEST_ROLE_PAUSE);
            self.failed = Some((server.clone(), now + pause, pause));
        } else if self.winner().is_none_or(|winner| winner.is(server)) {
            // The Sentinels may have changed their minds since then.
            self.begin_round(Some(server.clone()));
        }
    }

    /// Returns the master that more than half name, with the lowest of their epochs.
    fn winner(&self) -> Option<Named> {
        let oldest = self.master.as_ref().map_or(0, |master| master.epoch);
        let answers = self.sentinels.iter().filter_map(|sentinel| sentinel.answer.as_ref());
        let answers: Vec<&Named> = answers.filter(|named| named.epoch >= oldest).collect();
        let supporters = |named: &Named| answers.iter().filter(|other| other.is(named)).count();
        let winner = answers.iter().find(|named| supporters(named) > self.sentinels.len() / 2)?;
        let epoch = answers.iter().filter(|named| named.is(winner)).map(|named| named.epoch).min()?;
        Some(Named { epoch, ..(*winner).clone() })
    }

    /// Returns what is to be done now.
    pub fn step(&mut self, now: Instant) -> Step {
        if self.is_sure() {
            return Step::Wait(None);
        }
        let winner = self.winner();
        if let (None, Some(winner)) = (&self.master, &winner) {
            self.contest(winner, now);
        }
        match (&self.doubt, &self.master, winner) {
            (Some(since), Some(old), Some(winner)) if winner.is(old) => {
                let ends = *since + DOUBT_TIMEOUT;
                if now < ends && !self.is_refuted() {
                    return self.unasked_claim().map_or(Step::Wait(Some(ends)), Step::AskRole);
                }
                self.ask_or_follow(winner, now)
            }
            (_, _, Some(winner)) => self.ask_or_follow(winner, now),
            (Some(since), Some(old), None) => {
                let ends = *since + DEMOTION_TIMEOUT;
                match self.unasked_claim() {
                    Some(claim) => Step::AskRole(claim),
                    None if now >= ends && self.is_undisputed() => self.ask_or_follow(old.clone(), now),
                    None => Step::Wait(Some(ends).filter(|ends| *ends > now)),
                }
            }
            (_, _, None) => Step::Wait(None),
        }
    }

    /// At the start a Sentinel may know of a newer master already than most do.
    fn contest(&mut self, winner: &Named, now: Instant) {
        let is_newer = |named: &&Named| named.epoch > winner.epoch && !named.is(winner);
        let claims: Vec<Option<Named>> =
            self.sentinels.iter().map(|sentinel| sentinel.answer.as_ref().filter(is_newer).cloned()).collect();
        if claims.iter().any(Option::is_some) && self.verified.is_none() {
            self.master = Some(winner.clone());
            for (sentinel, claim) in claims.into_iter().enumerate() {
                claim.into_iter().for_each(|named| self.claim(sentinel, named, now));
            }
        }
    }

    fn ask_or_follow(&mut self, server: Named, now: Instant) -> Step {
        if self.verified.as_ref().is_some_and(|verified| verified.is(&server)) {
            return self.follow(server);
        }
        match &self.failed {
            Some((failed, until, _)) if failed.is(&server) && now < *until => Step::Wait(Some(*until)),
            _ => Step::AskRole(server),
        }
    }

    fn follow(&mut self, server: Named) -> Step {
        let is_still = self.doubt.is_some() && self.master.as_ref().is_some_and(|master| master.is(&server));
        for sentinel in &mut self.sentinels {
            let claim = sentinel.claim.take();
            if is_still {
                sentinel.strikes += u32::from(claim.is_some());
                let claim = claim.filter(|claim| !claim.is_plan);
                sentinel.disbelieved = claim.map(|claim| claim.named).or(sentinel.disbelieved.take());
            } else if sentinel.answer.as_ref().is_some_and(|named| named.is(&server)) {
                (sentinel.strikes, sentinel.disbelieved) = (0, None);
            }
        }
        // The spelling stays, so that the connections do.
        let master = match self.master.take().filter(|_| is_still) {
            Some(master) => Named { epoch: master.epoch.max(server.epoch), ..master },
            None => server,
        };
        (self.master, self.doubt, self.verified, self.failed) = (Some(master.clone()), None, None, None);
        if is_still { Step::FollowStill(master) } else { Step::Follow(master) }
    }

    /// Returns true if no server that is claimed to be the master says so.
    fn is_refuted(&self) -> bool {
        let mut claims = self.claims().peekable();
        claims.peek().is_some() && claims.all(|claim| claim.is_master == Some(false))
    }

    /// Returns true if no Sentinel names another master.
    fn is_undisputed(&self) -> bool {
        let names_other = |named: &Named| self.master.as_ref().is_none_or(|master| !master.is(named));
        !self.sentinels.iter().filter_map(|sentinel| sentinel.answer.as_ref()).any(names_other)
    }

    fn unasked_claim(&self) -> Option<Named> {
        self.claims().find(|claim| claim.is_master.is_none()).map(|claim| claim.named.clone())
    }

    fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.sentinels.iter().filter_map(|sentinel| sentinel.claim.as_ref())
    }
}

#[cfg(test)]
mod tests;
