use super::*;

const A: u16 = 7000;
const B: u16 = 7001;
const C: u16 = 7002;

fn named(port: u16, epoch: u64) -> Named {
    let address = Address::tcp("10.0.0.1", port);
    Named { address, ips: vec![[10, 0, 0, 1].into()], epoch }
}

/// Three Sentinels, whose words are told to a judge, and a clock.
struct Trial {
    judge: Judge,
    now: Instant,
    /// The servers whose role is master.
    masters: Vec<u16>,
    asked: Vec<u16>,
}

impl Trial {
    /// Begins before anything was said.
    fn new() -> Self {
        Self { judge: Judge::new(3), now: Instant::now(), masters: vec![A, B, C], asked: Vec::new() }
    }

    /// Begins with all naming A, in epoch 1.
    fn of_a() -> Self {
        let mut trial = Self::new();
        assert_eq!(trial.settle(&[(A, 1), (A, 1), (A, 1)]), Some(A));
        trial.asked.clear();
        trial
    }

    fn answer(&mut self, sentinel: usize, port: u16, epoch: u64) -> bool {
        self.judge.on_answer(sentinel, self.judge.round(), Some(named(port, epoch)), self.now)
    }

    fn switch(&mut self, sentinel: usize, port: u16) -> bool {
        self.judge.on_switch(sentinel, named(port, 0), self.now)
    }

    /// Has the Sentinels answer until nothing more is to be done, and returns the master. Port 0 is no answer.
    fn settle(&mut self, answers: &[(u16, u64)]) -> Option<u16> {
        for _ in 0..10 {
            for (sentinel, (port, epoch)) in answers.iter().enumerate() {
                if *port == 0 {
                    self.judge.on_answer(sentinel, self.judge.round(), None, self.now);
                } else {
                    self.answer(sentinel, *port, *epoch);
                }
            }
            if let Step::AskRole(server) = self.judge.step(self.now) {
                let Address::Tcp(_, port) = server.address else {
                    panic!("{server:?}")
                };
                self.asked.push(port);
                self.judge.on_role(&server, self.masters.contains(&port), self.now);
            }
        }
        self.master()
    }

    fn master(&self) -> Option<u16> {
        let master = self.judge.master.as_ref().filter(|_| self.judge.is_sure())?;
        match master.address {
            Address::Tcp(_, port) => Some(port),
            Address::Unix(_) => None,
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

#[test]
fn master_is_what_more_than_half_of_the_listed_name() {
    for (answers, master) in [
        ([(A, 1), (A, 1), (0, 0)], Some(A)),
        ([(A, 1), (0, 0), (0, 0)], None),
        ([(A, 1), (B, 1), (0, 0)], None),
        ([(A, 1), (B, 1), (B, 1)], Some(B)),
        ([(0, 0), (0, 0), (0, 0)], None),
    ] {
        assert_eq!(Trial::new().settle(&answers), master, "{answers:?}");
    }
    let mut of_four = Trial { judge: Judge::new(4), ..Trial::new() };
    assert_eq!(of_four.settle(&[(A, 1), (A, 1), (B, 1), (B, 1)]), None);
    assert_eq!(of_four.settle(&[(A, 1), (A, 1), (A, 1), (B, 1)]), Some(A));
}

#[test]
fn server_whose_role_is_not_master_is_not_followed() {
    let mut trial = Trial { masters: vec![], ..Trial::new() };
    assert_eq!(trial.settle(&[(A, 1); 3]), None);
    trial.masters = vec![A];
    assert_eq!(trial.settle(&[(A, 1); 3]), None, "it is not asked again at once");
    trial.pass(ROLE_PAUSE);
    assert_eq!(trial.settle(&[(A, 1); 3]), Some(A));
}

#[test]
fn sentinels_are_asked_again_after_the_role() {
    let mut trial = Trial::new();
    for sentinel in 0..3 {
        trial.answer(sentinel, A, 1);
    }
    let old = trial.judge.round();
    assert_eq!(trial.judge.step(trial.now), Step::AskRole(named(A, 1)));
    trial.judge.on_role(&named(A, 1), true, trial.now);
    for sentinel in 0..3 {
        trial.judge.on_answer(sentinel, old, Some(named(A, 1)), trial.now);
    }
    assert_eq!(trial.judge.step(trial.now), Step::Wait(None), "these were asked before");
    trial.answer(0, A, 1);
    trial.answer(1, A, 1);
    assert_eq!(trial.judge.step(trial.now), Step::Follow(named(A, 1)));
}

#[test]
fn first_word_of_a_switch_ends_the_old_master_at_once() {
    let mut trial = Trial::of_a();
    assert!(trial.switch(2, B));
    assert_eq!(trial.master(), None);
    assert!(!trial.switch(1, B), "it has ended already");
    assert_eq!(trial.settle(&[(A, 1), (A, 1), (B, 2)]), None);
    assert_eq!(trial.settle(&[(A, 1), (B, 2), (B, 2)]), Some(B));
    assert!(!trial.switch(0, B), "the same word, late");
    assert_eq!(trial.settle(&[(A, 1), (B, 2), (B, 2)]), Some(B), "one that does not know yet");
}

#[test]
fn newer_answer_ends_the_old_master_at_once() {
    let mut trial = Trial::of_a();
    assert!(trial.answer(2, B, 2));
    assert_eq!(trial.settle(&[(B, 2), (A, 1), (B, 2)]), Some(B));
}

#[test]
fn answers_from_before_the_switch_change_nothing() {
    let mut trial = Trial::of_a();
    let before = trial.judge.round();
    trial.switch(0, B);
    for sentinel in 0..3 {
        trial.judge.on_answer(sentinel, before, Some(named(A, 1)), trial.now);
    }
    trial.pass(DOUBT_TIMEOUT);
    assert_eq!(trial.judge.step(trial.now), Step::AskRole(named(B, 0)));
    assert_eq!(trial.settle(&[(B, 2); 3]), Some(B));
    for sentinel in 0..3 {
        assert!(!trial.answer(sentinel, A, 1), "of an older epoch");
    }
    assert_eq!(trial.settle(&[(A, 1); 3]), Some(B));
}

#[test]
fn one_that_names_another_live_master_costs_time_once() {
    let mut trial = Trial::of_a();
    let answers = [(A, 1), (A, 1), (C, 99)];
    assert_eq!(trial.settle(&answers), None);
    trial.pass(DOUBT_TIMEOUT - Duration::from_millis(1));
    assert_eq!(trial.settle(&answers), None);
    trial.pass(Duration::from_millis(1));
    assert_eq!(trial.settle(&answers), Some(A));
    assert!(!trial.switch(2, C));
    assert_eq!(trial.settle(&answers), Some(A));
    assert_eq!(trial.settle(&[(B, 2), (B, 2), (C, 99)]), Some(B), "the others are believed");
}

#[test]
fn one_that_names_another_each_time_is_not_listened_to() {
    let mut trial = Trial::of_a();
    for port in 8000..8000 + MAX_STRIKES as u16 {
        trial.masters.push(port);
        assert_eq!(trial.settle(&[(A, 1), (A, 1), (port, 99)]), None);
        trial.settle(&[(A, 1), (A, 1), (port + 100, 99)]);
        trial.pass(DOUBT_TIMEOUT);
        assert_eq!(trial.settle(&[(A, 1), (A, 1), (port, 99)]), Some(A), "{port}");
    }
    assert!(!trial.switch(2, 9000));
    assert_eq!(trial.settle(&[(A, 1), (A, 1), (9000, 99)]), Some(A));
}

#[test]
fn claim_of_what_is_no_master_ends_at_once() {
    let mut trial = Trial { masters: vec![A], ..Trial::of_a() };
    assert!(trial.switch(1, B));
    assert_eq!(trial.settle(&[(A, 1), (A, 1), (A, 1)]), Some(A));
    assert_eq!(trial.asked, [B, A]);
}

#[test]
fn old_master_that_is_none_is_not_set_again() {
    let mut trial = Trial::of_a();
    trial.switch(2, C);
    trial.masters = vec![C];
    trial.pass(DOUBT_TIMEOUT);
    assert_eq!(trial.settle(&[(A, 1), (A, 1), (C, 9)]), None);
}

#[test]
fn known_master_is_kept_without_sentinels() {
    let mut trial = Trial::of_a();
    assert_eq!(trial.settle(&[(A, 1), (0, 0), (0, 0)]), Some(A));
    assert_eq!(trial.settle(&[(0, 0), (0, 0), (0, 0)]), Some(A));
    assert_eq!(trial.settle(&[(A, 1), (A, 1), (A, 1)]), Some(A));
    assert!(trial.asked.is_empty(), "{:?}", trial.asked);
}

#[test]
fn doubt_without_sentinels_lasts_as_long_as_a_demotion_takes() {
    let mut trial = Trial::of_a();
    trial.switch(0, B);
    assert_eq!(trial.settle(&[(0, 0); 3]), None);
    trial.pass(DOUBT_TIMEOUT);
    assert_eq!(trial.settle(&[(0, 0); 3]), None);
    trial.pass(DEMOTION_TIMEOUT);
    assert_eq!(trial.settle(&[(B, 2), (0, 0), (0, 0)]), None, "one still says so");
    assert_eq!(trial.settle(&[(0, 0); 3]), Some(A));
}

#[test]
fn start_during_a_failover_does_not_follow_the_old_master() {
    let mut trial = Trial::new();
    assert_eq!(trial.settle(&[(A, 1), (A, 1), (B, 2)]), None);
    assert_eq!(trial.settle(&[(A, 1), (B, 2), (B, 2)]), Some(B));
    let mut trial = Trial::new();
    assert_eq!(trial.settle(&[(A, 1), (A, 1), (C, 99)]), None);
    trial.pass(DOUBT_TIMEOUT);
    assert_eq!(trial.settle(&[(A, 1), (A, 1), (C, 99)]), Some(A), "it was wrong");
}

#[test]
fn majority_of_an_older_epoch_is_not_followed() {
    let mut trial = Trial::of_a();
    assert_eq!(trial.settle(&[(B, 5), (B, 5), (B, 6)]), Some(B));
    assert_eq!(trial.settle(&[(A, 4), (A, 4), (B, 6)]), Some(B));
    assert_eq!(trial.settle(&[(A, 7), (A, 7), (B, 6)]), Some(A), "back again");
}

#[test]
fn names_of_one_server_are_the_same() {
    let by_name = |name: &str, ip: [u8; 4]| Named { address: Address::tcp(name, A), ips: vec![ip.into()], epoch: 1 };
    let mut judge = Judge::new(3);
    let now = Instant::now();
    for _ in 0..2 {
        let round = judge.round();
        judge.on_answer(0, round, Some(by_name("redis-1", [10, 0, 0, 1])), now);
        judge.on_answer(1, round, Some(named(A, 1)), now);
        if let Step::AskRole(server) = judge.step(now) {
            judge.on_role(&server, true, now);
        }
    }
    assert!(judge.is_sure());
    assert!(!judge.on_switch(2, by_name("REDIS-1", [10, 0, 0, 7]), now), "a name that has moved");
    assert!(judge.on_switch(2, by_name("redis-2", [10, 0, 0, 7]), now));
}

#[test]
fn planned_failover_ends_the_old_master_before_it_begins() {
    let mut trial = Trial::of_a();
    assert!(trial.judge.on_plan(0, named(B, 0), trial.now));
    trial.masters = vec![A];
    trial.pass(DOUBT_TIMEOUT / 2);
    assert_eq!(trial.settle(&[(A, 1); 3]), None, "it is no master yet");
    assert!(!trial.asked.contains(&B), "{:?}", trial.asked);
    assert!(!trial.answer(0, B, 2));
    trial.masters = vec![A, B];
    trial.pass(DOUBT_TIMEOUT - Duration::from_millis(1));
    assert_eq!(trial.settle(&[(B, 2), (A, 1), (A, 1)]), None, "from its word on there is as much time again");
    assert_eq!(trial.settle(&[(B, 2), (B, 2), (A, 1)]), Some(B));
}

#[test]
fn failover_that_was_given_up_costs_time() {
    let mut trial = Trial::of_a();
    trial.judge.on_plan(0, named(B, 0), trial.now);
    trial.pass(DOUBT_TIMEOUT);
    assert_eq!(trial.settle(&[(A, 1); 3]), Some(A));
    assert!(trial.switch(0, B), "the next one is believed");
}
