//! The part of the hub that belongs to one thread: the subscribers whose sockets are on its reactor.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::{sleep, sleep_until};

use super::catch_ups::CatchUps;
use super::fanout::{Fanout, JoinQueue};
use super::node::Hub;
use super::pass::Pass;
use super::placement::Handoff;
use super::retry;
use super::source::Source;
use super::subscriber::Subscriber;
use super::subscriber::connection::Connection;
use super::subscriber::end_reason::EndReason;
use super::subscriber::start::{PresenceRequest, Start, SubscribeRequest};
use super::subscriber::stream_writer::StreamWriter;
use crate::chat::Rooms;
use crate::metrics::Metrics;
use crate::shrink::Shrink;
use crate::sse::{BackoffReason, Form};
use crate::supervise::{catch, supervise};

/// What the subscribers of a fan-out have in common: rooms, form and, if they have passes, the key of their app.
type FanoutKey = (Rooms, Form, Option<Arc<str>>);

/// The subscribers of one thread. It never leaves that thread.
pub struct Worker {
    hub: Arc<Hub>,
    catch_ups: Rc<CatchUps>,
    fanouts: RefCell<HashMap<FanoutKey, Rc<JoinQueue>>>,
}

impl Worker {
    /// Creates the worker of the calling thread, and begins to take the subscribers that are placed on it.
    pub fn new(hub: Arc<Hub>) -> Rc<Self> {
        let mut handoffs = hub.placement().add_worker();
        hub.prepare_thread();
        let catch_ups = Rc::new(CatchUps::new(&hub.stream_context().metrics));
        let worker = Rc::new(Self { hub, catch_ups, fanouts: RefCell::default() });
        let receiver = worker.clone();
        let receive = async move || {
            while let Some(handoff) = handoffs.recv().await {
                receiver.accept(handoff);
            }
        };
        spawn_local(supervise(worker.metrics().clone(), "handoffs", receive, || {}));
        worker
    }

    fn metrics(&self) -> &Arc<Metrics> {
        &self.hub.stream_context().metrics
    }

    /// Serves a subscribe request until its stream ends, on this worker or on the one where it is placed.
    pub fn subscribe(self: &Rc<Self>, request: SubscribeRequest) {
        let source = self.hub.enter(&request.rooms);
        if let Some(handoff) = self.hub.placement().hand_off(Handoff { request, source }) {
            self.accept(handoff);
        }
    }

    /// Refuses a subscribe request after a pause: its stream is a `backoff` event, with the cursor that was asked for. A
    /// client that leaves meanwhile, and a drain, end the pause.
    pub fn refuse(&self, request: SubscribeRequest, reason: BackoffReason, pause: Duration) {
        let drain = self.hub.drain_signal().clone();
        let SubscribeRequest { start, form, socket, head, permit, .. } = request;
        let refuse = async move {
            let Ok(socket) = TcpStream::from_std(socket) else {
                return;
            };
            let connection = Connection::new(socket, head);
            tokio::select! {
                () = connection.closed() => return,
                () = drain.wait_for_turn() => {}
                () = sleep(pause) => {}
            }
            connection.close(Some(retry::backoff(reason, start.known_cursor().as_ref(), form)));
            drop(permit); // it counts for as long as the connection waits
        };
        let metrics = self.metrics().clone();
        spawn_local(catch(metrics, "stream", refuse));
    }

    fn accept(self: &Rc<Self>, Handoff { request, source }: Handoff) {
        let Ok(socket) = TcpStream::from_std(request.socket) else {
            return;
        };
        let context = self.hub.stream_context().clone();
        let SubscribeRequest { start, presence, form, pass, head, permit, .. } = request;
        let writer = StreamWriter::new(context.clone(), form, start.known_cursor(), pass, socket, head);
        let subscriber = Subscriber::new(context, self.catch_ups.clone(), source, writer, permit);
        self.catch_up(subscriber, Some((start, presence)));
    }

    /// Lets a subscriber start or catch up in a task of its own. Then it joins the fan-out of its source.
    fn catch_up(self: &Rc<Self>, mut subscriber: Subscriber, start: Option<(Start, PresenceRequest)>) {
        let worker = self.clone();
        let catch_up = async move {
            let (drain, expires_at) = (worker.hub.drain_signal().clone(), subscriber.writer.expires_at);
            let pass = subscriber.writer.pass.clone();
            let result = tokio::select! {
                result = until_live(&mut subscriber, start) => result,
                () = drain.wait_for_turn() => Err(EndReason::Draining),
                () = sleep_until_some(expires_at) => Err(EndReason::MaxAge),
                () = pass_over(pass) => Err(EndReason::Expired),
            };
            match result {
                Ok(()) => worker.join_fanout(subscriber),
                Err(reason) => subscriber.end(reason),
            }
        };
        let metrics = self.metrics().clone();
        // After a panic the stream ends, and its client resumes.
        spawn_local(catch(metrics, "stream", catch_up));
    }

    fn join_fanout(self: &Rc<Self>, subscriber: Subscriber) {
        let (source, form, pass) =
            (subscriber.source().clone(), subscriber.writer.form, subscriber.writer.pass.clone());
        let mut fanouts = self.fanouts.borrow_mut();
        let app = pass.as_ref().map(|pass| pass.key.clone());
        let queue = fanouts.entry((source.names().clone(), form, app)).or_insert_with(|| {
            let queue = Rc::new(JoinQueue::default());
            spawn_local(self.clone().run_fanout(source, form, pass, queue.clone()));
            queue
        });
        queue.push(subscriber);
    }

    /// Runs the fan-out of a source until it has no subscribers.
    fn run_fanout(
        self: Rc<Self>,
        source: Source,
        form: Form,
        pass: Option<Arc<Pass>>,
        queue: Rc<JoinQueue>,
    ) -> impl Future<Output = ()> {
        let key = (source.names().clone(), form, pass.as_ref().map(|pass| pass.key.clone()));
        let worker = self.clone();
        let on_lagging = move |subscriber| worker.catch_up(subscriber, None);
        let (context, drain) = (self.hub.stream_context().clone(), self.hub.drain_signal().clone());
        let stats = self.catch_ups.stats(self.metrics(), pass.as_deref());
        let fanout = Fanout::new(context, drain, source, form, stats, queue, on_lagging);
        // After a panic all its streams end, since half a frame may have been written, and their clients resume.
        let run = catch(self.metrics().clone(), "fanout", fanout.run());
        // An `async` block would keep what it awaits twice.
        run.map(move |_| {
            // The next subscriber starts a new fan-out. None is lost: there was no await since the queue was empty.
            let mut fanouts = self.fanouts.borrow_mut();
            fanouts.remove(&key);
            fanouts.shrink_if_sparse();
        })
    }
}

async fn until_live(subscriber: &mut Subscriber, start: Option<(Start, PresenceRequest)>) -> Result<(), EndReason> {
    if let Some((start, presence)) = start {
        subscriber.start(&start, &presence).await?;
    }
    subscriber.catch_up().await
}

async fn pass_over(pass: Option<Arc<Pass>>) {
    match pass {
        Some(pass) => pass.over().await,
        None => pending().await,
    }
}

async fn sleep_until_some(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}
