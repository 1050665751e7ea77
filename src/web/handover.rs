//! The handover of a subscriber's socket from actix to the hub.
//!
//! When a client connects, [`duplicate_connection`] stores a duplicate of its socket. The subscribe
//! handler [takes](take_connection) the duplicate and [releases](release) actix's own: it answers
//! with a body that fails at once, so that actix closes its socket without a write and without a
//! shutdown. The duplicate is then the only one, and the hub writes the
//! [response head](encode_head) to it, then frames.

use std::any::Any;
use std::cell::Cell;
use std::fmt::Write;
use std::net::TcpStream as StdStream;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Extensions;
use actix_web::http::header::{HeaderName, HeaderValue, HttpDate};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use socket2::{SockRef, Socket};
use tokio::net::TcpStream;

/// How long written bytes may stay unacknowledged before the kernel closes a connection.
const STREAM_TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// The kernel's send buffer per connection. A larger one would only hide that a client is slow.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// The log target under which actix reports each body that fails, and so each handover.
pub const ACTIX_DISPATCHER_TARGET: &str = "actix_http::h1::dispatcher";

/// The duplicate of a connection's socket, until it is taken.
struct Duplicate(Cell<Option<Socket>>);

/// Sets the socket options of a new connection and stores a duplicate of its socket in `data`.
///
/// If the socket cannot be duplicated, nothing is stored and the client cannot subscribe.
pub(crate) fn duplicate_connection(connection: &dyn Any, data: &mut Extensions) {
    let Some(connection) = connection.downcast_ref::<TcpStream>() else {
        return;
    };
    let socket = SockRef::from(connection);
    let _ = socket.set_tcp_user_timeout(Some(STREAM_TCP_USER_TIMEOUT));
    let _ = socket.set_send_buffer_size(SEND_BUFFER_BYTES);
    if let Ok(duplicate) = socket.try_clone() {
        data.insert(Duplicate(Cell::new(Some(duplicate))));
    }
}

/// Takes the duplicate of a request's connection, not yet registered with a reactor.
pub(super) fn take_connection(req: &HttpRequest) -> Option<StdStream> {
    req.conn_data::<Duplicate>()?.0.take().map(StdStream::from)
}

/// Encodes the status line and headers of a response whose body ends when the connection closes.
pub(super) fn encode_head(response: &HttpResponse, more: &[(HeaderName, HeaderValue)]) -> Bytes {
    let date = HttpDate::from(SystemTime::now());
    let mut head =
        format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n");
    for (name, value) in response.headers().iter().chain(more.iter().map(|(name, value)| (name, value))) {
        // Writing to a String cannot fail. Values are constants or origins equal to a configured one,
        // so none contains a line break.
        let _ = write!(head, "{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()));
    }
    head.push_str("\r\n");
    head.into()
}

/// Returns the response that makes actix close its own copy of the connection's socket.
pub(super) fn release() -> HttpResponse {
    HttpResponse::Ok().body(FailingBody)
}

/// A body that fails before its first byte.
struct FailingBody;

impl MessageBody for FailingBody {
    type Error = std::io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(Some(Err(std::io::Error::other("the connection was handed over"))))
    }
}
