//! What a client made of a fault: what it got is compared with what was acknowledged.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{catalogue::Promise, publisher::Sent};

/// A line that a client printed.
#[derive(Debug, Clone)]
pub struct Line {
    pub at: Instant,
    pub text: String,
}

impl Line {
    /// Returns the text of the message, or `None` if the client could not read it.
    fn message(&self) -> Option<String> {
        let line: Value = serde_json::from_str(&self.text).ok()?;
        let text = line["text"].as_str().or_else(|| line["data"]["message"].as_str());
        text.map(str::to_owned)
    }
}

#[derive(Debug, Default)]
pub struct Outcome {
    /// The messages that did not arrive.
    pub lost: usize,
    /// Whether those are the last ones: the client is gone.
    pub is_gone: bool,
    /// The messages that arrived more than once.
    pub doubled: usize,
    /// The messages that arrived after a later one.
    pub reordered: usize,
    /// The texts that were never sent.
    pub garbled: usize,
    /// What a user's code could not parse.
    pub unreadable: usize,
    /// The longest time from the acknowledgement of a message to its arrival.
    pub latest: Duration,
    /// The requests while the node was full, if that was counted.
    pub tries: Option<usize>,
    /// What the client wrote to standard error.
    pub complaints: String,
}

impl Outcome {
    /// Compares the lines of a client with the messages that were sent.
    pub fn of(lines: &[Line], sent: &[Sent]) -> Outcome {
        let places: BTreeMap<&str, usize> =
            sent.iter().enumerate().map(|(at, sent)| (sent.text.as_str(), at)).collect();
        let mut times_received = vec![0; sent.len()];
        let mut outcome = Outcome::default();
        let mut newest = None;
        for line in lines {
            let Some(text) = line.message() else {
                outcome.unreadable += 1;
                continue;
            };
            let Some(&at) = places.get(text.as_str()) else {
                outcome.garbled += 1;
                continue;
            };
            times_received[at] += 1;
            if times_received[at] == 1 {
                outcome.reordered += usize::from(Some(at) < newest);
                outcome.latest = outcome.latest.max(line.at.saturating_duration_since(sent[at].acknowledged));
                newest = newest.max(Some(at));
            }
        }
        outcome.lost = times_received.iter().filter(|times| **times == 0).count();
        outcome.doubled = times_received.iter().filter(|times| **times > 1).count();
        let after_the_last = sent.len() - newest.map_or(0, |newest| newest + 1);
        outcome.is_gone = outcome.lost > 0 && outcome.lost == after_the_last;
        outcome
    }

    /// Returns true if each message arrived once, in order and as it was sent.
    pub fn is_complete(&self) -> bool {
        self.lost + self.doubled + self.reordered + self.garbled + self.unreadable == 0
    }

    /// Returns what is worse than promised, if anything is.
    pub fn complaint(&self, promise: Promise) -> Option<&'static str> {
        match promise {
            _ if self.doubled + self.reordered > 0 => Some("a message arrived twice, or after a later one"),
            _ if self.garbled > 0 => Some("a message was garbled"),
            Promise::Keeps if !self.is_complete() => Some("it does not keep every message"),
            Promise::Ends if self.lost > 0 && !self.is_gone => Some("messages are missing before it ended"),
            _ => None,
        }
    }
}

#[test]
fn outcome_counts_what_is_lost_doubled_and_garbled() {
    let now = Instant::now();
    let sent: Vec<Sent> = ["a", "b", "c", "d"].map(|text| Sent { text: text.to_owned(), acknowledged: now }).to_vec();
    let outcome = |texts: &[&str]| {
        let line = |text: &&str| Line { at: now, text: format!("{{\"id\":\"1-1\",\"text\":\"{text}\"}}") };
        Outcome::of(&texts.iter().map(line).collect::<Vec<_>>(), &sent)
    };
    assert!(outcome(&["a", "b", "c", "d"]).is_complete());
    let gone = outcome(&["a", "b"]);
    assert_eq!((gone.lost, gone.is_gone, gone.complaint(Promise::Ends)), (2, true, None));
    assert!(gone.complaint(Promise::Keeps).is_some());
    let nothing = outcome(&[]);
    assert_eq!((nothing.lost, nothing.is_gone), (4, true));
    let hole = outcome(&["a", "c", "d"]);
    assert_eq!((hole.lost, hole.is_gone, hole.complaint(Promise::Loses)), (1, false, None));
    assert!(hole.complaint(Promise::Ends).is_some());
    assert_eq!(outcome(&["a", "b", "b", "c", "d"]).doubled, 1);
    assert_eq!(outcome(&["a", "c", "b", "d"]).reordered, 1);
    assert_eq!(outcome(&["a", "b", "c", "d", "Ã©"]).garbled, 1);
    for wrong in [&["a", "b", "b", "c", "d"][..], &["a", "c", "b", "d"], &["a", "b", "c", "d", "Ã©"]] {
        assert!(outcome(wrong).complaint(Promise::Loses).is_some(), "{wrong:?}");
    }
    let unreadable = [Line { at: now, text: r#"{"error":"SyntaxError"}"#.to_owned() }];
    assert_eq!(Outcome::of(&unreadable, &[]).unreadable, 1);
}
