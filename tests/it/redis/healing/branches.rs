//! A post that came first on another branch of a log wins over what a node has.

use super::{HEAL_OFF, HEARTBEAT, fill_in_turn, restart, start_behind, stored_ids};
use crate::{
    redis::post_until_accepted,
    support::{Gap, Node, Proxy, Redis, Stream, eventually, halves},
};

/// Two nodes, of which one has a reader and does not reach the server while it restarts and the other one posts.
struct Branches {
    redis: Redis,
    proxy: Proxy,
    here: Node,
    there: Node,
    reader: Stream,
    ids: Vec<String>,
}

impl Branches {
    /// Posts five messages, of which the server keeps `kept` on disk.
    async fn start(kept: usize) -> Branches {
        let redis = Redis::start().await;
        let proxy = Proxy::to(redis.address()).await;
        // The other one has nothing to heal with.
        let (here, there) = (start_behind(&proxy).await, Node::on(&redis, &[HEARTBEAT, HEAL_OFF]).await);
        let mut reader = Stream::live(&here, "lobby").await;
        let mut ids = fill_in_turn(&[&here], "lobby", kept).await;
        if kept > 0 {
            let _: String = redis.cmd(&["SAVE"]).await;
        }
        ids.extend(here.fill("lobby", 5 - kept).await);
        assert_eq!(reader.next_ids(5).await, ids);
        proxy.cut();
        reader.expect_status(false).await;
        Branches { redis, proxy, here, there, reader, ids }
    }

    /// Restarts the server, posts there first, and checks that this is what counts and that the reader is told.
    async fn assert_first_post_wins(mut self, kept: usize) {
        restart(&mut self.redis).await;
        let first = post_until_accepted(&self.there, "first on a new branch").await;
        assert_eq!(halves(&first).1, kept as u64 + 1);
        self.proxy.restore();
        let gap = Gap::next(&mut self.reader).await;
        assert_eq!((gap.asked.as_str(), gap.reason.as_str()), (self.ids[4].as_str(), "reset"));
        assert_eq!(gap.resumed.as_ref(), Some(&first));
        assert_eq!(self.reader.next_message().await.id, first);
        let second = post_until_accepted(&self.here, "second").await;
        assert_eq!(self.reader.next_message().await.id, second);
        let expected = [&self.ids[..kept], &[first, second]].concat();
        for node in [&self.here, &self.there] {
            assert_eq!(stored_ids(node, "lobby").await, expected);
        }
        let mut returning = Stream::resume(&self.there, "lobby", &self.ids[4]).await;
        assert_eq!(Gap::next(&mut returning).await.reason, "reset");
    }
}

#[tokio::test]
async fn first_post_after_an_empty_restart_wins() {
    Branches::start(0).await.assert_first_post_wins(0).await;
}

#[tokio::test]
async fn first_post_after_an_older_copy_wins() {
    Branches::start(3).await.assert_first_post_wins(3).await;
}

/// Without a post the node that comes back later still finds everything missing, and brings it back.
#[tokio::test]
async fn node_that_comes_back_later_heals() {
    for kept in [0, 3] {
        let Branches { mut redis, proxy, here, there, mut reader, ids } = Branches::start(kept).await;
        restart(&mut redis).await;
        eventually("a log that can be read", async || (there.get("/history/lobby").await.status == 200).then_some(()))
            .await;
        assert_eq!(stored_ids(&there, "lobby").await, ids[..kept]);
        proxy.restore();
        reader.expect_status(true).await;
        assert_eq!(stored_ids(&there, "lobby").await, ids);
        let next = here.post("lobby", "mason", "after").await;
        assert_eq!(reader.next_message().await.id, next);
    }
}
