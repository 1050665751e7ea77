//! How a reader's socket leaves actix.
//!
//! [`keep`] puts a duplicate of every connection beside it. The subscribe handler [takes](take) it
//! and answers with a body that [fails at once](let_go), which makes actix close its own copy
//! without having written a byte and without a shutdown. From then on the duplicate is the only one
//! there is, and the hub gives it to the reactor of one of the workers. What would have been the
//! response's [head] is written by the hub, with `Connection: close` and no length.

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

/// A peer that acknowledges no byte for so long is gone, or does not read.
const PEER_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes that the kernel keeps for a peer that does not read; more would only hide that.
const SEND_BUFFER: usize = 64 << 10;

/// The log target under which actix reports each body that fails.
pub const NOISE: &str = "actix_http::h1::dispatcher";

/// The duplicate of a connection, until it is taken.
struct Spare(Cell<Option<Socket>>);

/// Prepares a new connection. Where it cannot be duplicated, its readers are told that it is full.
pub fn keep(connection: &dyn Any, data: &mut Extensions) {
    let Some(connection) = connection.downcast_ref::<TcpStream>() else {
        return;
    };
    let socket = SockRef::from(connection);
    let _ = socket.set_tcp_user_timeout(Some(PEER_TIMEOUT));
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    if let Ok(duplicate) = socket.try_clone() {
        data.insert(Spare(Cell::new(Some(duplicate))));
    }
}

/// Takes the connection of a request, off every reactor.
pub fn take(req: &HttpRequest) -> Option<StdStream> {
    req.conn_data::<Spare>()?.0.take().map(StdStream::from)
}

/// The head of a response, for the hub to write.
pub fn head(response: &HttpResponse, more: &[(HeaderName, HeaderValue)]) -> Bytes {
    let date = HttpDate::from(SystemTime::now());
    let mut head =
        format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n");
    for (name, value) in response.headers().iter().chain(more.iter().map(|(name, value)| (name, value))) {
        // Writing to a String cannot fail, and values are either our own or were compared with it.
        let _ = write!(head, "{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()));
    }
    head.push_str("\r\n");
    head.into()
}

/// The answer that makes actix let go of its copy of the connection.
pub fn let_go() -> HttpResponse {
    HttpResponse::Ok().body(HandedOver)
}

/// A body that fails before its first byte.
struct HandedOver;

impl MessageBody for HandedOver {
    type Error = std::io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(Some(Err(std::io::Error::other("handed over"))))
    }
}
