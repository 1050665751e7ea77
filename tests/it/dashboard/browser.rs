//! The page of the dashboard (contract § 11).

use super::support::ADMIN;
use crate::support::{Browser, BrowserKind, Node, Stream, in_both_browsers};

/// Opens the page, with the password in the address.
async fn open(browser: &Browser, node: &Node, query: &str) {
    browser
        .open(&format!("http://any:correct%3Ahorse%20battery@{}/dashboard{query}", node.address()))
        .await;
    browser.until("return document.querySelector('.status').dataset.state === 'live'").await;
}

/// Returns a script that waits for the first number of the plot with this title.
fn shows(title: &str, number: &str) -> String {
    format!(
        "return [...document.querySelectorAll('.plot')].some((plot) => plot.querySelector('.title').textContent === '{title}' \
         && plot.querySelector('b').textContent === '{number}')"
    )
}

in_both_browsers!(values_move_ranges_switch_and_the_wire_shows_frames);

async fn values_move_ranges_switch_and_the_wire_shows_frames(kind: BrowserKind) {
    let node = Node::start(&[ADMIN, ("NODE", "chat-1")]).await;
    let browser = kind.start().await;
    let _first = Stream::live(&node, "garden").await;
    open(&browser, &node, "").await;
    // That of the page is a stream as well.
    browser.until(&shows("Streams", "2")).await;
    let _second = Stream::live(&node, "garden").await;
    browser.until(&shows("Streams", "3")).await;
    assert_eq!(browser.text(".nodes th button").await, "chat-1");

    // A crosshair with the values of its time, in all plots.
    let move_mouse = "const over = document.querySelector('.u-over'), at = over.getBoundingClientRect();
        for (const type of ['mouseenter', 'mousemove']) over.dispatchEvent(new MouseEvent(type, { clientX: at.right - 2, clientY: at.top + 9, bubbles: true }));
        return [...document.querySelectorAll('.plot.crossed .when')].map((when) => when.textContent.split(':').length).join()";
    browser.until(&format!("{move_mouse} === '3,3,3,3,3,3,3,3'")).await;
    let axes = "return [...document.querySelectorAll('.plot canvas')].every((canvas) => canvas.width > 200 && canvas.ariaLabel)";
    assert_eq!(browser.run(axes).await, true);

    browser.run("document.querySelector('.u-over').dispatchEvent(new MouseEvent('mouseleave'))").await;
    browser.run("document.querySelector('[name=range][value=\"7d\"] + span').click()").await;
    browser.until("return location.search === '?range=7d'").await;
    browser.until(&shows("Streams", "3")).await;
    browser.reload().await;
    browser.until("return document.querySelector('[name=range]:checked').value === '7d'").await;

    browser.until("return document.querySelector('.rooms th button')?.textContent === 'garden'").await;
    browser.run("document.querySelector('.rooms th button').click()").await;
    // The newest comes first, and that may be who is present.
    let has_frame = |test: &str| {
        format!("return [...document.querySelectorAll('.frames pre')].some(({{ textContent }}) => textContent.{test})")
    };
    browser.until(&has_frame("includes('event: status')")).await;
    let id = node.post("garden", "mason", "<img src=x onerror=alert(1)>").await;
    browser.until(&has_frame(&format!("startsWith('id: {id}\\ndata: {{')"))).await;
    assert_eq!(browser.text(".frames .delete").await, "Delete");
    assert_eq!(browser.run("return document.querySelectorAll('.frames img').length").await, 0);

    // Deleting takes a second press; the text is then gone everywhere.
    browser.run("document.querySelector('.frames .delete').click()").await;
    assert_eq!(browser.text(".frames .delete").await, "Really delete");
    assert_eq!(node.stored("garden").await.len(), 1);
    browser.run("document.querySelector('.frames .delete').click()").await;
    browser
        .until("return document.querySelector('.frames .deleted pre')?.textContent.endsWith('(deleted)')")
        .await;
    assert!(node.stored("garden").await.is_empty());
    browser.until("return !document.querySelector('.frames').textContent.includes('onerror')").await;

    let elsewhere = "return performance.getEntriesByType('resource').map(({ name }) => new URL(name).host).filter((host) => host !== location.host).join()";
    assert_eq!(browser.run(elsewhere).await, "");
    let console = browser.console().await;
    assert!(console.is_empty(), "{console:?}");
}

#[tokio::test]
async fn nothing_is_wider_than_a_phone_and_axe_is_content() {
    let node = Node::start(&[ADMIN]).await;
    let browser = Browser::start().await;
    browser.set_screen(390, 844).await;
    let long = "a".repeat(64);
    let _stream = Stream::live(&node, &long).await;
    open(
        &browser,
        &node,
        "?node=gone~0123456789abcdef&key=an-app-with-a-long-key-of-sixty-four-characters-0123456789abcdef",
    )
    .await;
    let width = "return document.documentElement.scrollWidth";
    assert_eq!(browser.run(width).await, 390, "with nothing to show");
    open(&browser, &node, "").await;
    browser.until("return document.querySelector('.rooms th button') !== null").await;
    node.post(&long, "mason", &"w".repeat(500)).await;
    browser.run("document.querySelector('.rooms th button').click()").await;
    browser.until("return document.querySelector('.frames .delete') !== null").await;
    assert_eq!(browser.run(width).await, 390);
    for scheme in ["light", "dark"] {
        browser.set_preference("prefers-color-scheme", scheme).await;
        assert_eq!(browser.axe_violations().await, Vec::<String>::new(), "{scheme}");
    }
}
