//! What faults act on: the world, the clients, and a seeded source of chance.

use std::time::Duration;

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    Failure,
    load::Load,
    world::{World, server::Server},
};

/// How long servers and clients may take to recover before a run gives up.
pub const RECOVERY_LIMIT: Duration = Duration::from_secs(60);

pub struct Stage {
    pub world: World,
    pub load: Load,
    chance: Mutex<StdRng>,
}

impl Stage {
    pub fn new(world: World, load: Load, seed: u64) -> Self {
        Self { world, load, chance: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    /// Returns one of these at random.
    pub fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() {
            None
        } else {
            from.get(self.chance.lock().random_range(0..from.len()))
        }
    }

    /// Returns the number of a node at random.
    pub fn node(&self) -> usize {
        self.chance.lock().random_range(0..self.world.nodes.len())
    }

    /// Returns true as often as not.
    pub fn toss(&self) -> bool {
        self.chance.lock().random_bool(0.5)
    }

    /// Returns a random part of a time.
    pub fn part_of(&self, time: Duration) -> Duration {
        time.mul_f64(self.chance.lock().random_range(0.0..1.0))
    }

    /// Returns a master at random.
    pub async fn master(&self) -> Result<&Server, Failure> {
        let masters = self.world.servers.masters().await?;
        Ok(self.pick(&masters).ok_or("there is no master")?)
    }
}
