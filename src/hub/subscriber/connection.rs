//! The write side of one subscriber's socket.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::task::{Context, Waker};
use std::time::Instant;

use bytes::{Buf, Bytes};
use rustix::net::SendFlags;
use socket2::SockRef;
use tokio::net::TcpStream;

use super::end_reason::EndReason;

/// How many bytes of unexpected input are discarded with one system call.
const DISCARD_BYTES: usize = 512;

/// How often that is done at one look: a client that sends more than 1 MiB in between is ended.
const MAX_DISCARDS: usize = 2048;

/// The most frames that are written with one system call: `IOV_MAX` of Linux.
const MAX_WRITE_SLICES: usize = 1024;

/// A socket, and the rest of a frame that it has taken in part.
pub struct Connection {
    socket: TcpStream,
    unsent: Bytes,
    /// When the socket last took a byte. A group that writes to many subscribers keeps its own time.
    pub last_write: Instant,
}

impl Connection {
    /// Takes a socket over. `head` is written before anything else.
    pub fn new(socket: TcpStream, head: Bytes) -> Self {
        Self { socket, unsent: head, last_write: Instant::now() }
    }

    /// Returns true if everything that was passed to this connection has been written.
    pub fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Writes as much as the socket takes now: 0 if it is full.
    pub fn try_write(&self, bytes: &[u8]) -> Result<usize, EndReason> {
        // Straight to the kernel: only a full socket has to register with the reactor.
        let written = rustix::net::send(&self.socket, bytes, SendFlags::empty()).map_err(io::Error::from);
        settle(written.or_else(|_| self.socket.try_write(bytes)))
    }

    /// Appends bytes to what has to be written.
    pub fn queue(&mut self, bytes: Bytes) {
        self.unsent = if self.unsent.is_empty() {
            bytes
        } else {
            [std::mem::take(&mut self.unsent), bytes].concat().into()
        };
    }

    /// Writes frames as far as the socket takes them now, and returns how many are written. The last of them may be written
    /// in part, or not at all: its rest has to be written before anything else. Everything that was passed before has to
    /// be written.
    pub fn write_frames(&mut self, frames: &[Bytes], now: Instant) -> Result<usize, EndReason> {
        let mut taken = 0;
        for chunk in frames.chunks(MAX_WRITE_SLICES) {
            let slices: Vec<_> = chunk.iter().map(|frame| IoSlice::new(frame)).collect();
            let written = self.try_write_vectored(&slices)?;
            let mut written = self.note_written(written, now);
            for frame in chunk {
                taken += 1;
                if written < frame.len() {
                    self.unsent = frame.slice(written..);
                    return Ok(taken);
                }
                written -= frame.len();
            }
        }
        Ok(taken)
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> Result<usize, EndReason> {
        let written = rustix::io::writev(&self.socket, slices).map_err(io::Error::from);
        settle(written.or_else(|_| self.socket.try_write_vectored(slices)))
    }

    /// Writes what has to be written, and then as much of these bytes as the socket takes now. Returns how many of them it
    /// took.
    pub fn write_next(&mut self, bytes: &[u8], now: Instant) -> Result<usize, EndReason> {
        let written = self.try_write_vectored(&[IoSlice::new(&self.unsent), IoSlice::new(bytes)])?;
        Ok(self.note_written(written, now))
    }

    /// Notes that the socket took so many bytes: first what had to be written, and then others, whose number is returned.
    fn note_written(&mut self, written: usize, now: Instant) -> usize {
        if written > 0 {
            self.last_write = now;
        }
        let of_unsent = written.min(self.unsent.len());
        self.unsent.advance(of_unsent);
        if self.unsent.is_empty() {
            self.unsent = Bytes::new(); // it would keep the memory of what was written
        }
        written - of_unsent
    }

    /// Replaces what has to be written, after a batch was written in part.
    pub fn set_unsent(&mut self, unsent: Bytes) {
        self.unsent = unsent;
    }

    /// Writes as much of what has to be written as the socket takes now.
    pub fn try_flush(&mut self, now: Instant) -> Result<(), EndReason> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let written = self.try_write(&self.unsent)?;
        self.note_written(written, now);
        Ok(())
    }

    /// Waits until the socket takes bytes.
    pub async fn writable(&self) -> Result<(), EndReason> {
        self.socket.writable().await.map_err(|_| EndReason::Closed)
    }

    /// Discards input, of which a subscriber has none to send, and notices that the client closed the connection.
    pub fn check_closed(&self) -> Result<(), EndReason> {
        let mut discarded = [0; DISCARD_BYTES];
        // The end comes after all input.
        for _ in 0..MAX_DISCARDS {
            match self.socket.try_read(&mut discarded) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Ok(0) | Err(_) => break,
            }
        }
        Err(EndReason::Closed)
    }

    /// Waits until the client closes the connection.
    pub async fn closed(&self) {
        while self.socket.readable().await.is_ok() && self.check_closed().is_ok() {}
    }

    /// Looks at the input if there is any, and has the waker woken when there is more.
    pub fn check_input(&self, waker: &Waker) -> Result<(), EndReason> {
        let mut context = Context::from_waker(waker);
        if self.socket.poll_read_ready(&mut context).is_pending() {
            return Ok(());
        }
        self.check_closed()?;
        if self.socket.poll_read_ready(&mut context).is_ready() {
            waker.wake_by_ref();
        }
        Ok(())
    }

    /// Closes the connection. If there is a last frame, first writes what is unsent and then that frame, as far as the
    /// socket takes them now.
    pub fn close(self, last_frame: Option<Bytes>) {
        if let Some(last_frame) = last_frame {
            let _ = self.try_write(&[&self.unsent[..], &last_frame].concat());
        }
        let _ = SockRef::from(&self.socket).shutdown(Shutdown::Write);
    }
}

/// Takes the result of a write: 0 bytes if the socket is full.
fn settle(written: io::Result<usize>) -> Result<usize, EndReason> {
    match written {
        Ok(written) => Ok(written),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(_) => Err(EndReason::Closed),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::hub::test_node::small_socket;

    #[tokio::test]
    async fn what_waits_is_written_before_what_is_new() {
        let (socket, mut client) = small_socket().await;
        let mut connection = Connection::new(socket, Bytes::from_static(b"head "));
        let text: Vec<u8> = (0..40_000_u32).flat_map(|number| format!("{number} ").into_bytes()).collect();
        let mut new = &text[..];
        loop {
            let taken = connection.write_next(new, Instant::now()).unwrap();
            new = &new[taken..];
            if taken == 0 {
                break; // the client reads nothing yet
            }
        }
        connection.queue(Bytes::copy_from_slice(&new[..5]));
        new = &new[5..];
        let reader = std::thread::spawn(move || {
            let mut received = Vec::new();
            client.read_to_end(&mut received).unwrap();
            received
        });
        while !new.is_empty() || !connection.is_flushed() {
            connection.writable().await.unwrap();
            let taken = connection.write_next(new, Instant::now()).unwrap();
            new = &new[taken..];
        }
        drop(connection);
        let received = reader.join().unwrap();
        assert!(received == [b"head ", &text[..]].concat(), "{} of {} bytes", received.len(), text.len() + 5);
    }
}
