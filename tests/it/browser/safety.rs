//! What the page refuses, whatever a message, a name or an address holds: to run a script, to make elements of text, and
//! to send requests elsewhere.

use super::{ROOMS, texts, wait_for_badge};
use crate::support::{Browser, Node};

/// Texts in the HTML of the page and from the stream are both shown as they were typed, and nothing in them runs.
#[tokio::test]
async fn markup_is_shown_as_text_and_never_runs() {
    let node = Node::start(&[]).await;
    let hostile = "<img src=x onerror=\"window.ran=1\"><script>window.ran=1</script> &lt;b&gt; &amp;amp; \\u003cb\\u003e 'q' \"q\"";
    let sender = "</bdi><b onmouseover=\"window.ran=1\">eve</b>";
    node.post("lobby", sender, hostile).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.live().await;
    node.post("lobby", sender, hostile).await;
    browser.send(sender, &format!("{hostile} typed")).await;
    let lines = browser.messages_up_to(&format!("{hostile} typed")).await;
    assert_eq!(texts(&lines), [hostile, hostile, &format!("{hostile} typed")]);
    assert!(lines.iter().all(|line| line.sender == sender), "{lines:?}");
    assert_eq!(browser.run("return document.querySelectorAll('[role=log] :is(img, script, b)').length").await, 0);
    assert_eq!(browser.run("return window.ran ?? 'nothing ran'").await, "nothing ran");
    browser.type_into("#room", "<b>room</b>\n").await;
    browser.non_empty_text("#room-error").await;
    assert_eq!(browser.path().await, "/lobby");
    browser.open(&node.url("/%3Cimg%20src=x%20onerror=%22window.ran=1%22%3E")).await;
    assert_eq!(browser.run("return document.querySelectorAll('img[onerror]').length").await, 0);
    let console = browser.console().await;
    assert!(console.iter().all(|line| line.contains("404")), "{console:?}");
}

/// Messages are only shown: the page sends no request to an address that a message or a name holds.
#[tokio::test]
async fn nothing_in_a_message_or_a_name_runs_or_is_fetched() {
    let node = Node::start(&[]).await;
    let browser = Browser::recording_requests().await;
    let port = node.address().port();
    let spy = format!("http://spy.localhost:{port}");
    let message = format!(
        "<img src={spy}/a onerror='window.ran=1'><script src={spy}/b></script><link rel=preload href={spy}/c> {spy}/d \
         ![x]({spy}/e) <style>@import '{spy}/f'</style> \" onfocus=window.ran=1 autofocus x=\""
    );
    let name = "<img/src=//spy.localhost>\"'&lt;b>";
    node.post("lobby", name, &message).await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    node.post("lobby", name, &message).await;
    browser.send(name, &format!("{message} mine")).await;
    let lines = browser.messages_up_to(&format!("{message} mine")).await;
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line.text.starts_with(&message) && line.sender == name), "{lines:?}");
    assert_eq!(browser.run("return window.ran ?? 'nothing ran'").await, "nothing ran");
    let made =
        "return document.querySelectorAll('.lines :is(img, script, link, style, [autofocus], [onfocus])').length";
    assert_eq!(browser.run(made).await, 0);
    let (home, all) = (node.url("/"), browser.requests().await);
    assert!(all.iter().any(|url| url.starts_with(&home)), "{all:?}");
    let strangers: Vec<&String> = all.iter().filter(|url| url.starts_with("http") && !url.starts_with(&home)).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}

#[tokio::test]
async fn trusted_types_refuse_markup_made_of_text() {
    let node = Node::start(&[]).await;
    let browser = Browser::start().await;
    for path in ["/lobby", "/-no-room"] {
        browser.open(&node.url(path)).await;
        let attempt = "try { document.body.innerHTML = '<b>'; return 'done'; } catch (error) { return error.name; }";
        assert_eq!(browser.run(attempt).await, "TypeError", "{path}");
    }
}

/// Whatever is typed, shown, opened and clicked on, the page sends requests to its own server only.
#[tokio::test]
async fn page_sends_requests_to_its_own_server_only() {
    let node = Node::start(&[ROOMS]).await;
    let browser = Browser::recording_requests().await;
    browser.leave().await; // the start page of the browser
    browser.requests().await;
    let texts = [
        "look: https://example.com/a.png and http://example.org/?q=1 mailto:a@example.net",
        "<img src=https://example.com/x.png> <link rel=prefetch href=//example.com> ![x](https://example.com/y.png)",
        "`https://example.com/code` #garden @ada //example.com/z.js",
    ];
    for text in texts {
        node.post("lobby", "https://example.com/", text).await;
    }
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    for (index, text) in texts.into_iter().enumerate() {
        browser.send("https://example.com/", text).await;
        browser
            .until(&format!("return document.querySelectorAll('.message[data-id]').length === {}", index + 4))
            .await;
    }
    browser.click("button.ask").await;
    browser.until("return Boolean(document.querySelector('dialog.help[open]'))").await;
    browser.run("document.querySelector('dialog.help').close()").await;
    node.post("garden", "mason", "https://example.com/ @https").await; // a name in an address is no mention
    wait_for_badge(&browser, "garden", "1").await;
    let links = "return document.querySelectorAll('.message a[href*=\"example\"]').length";
    assert!(browser.run(links).await.as_u64() > Some(5), "there are links to other sites");
    browser.open(&node.url("/garden")).await;
    browser.complete().await;
    let requests = browser.requests().await;
    assert!(requests.iter().any(|url| url.contains("/subscribe/")), "{requests:?}");
    let others: Vec<&String> = requests
        .iter()
        .filter(|url| !url.starts_with(&node.url("/")) && !url.starts_with("chrome://"))
        .collect();
    assert_eq!(others, [""; 0]);
    assert_eq!(browser.console().await, [""; 0]);
}
