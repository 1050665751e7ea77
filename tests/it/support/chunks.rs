//! The chunks of a stream's body (RFC 9112 § 7.1).

/// Moves whole chunks from what was received to the body.
///
/// # Panics
///
/// If a chunk is the last one, which is never sent, or does not end with these bytes.
pub fn take_chunks(received: &mut Vec<u8>, body: &mut Vec<u8>, end: &[u8]) {
    while let Some(header) = received.windows(2).position(|pair| pair == b"\r\n") {
        let length = std::str::from_utf8(&received[..header]).ok().filter(|hex| !hex.starts_with('0'));
        let length = length.and_then(|hex| usize::from_str_radix(hex, 16).ok()).expect("the length of a chunk");
        let (start, until) = (header + 2, header + 2 + length);
        if received.len() < until + 2 {
            return;
        }
        let chunk = &received[start..until];
        assert!(chunk.ends_with(end), "not whole frames: {:?}", String::from_utf8_lossy(chunk));
        assert_eq!(received[until..until + 2], *b"\r\n", "after a chunk");
        body.extend_from_slice(chunk);
        received.drain(..until + 2);
    }
}
