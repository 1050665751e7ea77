//! The floor: a server that costs hardly more than the kernel. One thread and one epoll; the body of a POST is the
//! chunk with the frame, and is written to each reader of the room. It checks nothing, and has no log: only the newest
//! chunks of a room, for readers who come back.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::SocketAddr,
    thread,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

const LISTENER: Token = Token(usize::MAX);
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const ACCEPTED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

struct Connection {
    stream: TcpStream,
    inbox: Vec<u8>,
    /// Bytes that the socket did not accept yet.
    outbox: Vec<u8>,
}

impl Connection {
    /// Writes what the socket accepts, and keeps the rest in `outbox`.
    fn write(&mut self, bytes: &[u8]) {
        if self.outbox.is_empty() {
            let written = self.stream.write(bytes).unwrap_or(0);
            self.outbox.extend_from_slice(&bytes[written..]);
        } else {
            self.outbox.extend_from_slice(bytes);
        }
    }

    fn flush(&mut self) {
        while !self.outbox.is_empty() {
            match self.stream.write(&self.outbox) {
                Ok(written) if written > 0 => drop(self.outbox.drain(..written)),
                _ => return,
            }
        }
    }

    /// Reads all available bytes into `inbox`. Returns false if the peer has closed the connection.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(length) => self.inbox.extend_from_slice(&buffer[..length]),
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }
}

/// How much is kept of a room, in bytes. If there is more, all of it is dropped.
const MAX_PAST_BYTES: usize = 1 << 20;

/// A request: the path of its room, and the id after which the reader continues or the chunk to publish.
enum Request {
    Subscribe(String, Option<String>),
    Publish(String, Vec<u8>),
}

#[derive(Default)]
struct Room {
    readers: Vec<usize>,
    /// The newest chunks.
    past: Vec<u8>,
    /// The id that was looked up last, and where the chunks after it begin.
    looked_up: Option<(String, usize)>,
}

impl Room {
    fn keep(&mut self, chunk: &[u8]) {
        if self.past.len() + chunk.len() > MAX_PAST_BYTES {
            (self.past, self.looked_up) = (Vec::new(), None);
        }
        self.past.extend_from_slice(chunk);
    }

    /// Returns the chunks after the one with an id.
    fn after(&mut self, id: String) -> &[u8] {
        if self.looked_up.as_ref().is_none_or(|(known, _)| *known != id) {
            let found = memchr::memmem::find(&self.past, format!("id: {id}\n").as_bytes());
            let end = found.and_then(|start| Some(start + memchr::memmem::find(&self.past[start..], b"\n\n\r\n")? + 4));
            self.looked_up = Some((id, end.unwrap_or(self.past.len())));
        }
        self.looked_up.as_ref().map_or(&[], |(_, start)| &self.past[*start..])
    }
}

struct Floor {
    poll: Poll,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    rooms: HashMap<String, Room>,
}

/// Serves until the process is killed.
///
/// # Errors
/// When the address cannot be bound or epoll fails.
pub fn serve(address: SocketAddr) -> io::Result<()> {
    let poll = Poll::new()?;
    let listener = std::net::TcpListener::from(
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .and_then(|socket| socket.bind(&address.into()).and(socket.listen(4096)).map(|()| socket))?,
    );
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut floor = Floor { poll, listener, connections: Vec::new(), rooms: HashMap::new() };
    let mut events = Events::with_capacity(1024);
    loop {
        floor.poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                LISTENER => floor.accept()?,
                Token(number) => floor.serve(number, event.is_readable()),
            }
        }
    }
}

impl Floor {
    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((mut stream, _)) => {
                    stream.set_nodelay(true)?;
                    let token = Token(self.connections.len());
                    let both = Interest::READABLE | Interest::WRITABLE;
                    self.poll.registry().register(&mut stream, token, both)?;
                    self.connections.push(Some(Connection { stream, inbox: Vec::new(), outbox: Vec::new() }));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // Too many open files: serves the connections that there are.
                Err(_) => {
                    thread::yield_now();
                    return Ok(());
                }
            }
        }
    }

    fn serve(&mut self, number: usize, readable: bool) {
        let Some(Some(connection)) = self.connections.get_mut(number) else {
            return;
        };
        connection.flush();
        if readable && !connection.fill() {
            self.connections[number] = None;
            return;
        }
        while let Some(request) = self.connections[number].as_mut().and_then(|found| take_request(&mut found.inbox)) {
            match request {
                Request::Subscribe(room, after) => self.subscribe(number, room, after),
                Request::Publish(room, frame) => self.publish(number, &room, &frame),
            }
        }
    }

    fn subscribe(&mut self, number: usize, room: String, after: Option<String>) {
        let room = self.rooms.entry(room).or_default();
        if let Some(connection) = &mut self.connections[number] {
            match after {
                Some(id) => connection.write(&[HEAD, room.after(id)].concat()),
                None => connection.write(HEAD),
            }
            connection.inbox = Vec::new();
        }
        room.readers.push(number);
    }

    fn publish(&mut self, number: usize, room: &str, frame: &[u8]) {
        if let Some(room) = self.rooms.get_mut(room) {
            for reader in &room.readers {
                if let Some(reader) = &mut self.connections[*reader] {
                    reader.write(frame);
                }
            }
            room.keep(frame);
        }
        if let Some(publisher) = &mut self.connections[number] {
            publisher.write(ACCEPTED);
        }
    }
}

/// Removes the next complete request from `inbox`.
fn take_request(inbox: &mut Vec<u8>) -> Option<Request> {
    let end = inbox.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&inbox[..end]).into_owned();
    let mut words = head.split(' ');
    let (method, path) = (words.next()?, words.next()?.to_owned());
    if method == "GET" {
        inbox.drain(..end);
        let after = head.lines().find_map(|line| line.strip_prefix("Last-Event-ID: "));
        return Some(Request::Subscribe(path, after.map(str::to_owned)));
    }
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?;
    let whole = end + length.trim().parse::<usize>().ok()?;
    let body = inbox.get(end..whole)?.to_vec();
    inbox.drain(..whole);
    Some(Request::Publish(path, body))
}
