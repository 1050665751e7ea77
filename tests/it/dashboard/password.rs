//! `ADMIN_PASSWORD`: what asks for it, and what wrong tries lead to (contract § 11).

use reqwest::{Method, RequestBuilder};

use super::support::PASSWORD;
use crate::support::{Answer, Node};

async fn get(node: &Node, password: Option<&str>, headers: &[(&str, &str)]) -> Answer {
    let request = node.request(Method::GET, "/dashboard");
    let request = password.into_iter().fold(request, |request, password| request.basic_auth("any", Some(password)));
    let with_header = |request: RequestBuilder, (name, value): &(&str, &str)| request.header(*name, *value);
    node.send(headers.iter().fold(request, with_header)).await
}

#[tokio::test]
async fn without_a_password_it_is_the_404_of_a_reserved_name() {
    let node = Node::start(&[]).await;
    let dashboard = get(&node, Some("anything"), &[]).await;
    assert_eq!(dashboard.body, node.get("/eshq").await.body, "the answer of another reserved name");
    assert_eq!(dashboard.header("www-authenticate"), "");
    dashboard.problem(404);
}

#[tokio::test]
async fn it_asks_for_the_password_and_takes_any_user() {
    let node = Node::start(&[("ADMIN_PASSWORD", PASSWORD)]).await;
    let asked = get(&node, None, &[]).await;
    assert_eq!(asked.header("www-authenticate"), "Basic realm=\"tiny-chat\", charset=\"UTF-8\"");
    assert_eq!(asked.header("cache-control"), "no-store");
    asked.problem(401);
    get(&node, Some("correct:horse"), &[]).await.problem(401);
    for user in ["", "admin", "ünï"] {
        let answer = node.send(node.request(Method::GET, "/dashboard").basic_auth(user, Some(PASSWORD))).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.html(200);
    }
    assert!(!node.log().contains("horse"), "{}", node.log());
}

#[tokio::test]
async fn ten_wrong_tries_lock_an_address_and_no_other() {
    let node = Node::start(&[("ADMIN_PASSWORD", PASSWORD), ("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let (ours, other) = ([("X-Forwarded-For", "192.0.2.1")], [("X-Forwarded-For", "192.0.2.2")]);
    for _ in 0..12 {
        get(&node, None, &ours).await.problem(401);
        get(&node, Some(""), &ours).await.problem(401);
        get(&node, Some(PASSWORD), &ours).await.html(200);
    }
    for try_number in 1..=10 {
        assert_eq!(get(&node, Some("wrong"), &ours).await.status, 401, "{try_number}");
    }
    for password in [PASSWORD, "wrong"] {
        let locked = get(&node, Some(password), &ours).await;
        let seconds: u64 = locked.header("retry-after").parse().expect("seconds");
        assert!((1..=60).contains(&seconds), "{seconds}");
        locked.problem(429);
    }
    get(&node, None, &ours).await.problem(401);
    get(&node, Some(PASSWORD), &other).await.html(200);
}

#[tokio::test]
async fn a_bad_password_ends_the_start_and_is_not_printed() {
    let long = "p".repeat(129);
    for bad in [long.as_str(), "hunter2\u{1}x"] {
        let refusal = Node::run_to_exit(&[("ADMIN_PASSWORD", bad), ("BIND", "127.0.0.1:0")], &[]).await;
        assert!(!refusal.status.success());
        assert!(refusal.output.contains("ADMIN_PASSWORD: a password has at most 128"), "{}", refusal.output);
        assert!(!refusal.output.contains("ppp") && !refusal.output.contains("hunter2"), "{}", refusal.output);
    }
    Node::start(&[("ADMIN_PASSWORD", "short")])
        .await
        .logged("ADMIN_PASSWORD has fewer than 12 characters")
        .await;
}
