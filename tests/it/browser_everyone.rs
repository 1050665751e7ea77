//! The page for everyone: by keyboard alone, read out, without motion, large, in colours of one's choice, and without
//! JavaScript (issue 3, "For everyone"). What axe-core says stands in `browser_axe.rs`.

use serde_json::json;

use crate::support::{
    Browser, Node, Proxy,
    keyboard::{ALT, DOWN, ENTER, ESCAPE, TAB, UP},
};

const FOCUS: &str =
    "return document.activeElement.id || document.activeElement.className || document.activeElement.localName";

/// Records what is put into the log while that is read out, from before any module runs.
const RECORDED: &str = "document.addEventListener('readystatechange', () => {
    window.read = [];
    const log = document.querySelector('[role=log]');
    new MutationObserver((changes) => {
        if (log.ariaLive === 'off') return;
        for (const { addedNodes } of changes) for (const node of addedNodes) window.read.push(node.textContent);
    }).observe(log.querySelector('.lines'), { childList: true, subtree: true });
}, { once: true })";

const POLITE: &str = "return document.querySelector('[role=log]').ariaLive === 'polite'";

#[tokio::test]
async fn the_first_stop_of_the_tabulator_skips_to_the_message_box() {
    let node = Node::start(&[]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.whole().await;
    browser.run("document.activeElement.blur()").await;
    browser.press(TAB).await;
    assert_eq!(browser.run(FOCUS).await, "skip");
    browser.until("return document.querySelector('.skip').getBoundingClientRect().top >= 0").await;
    browser.press(ENTER).await;
    browser.until("return document.activeElement.id === 'message'").await;
}

#[tokio::test]
async fn keys_lead_to_the_box_to_rooms_and_to_help_and_escape_destroys_nothing() {
    let node = Node::start(&[("ROOMS", "lobby,garden,attic")]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.whole().await;
    browser.run("document.querySelector('.messages').focus()").await;
    browser.press('/').await;
    assert_eq!(browser.run(FOCUS).await, "message");
    assert_eq!(browser.value("#message").await, "", "the key that leads there is not typed");
    browser.press("a/b?").await;
    assert_eq!(browser.value("#message").await, "a/b?", "in the box they are letters");
    browser.press(ESCAPE).await;
    assert_eq!(browser.value("#message").await, "a/b?");
    browser.run("document.querySelector('.messages').focus()").await;
    browser.press('?').await;
    browser.until("return document.querySelector('dialog')?.open === true").await;
    browser.until("return document.querySelector('dialog').contains(document.activeElement)").await;
    assert_eq!(
        browser.run("return document.querySelector('dialog').scrollTop").await,
        0,
        "it is read from its beginning"
    );
    browser.press(ESCAPE).await;
    browser.until("return !document.querySelector('dialog').open").await;
    assert_eq!(browser.value("#message").await, "a/b?");
    for (key, path) in [(DOWN, "/garden"), (DOWN, "/attic"), (DOWN, "/lobby"), (UP, "/attic")] {
        browser.press(format!("{ALT}{key}")).await;
        browser.until(&format!("return location.pathname === '{path}'")).await;
        browser.live().await;
    }
    browser.open(&node.url("/lobby")).await;
    assert_eq!(browser.value("#message").await, "a/b?", "the draft waits in its room");
}

/// All of the page can be reached; a log of fifty messages is one stop, and the arrows lead through it.
#[tokio::test]
async fn the_tabulator_goes_through_the_page_in_its_order_and_shows_where_it_is() {
    let node = Node::start(&[("ROOMS", "lobby,garden")]).await;
    node.fill("lobby", 50).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.whole().await;
    browser.until("return document.querySelector('.people:not([hidden])') !== null").await;
    browser.run("document.activeElement.blur()").await;
    let mut stops = Vec::new();
    for _ in 0..14 {
        browser.press(TAB).await;
        stops.push(browser.run(FOCUS).await.as_str().unwrap().to_owned());
        if stops.last().unwrap() == "a" {
            continue; // links of the log and of the rooms are looked at below
        }
        let ring = "const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
            return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2";
        assert_eq!(browser.run(ring).await, true, "{stops:?}");
        if stops.last().unwrap() == "message" {
            break;
        }
    }
    let expected = [
        "skip",
        "brand",
        "a",
        "a",
        "room",
        "button",
        "summary",
        "theme",
        "ask",
        "messages following",
        "when",
        "more",
        "sender",
        "message",
    ];
    assert_eq!(stops, expected);
    browser.run("[...document.querySelectorAll('a.when')].at(-1).focus()").await;
    browser.press(UP).await;
    let text = "return document.activeElement.closest('.message').querySelector('.text').textContent";
    assert_eq!(browser.run(text).await, "message 49");
}

#[tokio::test]
async fn history_is_not_read_out_what_comes_is_and_a_burst_is_told_by_its_number() {
    let node = Node::start(&[]).await;
    node.fill("lobby", 10).await;
    let browser = Browser::start().await;
    browser.before(RECORDED).await;
    browser.open(&node.url("/lobby")).await;
    browser.whole().await;
    browser.until(POLITE).await;
    browser.write("#sender", "ada\t").await;
    browser.until(POLITE).await;
    assert_eq!(browser.run("return window.read").await, json!([]), "neither on load nor when my name changes");
    node.post("lobby", "mason", "good morning").await;
    browser.lines_to("good morning").await;
    let read = browser.run("return window.read").await;
    assert!(
        read.as_array().unwrap().iter().any(|text| text.as_str().unwrap().contains("good morning")),
        "{read}"
    );
    browser.run("window.read = []").await;
    browser.until("return document.querySelector('#said').textContent === ''").await;
    node.fill("lobby", 40).await;
    browser
        .until("return /^\\d+ new messages$/.test(document.querySelector('#said').textContent)")
        .await;
    let read = browser.run("return window.read.length").await.as_u64().unwrap();
    assert!(read < 20, "{read} messages of a burst were read out");
    browser.until(POLITE).await;
}

/// The page that a link to a message opened reads its history later, and in silence too.
#[tokio::test]
async fn what_is_read_back_to_is_not_read_out() {
    let node = Node::start(&[]).await;
    let ids = node.fill("lobby", 200).await;
    let browser = Browser::start().await;
    browser.before(RECORDED).await;
    browser.open(&node.url(&format!("/lobby#{}", ids[20]))).await;
    browser.whole().await;
    browser.until("return document.querySelector('.message:target') !== null").await;
    browser.until(POLITE).await;
    assert_eq!(browser.run("return window.read").await, json!([]));
}

#[tokio::test]
async fn nothing_moves_for_who_prefers_that() {
    let node = Node::start(&[]).await;
    let proxy = Proxy::to(node.address()).await;
    let browser = Browser::start().await;
    browser.open(&proxy.url("/lobby")).await;
    browser.whole().await;
    proxy.cut();
    browser.status("reconnecting").await;
    // The next attempt may end the state at any time, so it is set anew for each look.
    let moving = "document.querySelector('.status').dataset.state = 'reconnecting';
        const { animationName } = getComputedStyle(document.querySelector('.status'), '::before');
        const all = [...document.querySelectorAll('*')].map((each) => getComputedStyle(each));
        return [animationName === 'breathe', all.some(({ transitionDuration, scrollBehavior }) =>
            transitionDuration !== '0s' || scrollBehavior === 'smooth')]";
    browser.prefers("reduced-motion", "no-preference").await;
    assert_eq!(browser.run(moving).await, json!([true, true]));
    browser.prefers("reduced-motion", "reduce").await;
    assert_eq!(browser.run(moving).await, json!([false, false]));
}

#[tokio::test]
async fn the_page_fits_at_200_percent_and_on_a_phone_with_targets_for_thumbs() {
    let node = Node::start(&[]).await;
    let room = "a-room-with-a-name-of-sixty-four-letters-that-never-seems-to-end";
    assert_eq!(room.len(), 64);
    node.post(room, &"W".repeat(64), &"w".repeat(500)).await;
    let browser = Browser::start().await;
    browser.open(&node.url(&format!("/{room}"))).await;
    browser.whole().await;
    let viewport = browser.run("return document.querySelector('meta[name=viewport]').content").await;
    let viewport = viewport.as_str().unwrap();
    assert!(viewport.contains("interactive-widget=resizes-content"), "{viewport}");
    assert!(!viewport.contains("user-scalable") && !viewport.contains("maximum-scale"), "{viewport}");
    for (width, height) in [(640, 400), (390, 844), (320, 568)] {
        browser.screen(width, height).await;
        let fits = "const root = document.documentElement;
            const box = document.querySelector('#message').getBoundingClientRect();
            const log = document.querySelector('.messages');
            return [root.scrollWidth <= innerWidth && root.scrollHeight <= innerHeight, box.bottom <= innerHeight && box.top >= 0,
                log.scrollWidth <= log.clientWidth, log.clientHeight >= 80]";
        assert_eq!(browser.run(fits).await, json!([true, true, true, true]), "{width} x {height}");
    }
    browser.screen(390, 844).await;
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
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.whole().await;
    for text in ["mine", "mine again", &"m".repeat(300)] {
        browser.say("ada", text).await;
        browser.lines_to(text).await;
    }
    let widths = "const log = document.querySelector('.messages');
        return [document.documentElement, log].map(({ scrollWidth, clientWidth }) => [scrollWidth, clientWidth])";
    for width in [320, 360, 390, 414, 768] {
        browser.screen(width, 844).await;
        browser.until(&format!("return innerWidth === {width}")).await;
        let [page, log]: [[u64; 2]; 2] = serde_json::from_value(browser.run(widths).await).unwrap();
        assert_eq!(page[0], page[1], "the page on {width} px");
        assert_eq!(log[0], log[1], "the log on {width} px");
    }
}

/// The room that is open is to be seen among many, also where they are in one row.
#[tokio::test]
async fn the_current_room_is_in_sight_on_a_phone() {
    let node = Node::start(&[("ROOMS", "everyone,random,garden,attic,cellar,kitchen,library")]).await;
    let browser = Browser::start().await;
    browser.screen(390, 844).await;
    browser.open(&node.url("/library")).await;
    browser.whole().await;
    let seen = "const nav = document.querySelector('nav').getBoundingClientRect();
        const { left, right } = document.querySelector('nav [aria-current]').getBoundingClientRect();
        return left >= nav.left - 1 && right <= nav.right + 1";
    browser.until(seen).await;
    assert_eq!(browser.run("return [scrollX, scrollY]").await, json!([0, 0]));
}

/// What goes wrong is said at length, and the name of the room stands.
#[tokio::test]
async fn a_long_status_leaves_the_rooms_name_in_one_piece() {
    let node = Node::start(&[]).await;
    let proxy = Proxy::to(node.address()).await;
    let browser = Browser::start().await;
    browser.open(&proxy.url("/everyone")).await;
    browser.whole().await;
    proxy.cut();
    browser.status("offline").await;
    for (width, height) in [(1280, 800), (1000, 800), (720, 600), (390, 844), (320, 568)] {
        browser.screen(width, height).await;
        let whole = "const range = document.createRange();
            range.selectNodeContents(document.querySelector('h1 bdi'));
            const status = document.querySelector('.status');
            return [range.getClientRects().length, status.scrollWidth <= status.clientWidth, status.querySelector('button') !== null]";
        assert_eq!(browser.run(whole).await, json!([1, true, true]), "{width} x {height}");
    }
}

/// The choice is there before anything is painted; else a dark page would flash white.
#[tokio::test]
async fn chosen_colours_survive_a_reload_without_a_flash() {
    let node = Node::start(&[]).await;
    let browser = Browser::start().await;
    browser.prefers("color-scheme", "light").await;
    let early = "new MutationObserver((changes, observer) => {
        if (!document.body) return;
        window.early = document.documentElement.dataset.theme;
        observer.disconnect();
    }).observe(document, { childList: true, subtree: true })";
    browser.before(early).await;
    browser.open(&node.url("/lobby")).await;
    browser.whole().await;
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
    browser.whole().await;
    browser.click(".theme").await;
    assert_eq!(browser.style("html", "backgroundColor").await, light, "back to what the system prefers");
    browser.prefers("color-scheme", "dark").await;
    assert_eq!(browser.style("html", "backgroundColor").await, dark);
    assert_eq!(browser.console().await.iter().filter(|line| !line.contains("404")).count(), 0);
}

#[tokio::test]
async fn without_javascript_a_link_reloads_and_the_newest_is_in_sight() {
    let node = Node::start(&[]).await;
    let browser = Browser::without_javascript().await;
    node.fill("caf%C3%A9", 49).await;
    browser.open(&node.url("/caf%C3%A9")).await;
    node.post("caf%C3%A9", "mason", "news").await;
    browser.click("noscript a").await;
    browser.lines_to("news").await;
    let sight = "const { top, bottom } = [...document.querySelectorAll('.message')].at(-1).getBoundingClientRect();
        const log = document.querySelector('.messages').getBoundingClientRect();
        return top >= log.top && bottom <= log.bottom + 1";
    assert_eq!(browser.run(sight).await, true);
    let useless =
        "return [...document.querySelectorAll('.js, .people, .newer')].filter((each) => each.checkVisibility()).length";
    assert_eq!(browser.run(useless).await, 0, "what needs JavaScript is not shown");
    browser.say("ada", "me too").await;
    assert_eq!(browser.path().await, "/caf%C3%A9");
    assert_eq!(browser.lines_to("me too").await.last().unwrap().sender, "ada");
}
