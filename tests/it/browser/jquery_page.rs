//! The page of tiny-chat of 2013, with jQuery, in front of a node of today.

use serde_json::json;

use crate::{
    support::{Browser, Node, Redis, Site, free_port, repository::text, wait_for},
    tools::clients,
};

/// The texts of the messages that the page shows.
const SHOWN: &str = "return [...document.querySelectorAll('.messages .message')].map((line) => line.textContent)";

#[tokio::test]
async fn page_of_2013_misses_nothing_while_its_node_is_killed() {
    let jquery = match clients::package_file("jquery/jquery.min.js") {
        Ok(jquery) => jquery,
        Err(reason) => return eprintln!("NOT RUN: the page of 2013, since {reason}"),
    };
    let redis = Redis::start().await;
    let bind = format!("127.0.0.1:{}", free_port());
    let mut node = Node::on(&redis, &[("BIND", &bind)]).await;
    let other = Node::on(&redis, &[]).await;
    let page = text("tests/clients/browser/page-of-2013.html");
    let site = Site::start(vec![("/", page), ("/jquery.js", jquery)], node.address()).await;
    let browser = Browser::start().await;
    browser.open(&site.url("/")).await;
    node.wait_for_live_streams(1).await;

    let write = async |text: &str| {
        browser.type_into("form .message", text).await;
        browser.click("form [type=submit]").await;
    };
    let shows = async |expected: &[&str]| {
        let has_last = async || {
            let shown = browser.run(SHOWN).await;
            (shown.as_array()?.last()? == expected.last()?).then_some(shown)
        };
        assert_eq!(wait_for("the last message", has_last).await, json!(expected));
    };
    write("O'Neil <b>says</b> hi").await;
    shows(&["O'Neil <b>says</b> hi"]).await;

    node.kill();
    other.post("everyone", "ada", "meanwhile").await;
    let _node = Node::on(&redis, &[("BIND", &bind)]).await;
    shows(&["O'Neil <b>says</b> hi", "meanwhile"]).await;
    write("back again").await;
    shows(&["O'Neil <b>says</b> hi", "meanwhile", "back again"]).await;
    let senders = "return [...document.querySelectorAll('.messages .sender')].map((sender) => sender.textContent)";
    assert_eq!(browser.run(senders).await, json!(["Anonymous", "ada", "Anonymous"]));
}
