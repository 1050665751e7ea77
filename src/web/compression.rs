//! Pages and assets go out compressed, streams never: a compressor holds back what was written.
//!
//! RFC 9110 § 12.5.3: the client says which codings it takes.

use std::io::Write;

use actix_web::HttpRequest;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{self, AcceptEncoding, ContentEncoding, Encoding, Header, HeaderMap, HeaderValue};
use bytes::Bytes;

/// How much work the compression may cost: what is made for one request, and what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Fractions of a millisecond for a page.
    Once,
    /// As much as it takes to be small.
    Kept,
}

/// The codings we can answer with, the one we like best first.
const CODINGS: [ContentEncoding; 2] = [ContentEncoding::Brotli, ContentEncoding::Gzip];

/// The coding for an answer; `None` where it goes out as it is.
pub fn negotiate(req: &HttpRequest) -> Option<ContentEncoding> {
    let accepted = AcceptEncoding::parse(req).ok()?;
    let known = CODINGS.iter().map(|coding| Encoding::Known(*coding)).chain([Encoding::identity()]);
    let known: Vec<Encoding> = known.collect();
    match accepted.negotiate(known.iter())? {
        Encoding::Known(coding) => CODINGS.contains(&coding).then_some(coding),
        Encoding::Unknown(_) => None,
    }
}

/// Compresses; what is not a coding of ours leaves the bytes as they are.
pub fn compress(coding: ContentEncoding, bytes: &[u8], effort: Effort) -> Vec<u8> {
    let (brotli, gzip) = match effort {
        Effort::Once => (5, 6),
        Effort::Kept => (11, 9),
    };
    match coding {
        ContentEncoding::Brotli => {
            let mut compressor = brotli::CompressorWriter::new(Vec::new(), 4096, brotli, 22);
            let _ = compressor.write_all(bytes); // a Vec takes everything
            compressor.into_inner()
        }
        ContentEncoding::Gzip => {
            let mut compressor = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(gzip));
            let _ = compressor.write_all(bytes);
            compressor.finish().unwrap_or_default()
        }
        _ => bytes.to_vec(),
    }
}

/// Says in which coding an answer is, and that another client may get another.
pub fn declare(headers: &mut HeaderMap, coding: Option<ContentEncoding>) {
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
    }
}

/// Compresses an answer that is a page, and leaves any other as it is.
pub fn compress_pages(answer: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
        return answer;
    }
    let coding = negotiate(answer.request());
    let mut answer = answer.map_body(|_, body| match (body.try_into_bytes(), coding) {
        (Ok(page), Some(coding)) => BoxBody::new(Bytes::from(compress(coding, &page, Effort::Once))),
        (Ok(page), None) => BoxBody::new(page),
        (Err(body), _) => body,
    });
    declare(answer.headers_mut(), coding);
    answer
}
