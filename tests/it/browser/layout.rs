//! How the page fits a screen: zoomed to 200 percent, on phones, with long names and texts, and in the chosen colours.

use serde_json::json;

use crate::support::{Browser, Node, Proxy};

#[tokio::test]
async fn page_fits_at_200_percent_and_on_phones_with_large_targets() {
    let node = Node::start(&[]).await;
    let room = "a-room-with-a-name-of-sixty-four-letters-that-never-seems-to-end";
    assert_eq!(room.len(), 64);
    node.post(room, &"W".repeat(64), &"w".repeat(500)).await;
    let browser = Browser::start().await;
    browser.open(&node.url(&format!("/{room}"))).await;
    browser.complete().await;
    let viewport = browser.run("return document.querySelector('meta[name=viewport]').content").await;
    let viewport = viewport.as_str().unwrap();
    assert!(viewport.contains("interactive-widget=resizes-content"), "{viewport}");
    assert!(!viewport.contains("user-scalable") && !viewport.contains("maximum-scale"), "{viewport}");
    for (width, height) in [(640, 400), (390, 844), (320, 568)] {
        browser.set_screen(width, height).await;
        let fits = "const root = document.documentElement;
            const box = document.querySelector('#message').getBoundingClientRect();
            const log = document.querySelector('.messages');
            return [root.scrollWidth <= innerWidth && root.scrollHeight <= innerHeight, box.bottom <= innerHeight && box.top >= 0,
                log.scrollWidth <= log.clientWidth, log.clientHeight >= 80]";
        assert_eq!(browser.run(fits).await, json!([true, true, true, true]), "{width} x {height}");
    }
    browser.set_screen(390, 844).await;
    let small = "return [...document.querySelectorAll('button, input, textarea, summary, nav a, .brand')]
        .filter((each) => each.checkVisibility() && (each.offsetHeight < 44 || each.offsetWidth < 40))
        .map((each) => `${each.outerHTML}: ${each.offsetWidth} x ${each.offsetHeight}`)";
    assert_eq!(browser.run(small).await, json!([]));
}

/// Messages by one sender in a row, long words and names, code and links: neither the page nor its log is wider than the
/// screen.
#[tokio::test]
async fn neither_page_nor_log_scrolls_sideways_from_320_px_on() {
    let node = Node::start(&[("ROOMS", "lobby,garden,attic,cellar,kitchen,library")]).await;
    let link = format!("see https://a.example/{} and #garden", "path/".repeat(60));
    let fence = format!("look:\n```\n{}\n```\n`{}`", "let x = 1; ".repeat(40), "inline_code".repeat(30));
    let texts = ["one", "two", "three", &"w".repeat(500), &link, &fence, "@ada, look", "مرحبا"];
    for sender in ["mason", &"W".repeat(64), &"long name ".repeat(6), "m"] {
        for text in texts {
            node.post("lobby", sender, text).await;
        }
    }
    let browser = Browser::in_lobby(&node).await;
    for text in ["mine", "mine again", &"m".repeat(300)] {
        browser.send("ada", text).await;
        browser.messages_up_to(text).await;
    }
    let widths = "const log = document.querySelector('.messages');
        return [document.documentElement, log].map(({ scrollWidth, clientWidth }) => [scrollWidth, clientWidth])";
    for width in [320, 360, 390, 414, 768] {
        browser.set_screen(width, 844).await;
        browser.until(&format!("return innerWidth === {width}")).await;
        let [page, log]: [[u64; 2]; 2] = serde_json::from_value(browser.run(widths).await).unwrap();
        assert_eq!(page[0], page[1], "the page on {width} px");
        assert_eq!(log[0], log[1], "the log on {width} px");
    }
}

/// On a phone the rooms are in one row, which is scrolled to the current one.
#[tokio::test]
async fn current_room_is_visible_on_a_phone() {
    let node = Node::start(&[("ROOMS", "everyone,random,garden,attic,cellar,kitchen,library")]).await;
    let browser = Browser::start().await;
    browser.set_screen(390, 844).await;
    browser.open(&node.url("/library")).await;
    browser.complete().await;
    let seen = "const nav = document.querySelector('nav').getBoundingClientRect();
        const { left, right } = document.querySelector('nav [aria-current]').getBoundingClientRect();
        return left >= nav.left - 1 && right <= nav.right + 1";
    browser.until(seen).await;
    assert_eq!(browser.run("return [scrollX, scrollY]").await, json!([0, 0]));
}

/// An outage is explained in a long sentence, which must not squeeze the name of the room.
#[tokio::test]
async fn long_status_does_not_break_the_room_name() {
    let node = Node::start(&[]).await;
    let proxy = Proxy::to(node.address()).await;
    let browser = Browser::start().await;
    browser.open(&proxy.url("/everyone")).await;
    browser.complete().await;
    proxy.cut();
    browser.status("offline").await;
    for (width, height) in [(1280, 800), (1000, 800), (720, 600), (390, 844), (320, 568)] {
        browser.set_screen(width, height).await;
        let whole = "const range = document.createRange();
            range.selectNodeContents(document.querySelector('h1 bdi'));
            const status = document.querySelector('.status');
            return [range.getClientRects().length, status.scrollWidth <= status.clientWidth, status.querySelector('button') !== null]";
        assert_eq!(browser.run(whole).await, json!([1, true, true]), "{width} x {height}");
    }
}

/// The theme is applied before the first paint; otherwise a dark page would flash white.
#[tokio::test]
async fn chosen_theme_survives_a_reload_without_a_flash() {
    let node = Node::start(&[]).await;
    let browser = Browser::start().await;
    browser.set_preference("color-scheme", "light").await;
    let early = "new MutationObserver((changes, observer) => {
        if (!document.body) return;
        window.early = document.documentElement.dataset.theme;
        observer.disconnect();
    }).observe(document, { childList: true, subtree: true })";
    browser.run_on_new_pages(early).await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    let light = browser.style("html", "backgroundColor").await;
    for chosen in ["light", "dark"] {
        browser.click(".theme").await;
        assert_eq!(browser.run("return document.documentElement.dataset.theme").await, chosen);
        assert_eq!(
            browser.run("return document.querySelector('.theme').ariaLabel").await,
            format!("Colours: {chosen}")
        );
    }
    let dark = browser.style("html", "backgroundColor").await;
    assert_ne!(light, dark);
    for path in ["/lobby", "/-no-room"] {
        browser.open(&node.url(path)).await;
        assert_eq!(browser.run("return window.early").await, "dark", "{path}");
        assert_eq!(browser.style("html", "backgroundColor").await, dark, "{path}");
    }
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    browser.click(".theme").await;
    assert_eq!(browser.style("html", "backgroundColor").await, light, "the third choice is what the system prefers");
    browser.set_preference("color-scheme", "dark").await;
    assert_eq!(browser.style("html", "backgroundColor").await, dark);
    assert_eq!(browser.console().await.iter().filter(|line| !line.contains("404")).count(), 0);
}
