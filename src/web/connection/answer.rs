//! What a connection and the handlers of its requests share: the socket, and how far the current answer has come.

use std::cell::{Cell, RefCell};
use std::net::TcpStream as StdStream;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use tokio::net::TcpStream;

use super::permits::ConnectionPermit;

/// The connection of a request, for its handler.
#[derive(Clone)]
pub struct Connection(Rc<Shared>);

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

/// The answer to the current request of a connection, until it is encoded.
pub struct OwedAnswer(Rc<Shared>);

/// The body of an answer. When it is dropped, actix has encoded all of it.
pub struct AnswerBody {
    body: BoxBody,
    _owed: Option<OwedAnswer>,
}

impl Connection {
    /// Returns the connection for the handlers of its requests.
    pub fn new(shared: Rc<Shared>) -> Self {
        Self(shared)
    }

    /// Takes the socket, not registered with a reactor, and the permit for it. No other answer is owed on it.
    pub fn take(&self) -> Option<(StdStream, ConnectionPermit)> {
        let (socket, mut permit) = self.0.socket.take()?;
        permit.keep();
        Some((socket.into_std().ok()?, permit))
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

impl AnswerBody {
    /// Notes that the handler has returned its answer, which has this body.
    pub fn new(body: BoxBody, owed: Option<OwedAnswer>) -> Self {
        if let Some(owed) = &owed {
            owed.0.advance(Answer::Owed, Answer::Begun);
        }
        Self { body, _owed: owed }
    }
}

impl MessageBody for AnswerBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
