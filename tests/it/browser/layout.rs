//! How the page fits a screen: zoomed to 200 percent, on phones, with long names and texts, and in the chosen colours.

use serde_json::json;

use crate::support::{
    Browser, BrowserKind, Node, Proxy, Stream, in_both_browsers,
    keyboard::{CONTROL, ENTER, ESCAPE, TAB},
};

in_both_browsers!(rooms_are_a_drawer_on_a_phone);

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

/// Returns what is wider than the screen, or out of it: the page, its log, its box, and what lies above them. At 400 % of
/// zoom a screen of 1280 by 1024 has 320 by 256 px.
const TOO_WIDE: &str = "const found = [];
    for (const each of [document.documentElement, ...document.querySelectorAll('.messages, .side, dialog, .menu')])
        if (each.scrollWidth > each.clientWidth) found.push(`${each.className || each.localName} scrolls: ${each.scrollWidth} of ${each.clientWidth}`);
    const above = '.composer, .composer button, #message, dialog[open], :popover-open, .details, .names, .newer, .head button, .status button';
    for (const each of document.querySelectorAll(above)) {
        const { left, right, top, bottom } = each.getBoundingClientRect();
        const inside = left >= -0.5 && right <= innerWidth + 0.5 && top >= -0.5 && (bottom <= innerHeight + 0.5 || each.closest('dialog, .menu, .side')) ||
            left >= -0.5 && right <= innerWidth + 0.5 && each.closest('.messages'); // which scrolls
        if (each.checkVisibility() && !inside) found.push(`${each.className || each.localName} is outside: ${[left, right, top, bottom]}`);
    }
    for (const each of document.querySelectorAll('.message, .message > :not(.sr)')) {
        const { left, right } = each.getBoundingClientRect();
        if (each.checkVisibility() && (left < -0.5 || right > innerWidth + 0.5)) found.push(`${each.className} is outside: ${[left, right]}`);
    }
    const log = document.querySelector('.messages');
    if (log && log.clientHeight < 80) found.push(`the log has ${log.clientHeight} px`);
    return found";

async fn assert_fits(browser: &Browser, state: &str) {
    for (width, height) in [(320, 568), (390, 844), (640, 400), (320, 256), (1280, 800)] {
        browser.set_screen(width, height).await;
        browser.until(&format!("return innerWidth === {width}")).await;
        assert_eq!(browser.run(TOO_WIDE).await, json!([]), "{state}, {width} x {height}");
    }
}

/// What a message may contain that is wide, or looks so.
fn wide_texts() -> Vec<String> {
    let link = format!("see https://a.example/{} and #garden", "path/".repeat(60));
    let fence = format!("look:\n```\n{}\n```\n`{}`", "let x = 1; ".repeat(40), "inline_code".repeat(30));
    let accents = format!("e{}", "\u{301}".repeat(3900));
    let tones = "\u{1f3fd}".repeat(1500);
    let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}".repeat(400);
    let texts = ["one", "two", &"w".repeat(500), &link, &fence, "@ada, look", "مرحبا", &accents, &tones, &family];
    texts.map(str::to_owned).to_vec()
}

#[tokio::test]
#[ignore = "takes minutes: each state in five sizes"]
async fn no_state_scrolls_sideways_at_320_px_or_400_percent() {
    let long = "a-room-with-a-name-of-sixty-four-letters-that-never-seems-to-end";
    let node = Node::start(&[("ROOMS", &format!("lobby,garden,attic,cellar,kitchen,{long}"))]).await;
    let proxy = Proxy::to(node.address()).await;
    for sender in ["mason", &"W".repeat(64), &"long name ".repeat(6)] {
        for text in wide_texts() {
            node.post(long, sender, &text).await;
        }
    }
    let browser = Browser::start().await;
    browser.open(&proxy.url("/empty")).await;
    browser.complete().await;
    assert_fits(&browser, "empty").await;
    browser.open(&proxy.url(&format!("/{long}"))).await;
    browser.run("document.querySelector('.message:last-child .text').append('\\n'.repeat(10))").await;
    browser
        .until(
            "const { scrollTop, scrollHeight, clientHeight } = document.querySelector('.messages');
        return scrollTop + clientHeight > scrollHeight - 2",
        )
        .await;
    browser.type_into("#sender", &"M".repeat(64)).await;
    browser.complete().await;
    let _reader = Stream::open(&node, &format!("/subscribe/{long}?name={}", "W".repeat(64)), &[]).await;
    browser.until("return document.querySelectorAll('#here li').length === 2").await;
    browser.send(&"M".repeat(64), &"m".repeat(300)).await;
    browser.messages_up_to(&"m".repeat(300)).await;
    for (text, note) in [
        ("New", "unread"),
        ("Messages are missing here: the server did not know the last message on this page.", "gap"),
    ] {
        let line = "const line = document.createElement('p');
            [line.textContent, line.className] = arguments;
            document.querySelector('.lines').append(line)";
        browser.run_with(line, &[text, note]).await;
    }
    assert_fits(&browser, "wide messages and names, a gap, unread ones").await;
    let open = |id: &'static str| format!("document.querySelector('{id}').showPopover()");
    for (id, ready) in [("#rooms", "nav"), ("#here", "#here li"), ("#menu", "#menu button")] {
        let state = format!("{id} is open");
        for (width, height) in [(320, 568), (640, 400), (320, 256)] {
            browser.set_screen(width, height).await;
            browser.run(&open(id)).await;
            browser
                .until(&format!("return document.querySelector('{ready}')?.checkVisibility() ?? false"))
                .await;
            assert_eq!(browser.run(TOO_WIDE).await, json!([]), "{state}, {width} x {height}");
            browser.run(&format!("document.querySelector('{id}').hidePopover()")).await;
        }
    }
    browser.run("document.querySelector('.ask').click()").await;
    browser.until("return document.querySelector('dialog.help[open] .settings') !== null").await;
    assert_fits(&browser, "help").await;
    browser.run("document.querySelector('dialog').close()").await;
    browser.press(format!("{CONTROL}k")).await;
    browser.until("return document.querySelector('dialog.jump[open] li') !== null").await;
    assert_fits(&browser, "rooms to jump to").await;
    browser.run("document.querySelector('dialog.jump').close()").await;
    browser.run("document.querySelector('.message:last-of-type a.when, .mine a.when').focus()").await;
    browser.press(TAB).await;
    browser.press(ENTER).await;
    browser.until("return document.querySelector('.details [role=menuitem]') !== null").await;
    assert_fits(&browser, "the menu of a message").await;
    browser.click("#message").await;
    browser.press("@").await;
    browser.until("return document.querySelector('#names:not([hidden]) li') !== null").await;
    assert_fits(&browser, "names to choose from").await;
    browser.run("document.querySelector('#message').value = 'x'.repeat(4290)").await;
    browser.run("document.querySelector('#message').dispatchEvent(new Event('input'))").await;
    browser.press(ENTER).await;
    browser.non_empty_text("#send-error").await;
    assert_fits(&browser, "too long a text").await;
    browser.refuse_posts_of("refused").await;
    browser.send(&"M".repeat(64), &"refused".repeat(40)).await;
    assert!(browser.pending_says("Not sent").await.failed);
    assert_fits(&browser, "a message that failed").await;
    browser.click_offer("Discard").await;
    proxy.cut();
    browser.status("offline").await;
    browser.send("ada", &"waits".repeat(60)).await;
    browser.pending_says("Waits").await;
    assert_fits(&browser, "offline").await;
    browser.open(&node.url(&format!("/{}", "no%20room".repeat(20)))).await;
    assert_fits(&browser, "no such room").await;
}

/// On a phone the rooms are a drawer: its button counts what is unread, and the focus stays in it. It closes, as all lists
/// do, with Escape and by a click beside it.
async fn rooms_are_a_drawer_on_a_phone(kind: BrowserKind) {
    let node = Node::start(&[("ROOMS", "lobby,garden,attic")]).await;
    let browser = kind.start().await;
    browser.set_screen(390, 844).await;
    browser.open(&node.url("/garden")).await;
    browser.complete().await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    let is_open = "return document.querySelector('.side').checkVisibility()";
    assert_eq!(browser.run(is_open).await, false);
    for text in ["one", "two"] {
        node.post("garden", "mason", text).await;
    }
    browser.until("return document.querySelector('.drawer .badge')?.textContent === '2'").await;
    assert_eq!(browser.run("return document.querySelector('.drawer').ariaLabel").await, "Rooms: 2 unread");
    for closes in ["escape", "beside"] {
        browser.click(".drawer").await;
        browser.until(is_open).await;
        browser.until("return document.activeElement.dataset.room === 'lobby'").await;
        for _ in 0..6 {
            browser.press(TAB).await;
            let inside = "return document.activeElement === document.body || document.querySelector('.side').contains(document.activeElement)";
            assert_eq!(browser.run(inside).await, true, "the focus has left the drawer");
        }
        if closes == "escape" {
            browser.press(ESCAPE).await;
        } else {
            browser.click_at(380, 400).await;
        }
        browser.until("return !document.querySelector('.side').checkVisibility()").await;
        assert_eq!(browser.run("return document.querySelector('.messages').inert").await, false);
    }
    browser.until("return document.querySelectorAll('#here li').length === 1").await;
    for list in ["here", "menu"] {
        let is_open = format!("return document.querySelector('#{list}').matches(':popover-open')");
        for closes in ["escape", "beside"] {
            browser.click(&format!("[popovertarget={list}]")).await;
            browser.until(&is_open).await;
            if closes == "escape" {
                browser.press(ESCAPE).await;
            } else {
                browser.click_at(20, 500).await;
            }
            browser.until(&is_open.replace("return ", "return !")).await;
        }
    }
    browser.click(".drawer").await;
    browser.click(".side [data-room=attic] + .leave").await;
    browser.until("return document.querySelector('nav [data-room=attic]') === null").await;
    browser.click("nav [data-room=garden]").await;
    browser.until("return location.pathname === '/garden'").await;
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
    node.post("lobby", "mason", "compact").await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    browser.click(".dots").await;
    let compact =
        "[...document.querySelectorAll('#menu button')].find(({ textContent }) => textContent === 'Compact lines')";
    browser.until(&format!("return {compact} !== undefined")).await;
    let height = "return document.querySelector('.message').offsetHeight";
    assert!(browser.run(height).await.as_u64() > Some(40));
    browser.run(&format!("{compact}.click()")).await;
    browser.until("return document.querySelector('.message').offsetHeight < 30").await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    assert!(browser.run(height).await.as_u64() < Some(30), "lines are not compact after a reload");
    browser.click(".theme").await;
    assert_eq!(browser.style("html", "backgroundColor").await, light, "the third choice is what the system prefers");
    browser.set_preference("color-scheme", "dark").await;
    assert_eq!(browser.style("html", "backgroundColor").await, dark);
    assert_eq!(browser.console().await.iter().filter(|line| !line.contains("404")).count(), 0);
}
