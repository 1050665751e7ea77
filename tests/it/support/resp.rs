//! As much of Redis' protocol (RESP3) as it takes to find announcements in what a server sends.

/// How messages of Pub/Sub begin, on one server and on a cluster.
const MESSAGES: [&[u8]; 2] = [b">3\r\n$7\r\nmessage\r\n", b">3\r\n$8\r\nsmessage\r\n"];

/// The values that arrive on a connection.
#[derive(Default)]
pub struct Values {
    /// The beginning of a value that has not arrived whole.
    pending: Vec<u8>,
}

impl Values {
    /// Adds what was received, and returns the whole values in it, with the messages of Pub/Sub or without.
    pub fn take(&mut self, received: &[u8], with_messages: bool) -> Vec<u8> {
        self.pending.extend_from_slice(received);
        let mut kept = Vec::new();
        while let Some(length) = length(&self.pending) {
            let value: Vec<u8> = self.pending.drain(..length).collect();
            if with_messages || !MESSAGES.iter().any(|start| value.starts_with(start)) {
                kept.extend(value);
            }
        }
        kept
    }
}

/// Returns the length of the first value, if it is whole.
fn length(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let header = line + 2;
    let count = || std::str::from_utf8(&bytes[1..line]).ok()?.parse::<i64>().ok();
    let members = match bytes[0] {
        b'$' | b'!' | b'=' => {
            let end = header + usize::try_from(count()?).map_or(0, |length| length + 2);
            return (bytes.len() >= end).then_some(end);
        }
        b'*' | b'~' | b'>' => count()?.max(0),
        b'%' | b'|' => 2 * count()?,
        _ => 0,
    };
    (0..members).try_fold(header, |end, _| Some(end + length(bytes.get(end..)?)?))
}
