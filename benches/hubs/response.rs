//! Responses to posts.

/// Removes the next complete response from `inbox`, and returns its status and its body.
pub fn take_response(inbox: &mut Vec<u8>) -> Option<(u16, String)> {
    let end = memchr::memmem::find(inbox, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&inbox[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    if head.contains("transfer-encoding: chunked") {
        let last = end + memchr::memmem::find(&inbox[end..], b"0\r\n\r\n")?;
        let body = String::from_utf8_lossy(&inbox[end..last]).into_owned();
        inbox.drain(..last + 5);
        return Some((status, body));
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let whole = end + length.and_then(|length| length.trim().parse::<usize>().ok()).unwrap_or_default();
    let body = String::from_utf8_lossy(inbox.get(end..whole)?).into_owned();
    inbox.drain(..whole);
    Some((status, body))
}
