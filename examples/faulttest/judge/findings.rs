//! What the judge finds, counted by kind, with the first few of each in words.

use crate::history::At;

/// How many findings of a kind are kept in words.
const MAX_TEXTS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A message of the final log that a reader should have got, and did not.
    LostDelivery,
    /// A message that a reader got again although its cursor was past it.
    DoubledDelivery,
    /// A message that is twice in the final log.
    DoubledPublish,
    /// A message that is twice in the log because Redis' clock was put forward, past the time for which keys are kept.
    Forgotten,
    /// A message that came after a later one; or one that the log has before one acknowledged earlier.
    Reordered,
    /// A place in a stream where something is missing, and no `gap` says so.
    SilentGap,
    /// A `gap` although the log continues from the cursor.
    FalseGap,
    /// A message that was never posted, in this room or with this text; or one that was refused.
    Phantom,
    /// Two messages with one id, or two readings of the final log that differ.
    Divergence,
}

impl Kind {
    /// Returns true if it is against a promise: a false gap is no loss, and a clock that is put forward ends the time
    /// for which keys are kept.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::FalseGap | Self::Forgotten)
    }

    pub const ALL: [Self; 9] = [
        Self::LostDelivery,
        Self::DoubledDelivery,
        Self::DoubledPublish,
        Self::Forgotten,
        Self::Reordered,
        Self::SilentGap,
        Self::FalseGap,
        Self::Phantom,
        Self::Divergence,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::LostDelivery => "lost deliveries",
            Self::DoubledDelivery => "doubled deliveries",
            Self::DoubledPublish => "doubled publishes",
            Self::Forgotten => "doubled by a clock",
            Self::Reordered => "reordered",
            Self::SilentGap => "silent gaps",
            Self::FalseGap => "false gaps",
            Self::Phantom => "phantoms",
            Self::Divergence => "divergences",
        }
    }
}

/// How many findings there are of each kind.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts([usize; Kind::ALL.len()]);

impl Counts {
    pub fn of(&self, kind: Kind) -> usize {
        self.0[kind as usize]
    }

    pub fn add(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }
}

#[derive(Debug, Default)]
pub struct Findings {
    pub all: Vec<(Kind, At)>,
    pub counts: Counts,
    /// The first few of each kind in words.
    pub texts: Vec<(Kind, String)>,
}

impl Findings {
    pub fn add(&mut self, kind: Kind, at: At, text: impl FnOnce() -> String) {
        self.all.push((kind, at));
        self.counts.add(kind);
        if self.counts.of(kind) <= MAX_TEXTS {
            self.texts.push((kind, format!("{:.1} s: {}", f64::from(at) / 1000.0, text())));
        }
    }
}
