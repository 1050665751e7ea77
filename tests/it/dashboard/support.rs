//! What the tests of the dashboard have in common.

use reqwest::Method;
use serde_json::Value;

use crate::support::{Answer, Node, eventually};

pub const PASSWORD: &str = "correct:horse battery";
pub const ADMIN: (&str, &str) = ("ADMIN_PASSWORD", PASSWORD);

/// The header with the password.
pub const AUTHORIZATION: (&str, &str) = ("Authorization", "Basic YW55OmNvcnJlY3Q6aG9yc2UgYmF0dGVyeQ==");

/// Requests a path with the password.
pub async fn get(node: &Node, path: &str) -> Answer {
    node.send(node.request(Method::GET, path).basic_auth("any", Some(PASSWORD))).await
}

/// Returns what `/dashboard/data` answers.
pub async fn data(node: &Node, query: &str) -> Value {
    get(node, &format!("/dashboard/data?{query}")).await.expect(200).json()
}

/// Waits until the data has something.
pub async fn data_with<T>(node: &Node, query: &str, what: &str, has: impl Fn(&Value) -> Option<T>) -> T {
    eventually(what, async || has(&data(node, query).await)).await
}

/// Returns the sum of what a series has; `None` where nothing was written.
pub fn sum(data: &Value, series: &str) -> f64 {
    let values = data["series"][series].as_array().unwrap_or_else(|| panic!("no {series} in {data}"));
    values.iter().filter_map(Value::as_f64).sum()
}
