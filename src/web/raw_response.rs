//! Responses that are written without actix, to a connection that ends with them.

use std::io::Write;
use std::time::SystemTime;

use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue, HttpDate};

/// About how long a head is.
const HEAD_BYTES: usize = 384;

/// Encodes the status line and headers of a response on a connection that ends with it.
pub(super) fn encode_head<'a>(
    status: StatusCode,
    headers: impl IntoIterator<Item = (&'a HeaderName, &'a HeaderValue)>,
) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let date = HttpDate::from(SystemTime::now());
    // Writing to a Vec cannot fail.
    let _ = write!(head, "HTTP/1.1 {status}\r\nDate: {date}\r\nX-Content-Type-Options: nosniff\r\n");
    for (name, value) in headers {
        // Values are constants or origins equal to a configured one, so none contains a line break.
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Encodes a response whose body is in memory.
pub(super) fn encode(response: HttpResponse) -> Vec<u8> {
    let (response, body) = response.into_parts();
    let body = body.try_into_bytes().unwrap_or_default();
    let more = [
        (header::CONNECTION, HeaderValue::from_static("close")),
        (header::CONTENT_LENGTH, HeaderValue::from(body.len())),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ];
    let headers = response.headers().iter().chain(more.iter().map(|(name, value)| (name, value)));
    let mut encoded = encode_head(response.status(), headers);
    encoded.extend_from_slice(&body);
    encoded
}
