//! As much of HTTP/1.1 as the clients of the load need, over plain sockets: thousands of streams a minute cost little.

use std::{io, net::SocketAddr, time::Duration};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// How long a connection may take to open, and an answer to begin and to end.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest head of an answer in bytes.
const MAX_HEAD: usize = 16 * 1024;

pub struct Connection {
    stream: TcpStream,
    /// What was read and not yet used.
    buffer: Vec<u8>,
}

/// The head of an answer, as far as the clients need it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Head {
    pub status: u16,
    pub content_length: usize,
    pub closes: bool,
    /// Seconds.
    pub retry_after: Option<f64>,
}

impl Connection {
    /// Connects. A small `receive_buffer` makes a slow reader felt soon.
    pub async fn open(address: SocketAddr, receive_buffer: Option<u32>) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(size) = receive_buffer {
            socket.set_recv_buffer_size(size)?;
        }
        let stream = timeout(RESPONSE_TIMEOUT, socket.connect(address)).await??;
        SockRef::from(&stream).set_tcp_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends a request, and returns the head of its answer.
    pub async fn send(&mut self, request: &[u8]) -> io::Result<Head> {
        self.stream.write_all(request).await?;
        timeout(RESPONSE_TIMEOUT, self.read_head()).await?
    }

    async fn read_head(&mut self) -> io::Result<Head> {
        loop {
            if let Some(end) = find_end(&self.buffer) {
                let head = Head::parse(&self.buffer[..end]);
                self.buffer.drain(..end);
                return head.ok_or_else(|| io::ErrorKind::InvalidData.into());
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.fill().await?;
        }
    }

    /// Returns the body of an answer that states its length.
    pub async fn body(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        let complete = async {
            while self.buffer.len() < head.content_length {
                self.fill().await?;
            }
            Ok(self.buffer.drain(..head.content_length).collect())
        };
        timeout(RESPONSE_TIMEOUT, complete).await?
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Returns what comes next, at most `limit` bytes; nothing at the end. Loses nothing if it is cancelled.
    pub async fn next(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.buffer.reserve(limit);
            (&mut self.stream).take(limit as u64).read_buf(&mut self.buffer).await?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }
}

fn find_end(buffer: &[u8]) -> Option<usize> {
    buffer.windows(4).position(|window| window == b"\r\n\r\n").map(|start| start + 4)
}

impl Head {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let mut head = Self { status, ..Self::default() };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.content_length = value.parse().ok()?,
                "connection" => head.closes = value.eq_ignore_ascii_case("close"),
                "retry-after" => head.retry_after = value.parse().ok(),
                _ => {}
            }
        }
        Some(head)
    }
}

/// Takes the chunks off a body that arrives in pieces of any size.
#[derive(Debug, Default)]
pub struct Chunks {
    /// The bytes of the current chunk that are still to come, with the line break after it.
    left: usize,
    /// The line with the size of the next chunk, as far as it has come.
    size: String,
}

impl Chunks {
    /// Returns the bytes in a piece of the body, or `None` if it is not chunked.
    pub fn decode(&mut self, mut input: &[u8]) -> Option<Vec<u8>> {
        let mut output = Vec::with_capacity(input.len());
        while let Some(byte) = input.first() {
            if self.left > 0 {
                let (now, rest) = input.split_at(self.left.min(input.len()));
                // The last two bytes of what is left are the line break.
                let data = self.left.saturating_sub(2).min(now.len());
                output.extend_from_slice(&now[..data]);
                self.left -= now.len();
                input = rest;
                continue;
            }
            match byte {
                b'\n' => self.left = usize::from_str_radix(std::mem::take(&mut self.size).trim(), 16).ok()? + 2,
                byte => self.size.push(char::from(*byte)),
            }
            input = &input[1..];
        }
        Some(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_taken_off_pieces_of_any_size() {
        let body = b"5\r\nhello\r\n1\r\n \r\nb\r\nworld\r\nwide\r\n";
        for size in 1..body.len() {
            let mut chunks = Chunks::default();
            let pieces: Vec<u8> = body.chunks(size).filter_map(|piece| chunks.decode(piece)).flatten().collect();
            assert_eq!(pieces, b"hello world\r\nwide", "pieces of {size}");
        }
        assert!(Chunks::default().decode(b"id: 1\n\n").is_none());
    }
}
