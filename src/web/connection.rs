//! A client's connection, between its socket and actix.
//!
//! actix parses requests and encodes answers; what it does not watch over is watched over here. The head of every
//! request has a deadline, and so has its body. actix gets one request at a time: the next one is held back until the
//! answer has been written. So nothing is owed on a connection whose handler [takes](Connection::take) the socket, to
//! which the hub then writes the [head](raw_response::encode_head) of a stream and its frames; actix is left with a
//! connection that has ended.
//!
//! What is refused here or by actix's parser, before there is a request, is answered from here.

mod answer;
mod deadline;
mod framing;
mod head;
mod permits;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::http::StatusCode;
use rustix::net::SendFlags;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::error::Problem;
use super::raw_response;
use answer::{Answer, Shared};
use deadline::Deadline;
use framing::Body;
use head::{Head, Outcome};

pub(super) use answer::Connection;
pub(crate) use answer::OwedAnswer;
pub(crate) use permits::{ConnectionLimiter, ConnectionPermit};

/// How long the head of a request may take, from its first byte on.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a body may take, from the end of the head on.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection stays open on which nothing arrives and nothing can be written.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// How much of what has arrived is discarded at once before a connection is closed: a close with unread input resets it.
const DISCARD_BYTES: usize = 4096;

/// How long what still arrives is discarded after a refusal: a client whose connection is reset may never read it.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// What is expected next from the client.
enum Expected {
    Head(Head),
    Body(Body),
    /// Nothing, until the answer was written.
    Nothing,
}

/// What came of looking at bytes that were received.
enum Look {
    /// So many of them can be passed on.
    Passable(usize),
    /// They have to be replaced by these, and looked at anew.
    Replaced(Vec<u8>),
    /// The connection ends.
    End,
}

/// A connection as actix reads and writes it.
pub(super) struct ConnectionIo {
    shared: Rc<Shared>,
    expected: Expected,
    /// What was received and not passed on: an incomplete head, or what follows the current request.
    input: Vec<u8>,
    /// How many bytes at the beginning of `input` can be passed on.
    passable: usize,
    deadline: Deadline,
    /// Whether the socket took nothing when it was last written to.
    is_blocked: bool,
}

impl ConnectionIo {
    /// Wraps the socket of a client that has just connected.
    pub(super) fn new(socket: TcpStream, permit: ConnectionPermit) -> Self {
        let socket = RefCell::new(Some((socket, permit)));
        Self {
            shared: Rc::new(Shared { socket, answer: Cell::new(Answer::NotOwed) }),
            expected: Expected::Head(Head::default()),
            input: Vec::new(),
            passable: 0,
            deadline: Deadline::after(IDLE_TIMEOUT),
            is_blocked: false,
        }
    }

    /// Returns what the handlers of this connection's requests get.
    pub(super) fn connection(&self) -> Connection {
        Connection::new(self.shared.clone())
    }

    /// Looks at bytes of the current request: what has arrived of its head, or a further part of its body.
    fn look_at(&mut self, bytes: &mut [u8]) -> Look {
        let mut passable = 0;
        if let Expected::Head(head) = &mut self.expected {
            if head.is_empty() {
                self.deadline.set(HEAD_TIMEOUT);
            }
            match head.advance(bytes) {
                Outcome::Incomplete => return Look::Passable(0),
                Outcome::NotAscii(line) => {
                    self.expected = Expected::Head(Head::default());
                    return Look::Replaced(head::encode_target(bytes, line));
                }
                Outcome::LineTooLong => return self.refuse(StatusCode::URI_TOO_LONG, "The address is too long."),
                Outcome::TooLong => {
                    let detail = "The headers are too long.";
                    return self.refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail);
                }
                Outcome::Complete(end, body) => {
                    self.shared.answer.set(Answer::Parsing);
                    self.deadline.set(BODY_TIMEOUT);
                    (self.expected, passable) = (Expected::Body(body), end);
                }
            }
        }
        if let Expected::Body(body) = &mut self.expected {
            let Ok(length) = body.advance(&bytes[passable..]) else {
                return self.refuse(StatusCode::BAD_REQUEST, "The chunks of the body are malformed.");
            };
            passable += length;
            if body.is_complete() {
                self.expected = Expected::Nothing;
                self.deadline.set(IDLE_TIMEOUT);
                let permitted = self.shared.socket.borrow().as_ref().is_some_and(|(_, permit)| permit.begin_answer());
                if !permitted {
                    return Look::End;
                }
            }
        }
        Look::Passable(passable)
    }

    /// Returns true if what was held back belongs to the current request and was not looked at.
    fn holds_new_input(&self) -> bool {
        matches!(&self.expected, Expected::Head(head) if head.searched() < self.input.len())
    }

    /// Looks at what was held back.
    fn look_at_input(&mut self) {
        while self.holds_new_input() {
            let mut input = std::mem::take(&mut self.input);
            match self.look_at(&mut input) {
                Look::Passable(passable) => (self.input, self.passable) = (input, passable),
                Look::Replaced(replaced) => self.input = replaced,
                Look::End => return,
            }
        }
    }

    /// Writes an answer that no handler has made, and begins to end the connection. If a handler has begun to answer,
    /// only ends the connection.
    fn refuse(&mut self, status: StatusCode, detail: &str) -> Look {
        let is_begun = matches!(self.shared.answer.get(), Answer::Begun | Answer::Encoded | Answer::Written);
        if let Some((socket, _)) = &*self.shared.socket.borrow() {
            if !is_begun {
                let response = raw_response::encode(Problem::new(status, detail).json_response());
                // As far as the socket takes it. Straight to the kernel: the reactor may not know yet that it is writable.
                let _ = rustix::net::send(socket, &response, SendFlags::empty());
            }
            let _ = SockRef::from(socket).shutdown(Shutdown::Write);
            while matches!(socket.try_read(&mut [0; DISCARD_BYTES]), Ok(DISCARD_BYTES)) {}
        }
        self.shared.answer.set(Answer::Refused);
        self.deadline.set(LINGER_TIMEOUT);
        Look::End
    }

    /// Refuses a request in the place of actix's parser, which has written its own answer, without a body.
    fn refuse_unparsed(&mut self, answer: &[u8]) {
        let status = answer.get(9..12).and_then(|code| StatusCode::from_bytes(code).ok());
        self.refuse(status.unwrap_or(StatusCode::BAD_REQUEST), "The request is malformed.");
    }

    /// Begins with the next request if the current one has arrived and its answer was written.
    fn begin_next_request(&mut self) {
        if self.shared.answer.get() != Answer::Written || !matches!(self.expected, Expected::Nothing) {
            return;
        }
        self.shared.answer.set(Answer::NotOwed);
        self.expected = Expected::Head(Head::default());
        self.deadline.set(IDLE_TIMEOUT);
        if let Some((_, permit)) = &*self.shared.socket.borrow() {
            permit.end_answer();
        }
    }

    /// Notes whether the socket takes no more of an answer. While it does not, the connection may have to make way: a
    /// client that never reads must not keep the place.
    fn note_blocked(&mut self, is_blocked: bool) {
        self.is_blocked = is_blocked;
        if let Some((_, permit)) = &*self.shared.socket.borrow() {
            if is_blocked {
                permit.end_answer();
            } else if !permit.begin_answer() {
                return; // revoked, which the next read notices
            }
        }
        if !is_blocked && matches!(self.expected, Expected::Nothing) {
            self.deadline.set(IDLE_TIMEOUT);
        }
    }

    /// Is ready when the connection has to end, or was refused: its deadline was reached, or another connection needs
    /// the place.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some((_, permit)) = &*self.shared.socket.borrow() {
            permit.wake_when_revoked(cx.waker());
            if permit.is_revoked() {
                return Poll::Ready(());
            }
        }
        ready!(self.deadline.poll(cx));
        self.expire();
        Poll::Ready(())
    }

    /// Refuses a request that did not arrive in time. A connection that only was idle ends without a word.
    fn expire(&mut self) {
        let (part, timeout) = match &self.expected {
            Expected::Head(head) if !head.is_empty() => ("head", HEAD_TIMEOUT),
            Expected::Body(_) => ("body", BODY_TIMEOUT),
            Expected::Head(_) | Expected::Nothing => return,
        };
        let detail = format!("The {part} of the request did not arrive within {} seconds.", timeout.as_secs());
        self.refuse(StatusCode::REQUEST_TIMEOUT, &detail);
    }

    /// Reads from the socket into `buf` and returns the number of bytes: 0 if the client has closed the connection, or if
    /// it is this node's no longer.
    fn poll_socket(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let before = buf.filled().len();
        match &mut *self.shared.socket.borrow_mut() {
            Some((socket, permit)) if !permit.is_revoked() => ready!(Pin::new(socket).poll_read(cx, buf))?,
            _ => {}
        }
        Poll::Ready(Ok(buf.filled().len() - before))
    }

    /// Takes what was received into `buf` after its first `before` bytes, and leaves there what can be passed on at once.
    fn receive(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        let received = &mut buf.filled_mut()[before..];
        let mut passable = 0;
        if !self.input.is_empty() || matches!(self.expected, Expected::Nothing) {
            self.input.extend_from_slice(received);
        } else if matches!(self.expected, Expected::Body(_)) && self.deadline.has_passed() {
            self.expire(); // a body that never pauses
        } else {
            match self.look_at(received) {
                Look::Passable(length) => {
                    self.input.extend_from_slice(&received[length..]);
                    passable = length;
                }
                Look::Replaced(replaced) => self.input = replaced,
                Look::End => {}
            }
        }
        buf.set_filled(before + passable);
    }

    /// Discards what still arrives after a refusal, until the client closes the connection or the deadline is reached.
    fn poll_linger(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        while !self.deadline.has_passed() {
            match self.poll_socket(cx, buf)? {
                Poll::Ready(0) => break,
                Poll::Ready(_) => buf.set_filled(before),
                Poll::Pending => ready!(self.deadline.poll(cx)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for ConnectionIo {
    /// Passes on what belongs to the current request. The end of a connection looks as if the client had closed it.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        loop {
            this.begin_next_request();
            this.look_at_input();
            if this.shared.answer.get() == Answer::Refused {
                return this.poll_linger(cx, buf);
            }
            if this.passable > 0 {
                let length = this.passable.min(buf.remaining());
                buf.put_slice(&this.input[..length]);
                this.input.drain(..length);
                this.passable -= length;
                return Poll::Ready(Ok(()));
            }
            // With a request held back, nothing more is read.
            let is_read = this.input.is_empty() || !matches!(this.expected, Expected::Nothing);
            match if is_read { this.poll_socket(cx, buf)? } else { Poll::Pending } {
                Poll::Ready(0) => return Poll::Ready(Ok(())),
                Poll::Ready(_) => this.receive(buf, before),
                Poll::Pending => {
                    ready!(this.poll_end(cx));
                    if this.shared.answer.get() != Answer::Refused {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for ConnectionIo {
    /// Writes an answer that is owed, and nothing else: a client gets no byte that it did not ask for.
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.shared.answer.get() {
            Answer::NotOwed | Answer::Refused => return Poll::Ready(Ok(bytes.len())),
            Answer::Parsing => {
                this.refuse_unparsed(bytes);
                return Poll::Ready(Ok(bytes.len()));
            }
            Answer::Owed | Answer::Begun | Answer::Encoded | Answer::Written => {}
        }
        let written = match &mut *this.shared.socket.borrow_mut() {
            Some((socket, _)) => Pin::new(socket).poll_write(cx, bytes),
            None => Poll::Ready(Ok(bytes.len())), // what actix still has to say after the socket was taken
        };
        if this.is_blocked || written.is_pending() {
            this.note_blocked(written.is_pending());
        }
        if written.is_pending() {
            ready!(this.poll_end(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        written
    }

    /// actix flushes when it has written all that it has.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.shared.advance(Answer::Encoded, Answer::Written);
        this.begin_next_request();
        if this.holds_new_input() {
            cx.waker().wake_by_ref(); // a request was held back
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.shared.socket.borrow_mut() {
            Some((socket, _)) => Pin::new(socket).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests;
