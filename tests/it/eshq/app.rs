//! An app that calls the hub, as the clients of the original do.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Method;
use sha1::{Digest, Sha1};

use crate::support::{Answer, Node};

/// An app with its key and a secret.
#[derive(Clone, Copy)]
pub struct App {
    pub key: &'static str,
    pub secret: &'static str,
}

impl App {
    /// Returns the token for a timestamp.
    pub fn token(&self, timestamp: &str) -> String {
        let text = format!("{}:{}:{timestamp}", self.key, self.secret);
        Sha1::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns the three fields of a signature.
    pub fn signature(&self) -> [(&'static str, String); 3] {
        self.signature_at(now())
    }

    /// Returns a signature with another timestamp.
    pub fn signature_at(&self, timestamp: impl ToString) -> [(&'static str, String); 3] {
        let timestamp = timestamp.to_string();
        [("key", self.key.to_owned()), ("token", self.token(&timestamp)), ("timestamp", timestamp)]
    }

    /// Makes a signed call, whether it is accepted or not.
    pub async fn call(&self, node: &Node, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.call_with(node, path, fields, &[]).await
    }

    /// Makes a signed call with more headers.
    pub async fn call_with(
        &self,
        node: &Node,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let signature = self.signature();
        let signature = signature.iter().map(|(name, value)| (*name, value.as_str()));
        let form: Vec<_> = fields.iter().copied().chain(signature).collect();
        let request = node.request(Method::POST, path).form(&form);
        node.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)))
            .await
    }

    /// Makes a socket and returns its id.
    pub async fn socket(&self, node: &Node, channel: &str) -> String {
        self.socket_as(node, channel, "").await
    }

    /// Makes a socket whose reader is present under an id.
    pub async fn socket_as(&self, node: &Node, channel: &str, presence_id: &str) -> String {
        let fields = [("channel", channel), ("presence_id", presence_id)];
        let made = self.call(node, "/socket", &fields).await.expect(200).json();
        made["socket"].as_str().expect("an id").to_owned()
    }

    /// Sends an event, which must be accepted.
    pub async fn send(&self, node: &Node, channel: &str, kind: &str, data: &str) {
        let fields = [("channel", channel), ("type", kind), ("data", data)];
        assert_eq!(self.call(node, "/event", &fields).await.expect(200).text(), "{}");
    }

    /// Returns the path of the list of a channel's users, with a signature.
    pub fn users(&self, channel: &str) -> String {
        let [key, token, timestamp] = self.signature().map(|(name, value)| format!("{name}={value}"));
        format!("/channel/{channel}/users?{key}&{token}&{timestamp}")
    }
}

/// Returns the time in Unix seconds.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs() as i64
}
