//! Slots that move to another master while rooms in them are read and written: nothing is lost, doubled or called a gap.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    redis::cluster::start_two,
    support::{Answer, Cluster, DEADLINE, Node, Program, Stream, eventually, halves, key, slot_of, within},
};

/// How many messages are written before each step of a move.
const STEP: usize = 20;

/// How long each writer pauses between two messages, so that there is time for the moves.
const PAUSE: Duration = Duration::from_millis(10);

/// How a slot gets to another master.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Migration {
    /// Key by key, and meanwhile both masters have it.
    Stepwise,
    /// At once, which only Valkey can do here.
    Atomic,
}

/// The ids of posts by their idempotency keys.
type Posted = BTreeMap<String, String>;

async fn post(node: &Node, room: &str, key: &str) -> Answer {
    node.publish(room, json!({ "sender": "mason", "message": key, "key": key })).await
}

/// Posts messages with keys until `count` is closed, which is told how many there are. A post that is refused is
/// repeated, as clients do, and counted.
async fn write(node: &Node, room: &str, name: &str, count: watch::Sender<usize>) -> (Posted, usize) {
    let (mut posted, mut refused) = (Posted::new(), 0);
    while !count.is_closed() {
        let key = format!("{name}-{}", posted.len());
        match post(node, room, &key).await {
            answer if answer.status == 503 => refused += 1,
            answer => drop(posted.insert(key, answer.id())),
        }
        count.send_replace(posted.len());
        tokio::time::sleep(PAUSE).await;
    }
    (posted, refused)
}

/// Moves the slot of a room to each of the masters, while `counts` says how many messages have been written.
async fn move_around(cluster: &Cluster, slot: u16, how: Migration, mut counts: [watch::Receiver<usize>; 2]) {
    let mut further = async || {
        for count in &mut counts {
            let goal = *count.borrow() + STEP;
            let written = count.wait_for(|count| *count >= goal);
            within(DEADLINE, "further messages", written).await.expect("the writers write");
        }
    };
    for to in [1, 2, 0] {
        further().await;
        if how == Migration::Atomic {
            cluster.migrate_slot(slot, to).await;
            continue;
        }
        cluster.begin_move(slot, to).await;
        further().await;
        cluster.move_keys(slot, to).await;
        further().await;
        // Keys that came to the source in the meantime.
        cluster.move_keys(slot, to).await;
        cluster.end_move(slot, to).await;
    }
    further().await;
}

/// Checks that readers and the log have each message once, and that a repeated post adds none.
async fn assert_moves_are_unnoticed(program: Program, how: Migration) {
    let cluster = Cluster::of(program, 3, 0, &[]).await;
    let nodes = start_two(&cluster).await;
    let room = cluster.room_at(0, 0).await;
    let mut readers = [Stream::live(&nodes[0], &room).await, Stream::live(&nodes[1], &room).await];
    let (counts, counters): (Vec<_>, Vec<_>) = [watch::channel(0), watch::channel(0)].into_iter().unzip();
    let [first, second] = <[_; 2]>::try_from(counts).expect("two");
    let counters = <[_; 2]>::try_from(counters).expect("two");
    let ((one, refused_by_one), (two, refused_by_two), ()) = tokio::join!(
        write(&nodes[0], &room, "one", first),
        write(&nodes[1], &room, "two", second),
        move_around(&cluster, slot_of(&key(&room)), how, counters),
    );
    let posted: Posted = one.into_iter().chain(two).collect();
    let mut ids: Vec<&String> = posted.values().collect();
    ids.sort_by_key(|id| halves(id).1);
    let numbers: Vec<u64> = ids.iter().map(|id| halves(id).1).collect();
    assert_eq!(numbers, (1..=posted.len() as u64).collect::<Vec<_>>(), "each number once");
    for reader in &mut readers {
        assert_eq!(reader.next_ids(ids.len()).await.iter().collect::<Vec<_>>(), ids);
    }
    for (number, (key, id)) in posted.iter().enumerate() {
        let answer = post(&nodes[number % 2], &room, key).await.expect(200).json();
        assert_eq!((&answer["id"], &answer["duplicate"]), (&json!(id), &Value::Bool(true)), "{key}");
    }
    let next = nodes[1].post(&room, "mason", "next").await;
    assert_eq!(halves(&next).1, posted.len() as u64 + 1, "the repeated posts added nothing");
    for reader in &mut readers {
        assert_eq!(reader.next_message().await.id, next);
    }
    // On a busy machine some are not answered in time.
    let refused = refused_by_one + refused_by_two;
    assert!(refused * 50 < posted.len(), "{refused} refused, {} taken", posted.len());
}

#[tokio::test]
async fn stepwise_moves_under_load_are_unnoticed() {
    assert_moves_are_unnoticed(Program::Redis, Migration::Stepwise).await;
}

mod other_programs {
    use super::{Migration, Program, assert_moves_are_unnoticed};

    #[tokio::test]
    async fn redis_8_moves_slots_stepwise() {
        assert_moves_are_unnoticed(Program::Redis8, Migration::Stepwise).await;
    }

    #[tokio::test]
    async fn valkey_moves_slots_stepwise() {
        assert_moves_are_unnoticed(Program::Valkey, Migration::Stepwise).await;
    }

    #[tokio::test]
    async fn valkey_moves_slots_atomically() {
        assert_moves_are_unnoticed(Program::Valkey, Migration::Atomic).await;
    }
}

/// The log is at the target already, while all servers still name the source as its master. What is announced at the
/// target reaches no subscriber of the source.
#[tokio::test]
async fn half_moved_slot_is_heard() {
    let cluster = Cluster::start(3).await;
    let nodes = start_two(&cluster).await;
    let room = cluster.room_at(0, 0).await;
    let slot = slot_of(&key(&room));
    let mut ids = nodes[0].fill(&room, 3).await;
    let mut readers = vec![Stream::live(&nodes[0], &room).await, Stream::live(&nodes[1], &room).await];
    cluster.begin_move(slot, 1).await;
    cluster.move_keys(slot, 1).await;
    let moved = nodes[0].fill(&room, 3).await;
    for reader in &mut readers {
        assert_eq!(reader.next_ids(3).await, moved);
    }
    ids.extend(moved);
    for node in &nodes {
        let mut late = Stream::resume(node, &room, &ids[0]).await;
        assert_eq!(late.next_ids(5).await, ids[1..]);
        readers.push(late);
    }
    for node in &nodes {
        let id = node.post(&room, "mason", "live").await;
        for reader in &mut readers {
            assert_eq!(reader.next_message().await.id, id);
        }
    }
    cluster.end_move(slot, 1).await;
    let id = nodes[1].post(&room, "mason", "moved").await;
    for reader in &mut readers {
        assert_eq!(reader.next_message().await.id, id);
    }
}

/// A subscription that both masters have while a slot moves ends with the readers, too.
#[tokio::test]
async fn subscriptions_end_where_a_slot_has_moved_from() {
    let cluster = Cluster::start(3).await;
    let nodes = start_two(&cluster).await;
    let room = cluster.room_at(0, 0).await;
    let reader = Stream::live(&nodes[0], &room).await;
    cluster.move_slot(slot_of(&key(&room)), 2).await;
    let channels = async |master: usize| -> Vec<String> { cluster.cmd_at(master, &["PUBSUB", "SHARDCHANNELS"]).await };
    eventually("a subscription at the new master", async || channels(2).await.contains(&key(&room)).then_some(()))
        .await;
    drop(reader);
    eventually("the end of the subscription", async || {
        let all = [channels(0).await, channels(1).await, channels(2).await].concat();
        (!all.contains(&key(&room))).then_some(())
    })
    .await;
}
