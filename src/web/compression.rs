//! Compression of pages and assets. Streams are never compressed: a compressor holds back what was
//! written to it.

use std::io::Write;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{self, ContentEncoding, HeaderMap, HeaderValue};
use bytes::Bytes;

use super::negotiation::content_coding;

/// How much CPU time compression may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// For a body that is compressed for each request: fractions of a millisecond for a page.
    PerRequest,
    /// For a body that is compressed once and cached: as small as possible. Brotli takes up to 0.1 s for it.
    Cached,
}

/// Compresses `bytes` with brotli or gzip; returns them unchanged for any other coding.
pub(super) fn compress(coding: ContentEncoding, bytes: &[u8], effort: Effort) -> Vec<u8> {
    let (brotli_level, gzip_level) = match effort {
        Effort::PerRequest => (5, 6),
        Effort::Cached => (11, 9),
    };
    match coding {
        ContentEncoding::Brotli => {
            let mut compressor = brotli::CompressorWriter::new(Vec::new(), 4096, brotli_level, 22);
            let _ = compressor.write_all(bytes); // writing to a Vec cannot fail
            compressor.into_inner()
        }
        ContentEncoding::Gzip => {
            let mut compressor = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(gzip_level));
            let _ = compressor.write_all(bytes);
            compressor.finish().unwrap_or_default()
        }
        _ => bytes.to_vec(),
    }
}

/// Sets `Content-Encoding`, and `Vary` since another client may accept other codings.
pub(super) fn set_coding(headers: &mut HeaderMap, coding: Option<ContentEncoding>) {
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
    }
}

/// Compresses a response that is an HTML page, as far as its client accepts; returns any other unchanged.
pub(super) fn compress_page(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    if !content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/html")) {
        return response;
    }
    let coding = content_coding(response.request());
    let mut response = response.map_body(|_, body| match (body.try_into_bytes(), coding) {
        (Ok(page), Some(coding)) => BoxBody::new(Bytes::from(compress(coding, &page, Effort::PerRequest))),
        (Ok(page), None) => BoxBody::new(page),
        (Err(body), _) => body,
    });
    set_coding(response.headers_mut(), coding);
    response
}
