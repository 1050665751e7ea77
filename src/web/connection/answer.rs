//! What a connection and the handlers of its requests share: the socket, and how far the current answer has come.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use socket2::SockRef;
use tokio::net::TcpStream;

use super::permits::ConnectionPermit;

/// The connection of a request, for its handler.
#[derive(Clone)]
pub struct Connection(Rc<Shared>);

/// The kernel's receive buffer of a stream, which Linux doubles for its own structures. Its own default is 128 KiB, and a
/// client that keeps sending could fill that, even if the node is too busy to discard what it sends.
const STREAM_RECEIVE_BUFFER_BYTES: usize = 4 << 10;

/// The state of a connection that its handlers take part in.
pub struct Shared {
    /// `None` once it was taken.
    pub socket: RefCell<Option<(TcpStream, ConnectionPermit)>>,
    /// How far the answer to the current request has come.
    pub answer: Cell<Answer>,
}

/// How far the answer to a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// No whole head was passed on, so none is owed.
    NotOwed,
    /// A head was passed on, which is a request if actix can parse it.
    Parsing,
    /// The handler was called.
    Owed,
    /// The handler has returned it.
    Begun,
    /// actix has encoded it.
    Encoded,
    /// It was written.
    Written,
    /// The request was refused before it reached a handler, and the connection ends.
    Refused,
}

/// The answer to the current request of a connection. Its body holds it until all of that is encoded.
pub struct OwedAnswer(Rc<Shared>);

impl Connection {
    /// Returns the connection for the handlers of its requests.
    pub fn new(shared: Rc<Shared>) -> Self {
        Self(shared)
    }

    /// Takes the socket and the permit for it. No other answer is owed on it, and the client has nothing more to send.
    pub fn take(&self) -> Option<(TcpStream, ConnectionPermit)> {
        let (socket, mut permit) = self.0.socket.take()?;
        permit.keep();
        let _ = SockRef::from(&socket).set_recv_buffer_size(STREAM_RECEIVE_BUFFER_BYTES);
        Some((socket, permit))
    }

    /// Notes that the handler of a request is called.
    pub fn owe_answer(&self) -> OwedAnswer {
        self.0.advance(Answer::Parsing, Answer::Owed);
        OwedAnswer(self.0.clone())
    }
}

impl Shared {
    /// Moves the answer on if it has come as far as `from`.
    pub fn advance(&self, from: Answer, to: Answer) {
        if self.answer.get() == from {
            self.answer.set(to);
        }
    }
}

impl Drop for OwedAnswer {
    fn drop(&mut self) {
        self.0.advance(Answer::Owed, Answer::Encoded);
        self.0.advance(Answer::Begun, Answer::Encoded);
    }
}

impl OwedAnswer {
    /// Notes that the handler has returned the answer.
    pub fn begin(&self) {
        self.0.advance(Answer::Owed, Answer::Begun);
    }
}
