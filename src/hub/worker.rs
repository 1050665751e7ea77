//! The part of the hub that belongs to one thread: the subscribers whose sockets are on its reactor.

use std::cell::RefCell;
use std::future::pending;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, sleep_until};

use super::catch_ups::CatchUps;
use super::drain::DRAIN_STEP;
use super::fanout::Surroundings;
use super::fanout::group::SUBSCRIBERS_PER_YIELD;
use super::fanout_table::FanoutTable;
use super::node::Hub;
use super::pass::Pass;
use super::placement::Handoff;
use super::retry;
use super::subscriber::Subscriber;
use super::subscriber::connection::Connection;
use super::subscriber::end_reason::EndReason;
use super::subscriber::start::{PresenceRequest, Start, SubscribeRequest};
use super::subscriber::stream_writer::StreamWriter;
use crate::metrics::Metrics;
use crate::sse::BackoffReason;
use crate::supervise::{catch, supervise};

/// The subscribers of one thread. It never leaves that thread.
pub struct Worker {
    hub: Arc<Hub>,
    /// Leads to this worker.
    handoffs: UnboundedSender<Handoff>,
    catch_ups: Rc<CatchUps>,
    fanouts: RefCell<FanoutTable>,
}

impl Worker {
    /// Creates the worker of the calling thread, and begins to take the subscribers that are placed on it.
    pub fn new(hub: Arc<Hub>) -> Rc<Self> {
        let (sender, mut handoffs) = hub.placement().add_worker();
        hub.prepare_thread();
        let catch_ups = Rc::new(CatchUps::new(&hub.stream_context().metrics));
        let worker = Rc::new(Self { hub, handoffs: sender, catch_ups, fanouts: RefCell::default() });
        let receiver = worker.clone();
        let receive = async move || {
            while let Some(mut handoff) = handoffs.recv().await {
                if let Ok(socket) = register_here(handoff.request.socket) {
                    handoff.request.socket = socket;
                    receiver.accept(handoff);
                }
            }
        };
        spawn_local(supervise(worker.metrics().clone(), "handoffs", receive, || {}));
        let (server, failing) = (worker.clone(), worker.clone());
        let serve = async move || server.run_fanouts().await;
        let on_panic = move || failing.fanouts.borrow().signal_all();
        spawn_local(supervise(worker.metrics().clone(), "fanouts", serve, on_panic));
        worker
    }

    fn metrics(&self) -> &Arc<Metrics> {
        &self.hub.stream_context().metrics
    }

    /// Serves a subscribe request until its stream ends, on this worker or on the one where it is placed.
    pub fn subscribe(self: &Rc<Self>, request: SubscribeRequest) {
        let source = self.hub.enter(&request.rooms);
        if let Some(handoff) = self.hub.placement().hand_off(Handoff { request, source }, &self.handoffs) {
            self.accept(handoff);
        }
    }

    /// Refuses a subscribe request after a pause: its stream is a `backoff` event, with the cursor that was asked for. A
    /// client that leaves meanwhile, and a drain, end the pause.
    pub fn refuse(&self, request: SubscribeRequest, reason: BackoffReason, pause: Duration) {
        let drain = self.hub.drain_signal().clone();
        let SubscribeRequest { start, form, socket, head, permit, .. } = request;
        let refuse = async move {
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
        let context = self.hub.stream_context().clone();
        let SubscribeRequest { start, presence, form, pass, socket, head, permit, .. } = request;
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
        let context = self.hub.stream_context();
        let pass = subscriber.writer.pass.clone();
        let stats = || self.catch_ups.stats(&context.metrics, pass.as_deref());
        let tick_at = Instant::now() + context.pace.heartbeat;
        self.fanouts.borrow_mut().join(subscriber, stats, tick_at);
    }

    /// Serves the fan-outs that have something to do.
    async fn run_fanouts(self: &Rc<Self>) {
        let (queue, surroundings) = (self.fanouts.borrow().queue().clone(), Rc::new(self.surroundings()));
        let mut drain = self.hub.drain_signal().changes();
        let mut drain_steps = None;
        let mut tick = pin!(sleep(Duration::ZERO));
        loop {
            if drain.borrow_and_update().is_some() {
                drain_steps.get_or_insert_with(draw_steps);
            }
            let next_tick = self.fanouts.borrow().next_tick();
            if let Some(next_tick) = next_tick.filter(|next_tick| tick.deadline() != (*next_tick).into()) {
                tick.as_mut().reset(next_tick.into());
            }
            let (ready, now) = tokio::select! {
                ready = queue.take() => (ready, None),
                () = &mut tick, if next_tick.is_some() => {
                    let now = Instant::now();
                    (self.fanouts.borrow_mut().due(now), Some(now))
                }
                () = tick_of(&mut drain_steps) => (self.fanouts.borrow().all(), Some(Instant::now())),
                _ = drain.changed() => continue,
            };
            let mut served = 0;
            for number in ready {
                served += self.serve(number, now, &surroundings);
                if served >= SUBSCRIBERS_PER_YIELD {
                    served = 0;
                    yield_now().await;
                }
            }
        }
    }

    /// Gives a fan-out its turn, and returns how many subscribers it has. With a time, something may be due.
    fn serve(
        self: &Rc<Self>,
        number: u64,
        now: Option<Instant>,
        surroundings: &Rc<Surroundings<impl Fn(Subscriber) + 'static>>,
    ) -> usize {
        let taken = self.fanouts.borrow_mut().take(number, now);
        let Some((fanout, turn)) = taken else {
            return 0;
        };
        let (worker, surroundings, subscribers) = (self.clone(), surroundings.clone(), fanout.len());
        let mut serving = Box::pin(async move {
            // After a panic all its streams end, since half a frame may have been written, and their clients resume.
            let served = catch(&**worker.metrics(), "fanout", fanout.serve(turn, &surroundings)).await;
            match served.flatten() {
                Some(fanout) => worker.fanouts.borrow_mut().put_back(fanout),
                None => worker.end_fanout(number),
            }
        });
        // A small one is done at once, and needs no task.
        if serving.as_mut().now_or_never().is_none() {
            spawn_local(serving);
        }
        subscribers
    }

    fn surroundings(self: &Rc<Self>) -> Surroundings<impl Fn(Subscriber) + use<>> {
        let worker = self.clone();
        Surroundings {
            context: self.hub.stream_context().clone(),
            drain: self.hub.drain_signal().clone(),
            on_lagging: move |subscriber| worker.catch_up(subscriber, None),
        }
    }

    /// Removes a fan-out without subscribers. Those that were about to join it start another one.
    fn end_fanout(self: &Rc<Self>, number: u64) {
        let joining = self.fanouts.borrow_mut().remove(number);
        joining.into_iter().for_each(|subscriber| self.join_fanout(subscriber));
    }
}

/// Registers a socket with the reactor of the calling thread, in place of that of another.
fn register_here(socket: TcpStream) -> io::Result<TcpStream> {
    TcpStream::from_std(socket.into_std()?)
}

async fn until_live(subscriber: &mut Subscriber, start: Option<(Start, PresenceRequest)>) -> Result<(), EndReason> {
    match start {
        Some((start, presence)) => subscriber.start(&start, &presence).await?,
        None => subscriber.flush().await?, // it lags, since its socket was full
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

/// Returns when fan-outs draw which subscribers leave, once the drain has started.
fn draw_steps() -> Interval {
    let mut steps = interval(DRAIN_STEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    steps
}

async fn tick_of(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => pending().await,
    }
}
