//! Bodies that count in the node's budget until they were sent.

use std::convert::Infallible;

use actix_web::body::{BodyStream, BoxBody, SizedStream};
use bytes::Bytes;
use futures_util::stream::{self, Stream};

use super::guarded_body::GuardedBody;
use crate::hub::AnswerPermit;

/// The bytes that actix gets at once: it buffers them without counting them.
const CHUNK_BYTES: usize = 16 << 10;

/// Returns a body of these bytes, which holds the permit for them until they were sent.
pub(super) fn held_bytes(bytes: Bytes, mut permit: AnswerPermit) -> BoxBody {
    permit.shrink_to(bytes.len());
    let length = bytes.len();
    let chunks = (0..length).step_by(CHUNK_BYTES);
    let chunks = chunks.map(move |from| Ok::<_, Infallible>(bytes.slice(from..length.min(from + CHUNK_BYTES))));
    BoxBody::new(GuardedBody::new(SizedStream::new(length as u64, stream::iter(chunks)), permit))
}

/// Returns a body of chunks that are made when they are sent, which holds the permit for one of them until the last one
/// was sent.
pub(super) fn held_stream<E: std::error::Error + 'static>(
    chunks: impl Stream<Item = Result<Bytes, E>> + 'static,
    permit: AnswerPermit,
) -> BoxBody {
    BoxBody::new(GuardedBody::new(BodyStream::new(Box::pin(chunks)), permit))
}
