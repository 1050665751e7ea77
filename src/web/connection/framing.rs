//! Where the body of a request ends.

/// The part of a body that has not arrived.
#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks (RFC 9112 § 7.1).
    Chunks(ChunkState, u64),
}

/// A body that breaks the syntax of chunks.
#[derive(Debug, PartialEq, Eq)]
pub struct MalformedChunk;

/// What comes next in a body of chunks. The states, and what each accepts, are those of actix's parser: what actix
/// refuses never reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkState {
    FirstDigit,
    Digits,
    Space,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The line after the last chunk: empty, or the beginning of a trailer.
    EndCr,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

impl Body {
    /// Returns the body of a request that has this `Content-Length`.
    pub fn of_length(length: u64) -> Self {
        Body::Length(length)
    }

    /// Returns a body that arrives in chunks.
    pub fn chunked() -> Self {
        Body::Chunks(ChunkState::FirstDigit, 0)
    }

    /// Returns true if the whole body has arrived.
    pub fn is_complete(&self) -> bool {
        matches!(self, Body::Length(0) | Body::Chunks(ChunkState::End, _))
    }

    /// Returns how many of the bytes that arrived belong to the body.
    ///
    /// # Errors
    /// If they break the syntax of chunks.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<usize, MalformedChunk> {
        match self {
            Body::Length(rest) => {
                let length = usize::try_from(*rest).unwrap_or(usize::MAX).min(bytes.len());
                *rest -= length as u64;
                Ok(length)
            }
            Body::Chunks(state, size) => {
                let mut at = 0;
                while at < bytes.len() && *state != ChunkState::End {
                    let skipped = match state {
                        ChunkState::Data => usize::try_from(*size).unwrap_or(usize::MAX).min(bytes.len() - at),
                        _ => 1,
                    };
                    *state = state.after(bytes[at], size, skipped as u64)?;
                    at += skipped;
                }
                Ok(at)
            }
        }
    }
}

impl ChunkState {
    /// Returns the state after a byte or, for data, after `skipped` of the `size` bytes of the chunk.
    fn after(self, byte: u8, size: &mut u64, skipped: u64) -> Result<Self, MalformedChunk> {
        use ChunkState::{
            Data, DataCr, DataLf, Digits, End, EndCr, EndLf, Extension, FirstDigit, SizeLf, Space, Trailer, TrailerLf,
        };
        let digit = || char::from(byte).to_digit(16).map(u64::from);
        Ok(match (self, byte) {
            (FirstDigit, _) => {
                *size = digit().ok_or(MalformedChunk)?;
                Digits
            }
            (Digits | Space, b'\t' | b' ') => Space,
            (Digits | Space, b';') => Extension,
            (Digits | Space | Extension, b'\r') => SizeLf,
            (Digits, _) => {
                let digit = digit().ok_or(MalformedChunk)?;
                *size = size.checked_mul(16).ok_or(MalformedChunk)? + digit;
                Digits
            }
            (Extension, b'\t' | b' '..=b'~' | 0x80..) => Extension,
            (SizeLf, b'\n') if *size == 0 => EndCr,
            (SizeLf, b'\n') => Data,
            (Data, _) => {
                *size -= skipped;
                if *size == 0 { DataCr } else { Data }
            }
            (DataCr, b'\r') => DataLf,
            (DataLf, b'\n') => FirstDigit,
            (EndCr, b'\r') => EndLf,
            (Trailer, b'\r') => TrailerLf,
            (EndCr | Trailer, _) => Trailer,
            (TrailerLf, b'\n') => EndCr,
            (EndLf, b'\n') => End,
            _ => return Err(MalformedChunk),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_after_its_length() {
        let mut body = Body::of_length(5);
        assert_eq!(body.advance(b"abc"), Ok(3));
        assert!(!body.is_complete());
        assert_eq!(body.advance(b"deGET /"), Ok(2));
        assert!(body.is_complete());
        assert_eq!(body.advance(b"GET /"), Ok(0));
    }

    #[test]
    fn chunks_end_with_an_empty_one() {
        for chunks in
            ["0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "0a ;x=y\r\n0\r\n\r\n01234\r\n1\r\nx\r\n0\r\nX: y\r\n\r\n"]
        {
            for pieces in [1, 2, 1000] {
                let mut body = Body::chunked();
                for piece in chunks.as_bytes().chunks(pieces) {
                    assert!(!body.is_complete(), "{chunks:?}");
                    assert_eq!(body.advance(piece), Ok(piece.len()), "{chunks:?}");
                }
                assert!(body.is_complete(), "{chunks:?}");
            }
            assert_eq!(Body::chunked().advance(format!("{chunks}GET /").as_bytes()), Ok(chunks.len()));
        }
    }

    #[test]
    fn malformed_chunks_are_noticed() {
        for chunks in ["\r\n", "x\r\n", "1\n", "1\r\nab", "1\r\na\n", "1 1\r\n", "1;\u{1}\r\n", "11111111111111111\r\n"]
        {
            assert_eq!(Body::chunked().advance(chunks.as_bytes()), Err(MalformedChunk), "{chunks:?}");
        }
    }
}
