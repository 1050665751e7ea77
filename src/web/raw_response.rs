//! Responses that are written without actix, to a connection that ends with them.

use std::fmt::Write;
use std::time::SystemTime;

use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use actix_web::http::header::{self, HeaderName, HeaderValue, HttpDate};
use bytes::Bytes;

/// Encodes the status line and headers of a response on a connection that ends with it.
pub(super) fn encode_head(response: &HttpResponse, more: &[(HeaderName, HeaderValue)]) -> Bytes {
    let date = HttpDate::from(SystemTime::now());
    let status = response.status();
    let mut head = format!("HTTP/1.1 {status}\r\nDate: {date}\r\nX-Content-Type-Options: nosniff\r\n");
    for (name, value) in response.headers().iter().chain(more.iter().map(|(name, value)| (name, value))) {
        // Writing to a String cannot fail. Values are constants or origins equal to a configured one,
        // so none contains a line break.
        let _ = write!(head, "{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()));
    }
    head.push_str("\r\n");
    head.into()
}

/// Encodes a response whose body is in memory.
pub(super) fn encode(response: HttpResponse) -> Vec<u8> {
    let (response, body) = response.into_parts();
    let body = body.try_into_bytes().unwrap_or_default();
    let close = (header::CONNECTION, HeaderValue::from_static("close"));
    let length = (header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let referrer = (header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    [encode_head(&response.set_body(actix_web::body::BoxBody::new(())), &[close, length, referrer]), body].concat()
}
