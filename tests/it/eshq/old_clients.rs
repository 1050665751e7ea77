//! The requests of the clients that apps used with the original, byte for byte, and what those clients look at in the
//! answers.

use std::process::Command;

use super::app::now;
use super::{KEYS, SHOP, next_event, open};
use crate::support::{Bus, Node, on_every_bus, send_raw};

on_every_bus!(old_clients_open_sockets_and_send_events);

/// A client: how it writes the fields of a call to a path.
struct OldClient {
    name: &'static str,
    request: fn(&Node, &str, &[(&str, &str)]) -> String,
}

const CLIENTS: [OldClient; 5] = [
    // The gem eshq replaces the path of `ESHQ_URL`, and uses Net::HTTP.
    OldClient {
        name: "the gem",
        request: |node, path, fields| {
            let body = url_encoded(fields);
            format!(
                "POST {path} HTTP/1.1\r\nAccept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\r\nAccept: */*\r\n\
                 User-Agent: Ruby\r\nContent-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\
                 Host: {}\r\nContent-Length: {}\r\n\r\n{body}",
                node.address(),
                body.len(),
            )
        },
    },
    // The client of Node writes no length, so that its body is chunked.
    OldClient {
        name: "the client of Node",
        request: |node, path, fields| {
            let body = url_encoded(fields);
            format!(
                "POST {path} HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\nHost: {}\r\n\
                 Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                node.address(),
                body.len(),
            )
        },
    },
    // clj-http joins address and path as texts: an address with a slash at its end makes two of them.
    OldClient {
        name: "the client of Clojure",
        request: |node, path, fields| {
            let body = url_encoded(fields);
            format!(
                "POST /{path} HTTP/1.1\r\naccept: application/json\r\naccept-encoding: gzip, deflate\r\n\
                 Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nContent-Length: {}\r\nHost: {}\r\n\
                 Connection: close\r\nUser-Agent: Apache-HttpClient/4.2.2 (java 1.5)\r\n\r\n{body}",
                body.len(),
                node.address(),
            )
        },
    },
    // The class of PHP hands an array to curl, which makes parts of it, and asks before it sends them.
    OldClient {
        name: "the class of PHP",
        request: |node, path, fields| {
            let boundary = "----------------------------83ff53821b7c";
            let part = |(name, value): &(&str, &str)| {
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            };
            let body = fields.iter().map(part).collect::<String>() + &format!("--{boundary}--\r\n");
            format!(
                "POST {path} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\
                 Content-Type: multipart/form-data; boundary={boundary}\r\nConnection: close\r\n\r\n{body}",
                node.address(),
                body.len(),
            )
        },
    },
    // HTTP/1.0, as scripts of that time spoke it.
    OldClient {
        name: "a client of HTTP/1.0",
        request: |_, path, fields| {
            let body = url_encoded(fields);
            format!(
                "POST {path} HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
                body.len(),
            )
        },
    },
];

fn url_encoded(fields: &[(&str, &str)]) -> String {
    let mut form = String::new();
    for (name, value) in fields {
        let value: String = value
            .bytes()
            .map(|byte| match byte {
                b' ' => "+".to_owned(),
                b if b.is_ascii_alphanumeric() || b"-_.".contains(&b) => char::from(b).to_string(),
                b => format!("%{b:02X}"),
            })
            .collect();
        form.push_str(&format!("{}{name}={value}", if form.is_empty() { "" } else { "&" }));
    }
    form
}

/// Makes a call as a client does and returns the body of the answer. The clients accept the status 200 alone, and parse
/// what has exactly the type `application/json`.
async fn call(node: &Node, client: &OldClient, path: &str, fields: &[(&str, &str)]) -> String {
    let signature = SHOP.signature();
    let signature = signature.iter().map(|(name, value)| (*name, value.as_str()));
    let fields: Vec<_> = fields.iter().copied().chain(signature).collect();
    let answer = send_raw(node, (client.request)(node, path, &fields)).await;
    let answer = answer.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1);
    assert_eq!(status, Some("200"), "{}: {answer}", client.name);
    let types: Vec<_> = head.lines().filter(|line| line.to_ascii_lowercase().starts_with("content-type:")).collect();
    assert_eq!(types.len(), 1, "{head}");
    assert!(types[0].ends_with(": application/json"), "{}: {head}", client.name);
    body.to_owned()
}

async fn old_clients_open_sockets_and_send_events(bus: Bus) {
    let node = bus.node(&[KEYS]).await;
    for client in &CLIENTS {
        let channel = format!("chat of {}", client.name);
        let made = call(&node, client, "/socket", &[("channel", &channel), ("presence_id", "")]).await;
        let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
        assert_eq!((&made["channel"], made["presence_id"].is_null()), (&channel.clone().into(), true));
        let mut stream = open(&node, made["socket"].as_str().expect("an id")).await;
        // As the sample chat sends it, with the type as the documentation had it, and as the broker read it.
        let data = r#"{"nick":"Zoë & co","msg":"a <b> + 1%\n"}"#;
        for kind in [None, Some(("type", "my-event")), Some(("name", "my-event"))] {
            let fields: Vec<_> = [("channel", &*channel), ("data", data)].into_iter().chain(kind).collect();
            assert_eq!(call(&node, client, "/event", &fields).await, "{}", "{}", client.name);
            let block = next_event(&mut stream).await;
            assert_eq!(block.event.as_deref(), kind.map(|(_, kind)| kind), "{}", client.name);
            assert_eq!(block.data.as_deref(), Some(data), "{}", client.name);
        }
    }
}

/// The library below the class of PHP.
#[tokio::test]
async fn curl_sends_its_fields_in_parts() {
    let node = Node::start(&[KEYS]).await;
    let timestamp = now().to_string();
    let run = |path: &str, fields: &[(&str, &str)]| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--write-out", " %{http_code}", "-H", "Expect: 100-continue"]);
        let signature = [("key", SHOP.key), ("timestamp", &*timestamp), ("token", &*SHOP.token(&timestamp))];
        for (name, value) in fields.iter().copied().chain(signature) {
            curl.arg("--form-string").arg(format!("{name}={value}"));
        }
        let output = curl.arg(node.url(path)).output().expect("curl");
        String::from_utf8(output.stdout).expect("text")
    };
    let made = run("/socket", &[("channel", "chat")]);
    let made = made.strip_suffix(" 200").unwrap_or_else(|| panic!("{made}"));
    let made: serde_json::Value = serde_json::from_str(made).expect("JSON");
    let mut stream = open(&node, made["socket"].as_str().expect("an id")).await;
    let data = "long ".repeat(1000);
    assert_eq!(run("/event", &[("channel", "chat"), ("data", &data)]), "{} 200");
    assert_eq!(next_event(&mut stream).await.data.as_deref(), Some(&*data));
}
