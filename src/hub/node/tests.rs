use super::*;
use crate::hub::test_node::Node;
use crate::hub::tick_clock::TICK_INTERVAL;

#[tokio::test]
async fn rooms_that_are_gone_are_forgotten() {
    let node = Node::new();
    let hub = &node.hub;
    let live = node.enter_many(1).await;
    let merged = hub.enter(&Rooms::from_path("b,a").unwrap());
    let visited = node.enter_many(1000).await;
    assert_eq!(hub.all_rooms().len(), 1002);
    drop((visited, merged));
    // Tasks that read for them end.
    tokio::time::sleep(Duration::from_millis(20)).await;
    hub.tick(Instant::now());
    assert_eq!(hub.all_rooms().len(), 1002, "a page that is loaded again finds its room");
    hub.tick(Instant::now() + UNUSED_ROOM_TTL);
    assert_eq!(hub.all_rooms().len(), 1);
    assert_eq!(hub.metrics().rooms.get(), 1);
    assert_eq!(hub.room_context.buffers.owners(), 1);
    assert!(hub.merged.lock().is_empty());
    assert!(hub.room_context.agenda.take().is_empty());
    drop(live);
}

#[tokio::test]
async fn all_rooms_are_checked_within_a_minute_a_few_at_each_tick() {
    let node = Node::new();
    let hub = &node.hub;
    let rooms = node.enter_many(10 * ROOM_SLICES).await;
    hub.room_context.agenda.take();
    let mut checked = 0;
    for slice in 0..ROOM_SLICES {
        hub.put_on_agenda(&hub.rooms.slice(slice));
        let now = hub.room_context.agenda.take().len();
        assert!(now < 40, "{now} at once");
        checked += now;
    }
    assert_eq!(checked, rooms.len());
    assert_eq!(TICK_INTERVAL * ROOM_SLICES as u32, Duration::from_secs(60));
}
