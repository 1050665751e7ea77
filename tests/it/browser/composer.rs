//! The message box: keys that send and keys that do not, a box that grows, completed names, and the limit of characters.

use crate::support::{
    Browser, BrowserKind, Node, Stream, eventually, in_both_browsers,
    keyboard::{BACKSPACE, DOWN, ENTER, ESCAPE, SHIFT, TAB, UP},
};

in_both_browsers!(what_cannot_be_sent_is_mended_or_refused_in_words);

async fn what_cannot_be_sent_is_mended_or_refused_in_words(kind: BrowserKind) {
    let node = Node::start(&[]).await;
    let browser = kind.start().await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    let halves = "for (const [id, text] of [['#sender', 'ada\\ud83d'], ['#message', 'half \\ud83d']]) {
        const box = document.querySelector(id);
        box.value = text;
        box.dispatchEvent(new Event('input'));
    }";
    browser.run(halves).await;
    browser.click(".composer button").await;
    browser.messages_up_to("half \u{fffd}").await;
    let stored = node.newest("lobby").await;
    assert_eq!((&stored["sender"], &stored["message"]), (&"ada\u{fffd}".into(), &"half \u{fffd}".into()));

    let key = "const box = document.querySelector('#message'); box.focus();
        return box.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowUp', keyCode: 229, bubbles: true, cancelable: true }))";
    assert_eq!(browser.run(key).await, true, "the key of an input method recalls nothing");
    assert_box_holds(&browser, "").await;

    let paste = "const [clipboardData, data] = [new DataTransfer(), 'x'.repeat(1_000_000)];
        clipboardData.setData('text/plain', data);
        const firefox = { data, dataType: 'text/plain' };
        const event = new ClipboardEvent('paste', { clipboardData, ...firefox, bubbles: true, cancelable: true });
        return document.querySelector('#message').dispatchEvent(event)";
    assert_eq!(browser.run(paste).await, false, "refused");
    let said = browser.non_empty_text("#send-error").await;
    assert!(said.contains("1,000,000 characters") && said.contains("not pasted"), "{said}");
    let insert = "document.querySelector('#message').focus();
        const started = performance.now();
        document.execCommand('insertText', false, 'y'.repeat(1_000_000));
        return performance.now() - started";
    let ms = browser.run(insert).await.as_f64().unwrap();
    assert!(ms < 1000.0, "{ms} ms");
    assert!(browser.text("#send-error").await.contains("cut off"));
    browser.click(".composer button").await;
    assert!(browser.text("#send-error").await.starts_with("That is 16,000 characters too long."));
    browser.reload().await;
    browser.until("return document.querySelector('#message').value.length === 20_000").await;
    browser.complete().await;
}

/// Starts a node, and a browser with the focus in the message box of the lobby.
async fn focused_composer() -> (Node, Browser) {
    let node = Node::start(&[]).await;
    let browser = Browser::in_lobby(&node).await;
    browser.click("#message").await;
    (node, browser)
}

/// Asserts that the message box holds `text`.
async fn assert_box_holds(browser: &Browser, text: &str) {
    assert_eq!(browser.value("#message").await, text);
}

#[tokio::test]
async fn enter_sends_and_shift_enter_breaks_the_line() {
    let (node, browser) = focused_composer().await;
    browser.press("one").await;
    browser.press(format!("{SHIFT}{ENTER}")).await;
    browser.press("two").await;
    assert_box_holds(&browser, "one\ntwo").await;
    assert!(node.stored("lobby").await.is_empty());
    browser.press(ENTER).await;
    browser.messages_up_to("one\ntwo").await;
    assert_box_holds(&browser, "").await;
    assert_eq!(node.newest("lobby").await["message"], "one\ntwo");
    browser.press(format!("  {ENTER}")).await;
    assert_eq!(node.stored("lobby").await.len(), 1, "a blank text is not sent");
}

#[tokio::test]
async fn enter_of_an_input_method_never_sends() {
    let (node, browser) = focused_composer().await;
    browser.press("にほ").await;
    let enter = "const [box, how] = [document.querySelector('#message'), JSON.parse(arguments[0])];
        if (how.ended) box.dispatchEvent(new CompositionEvent('compositionend', { data: 'にほ' }));
        return box.dispatchEvent(new KeyboardEvent('keydown',
            { key: 'Enter', bubbles: true, cancelable: true, isComposing: how.composing, keyCode: how.code }))";
    for how in [
        r#"{ "composing": true, "code": 13 }"#,
        r#"{ "composing": false, "code": 229 }"#,
        r#"{ "composing": false, "code": 13, "ended": true }"#,
    ] {
        assert_eq!(browser.run_with(enter, &[how]).await, true, "the input method handles the key: {how}");
    }
    assert_box_holds(&browser, "にほ").await;
    assert_eq!(browser.pending().await, []);
    assert!(node.stored("lobby").await.is_empty());
    browser.press(ENTER).await;
    browser.messages_up_to("にほ").await;
}

#[tokio::test]
async fn on_touch_screens_enter_breaks_the_line_and_a_button_sends() {
    let node = Node::start(&[]).await;
    let browser = Browser::start().await;
    browser.set_screen(390, 844).await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    browser.click("#message").await;
    browser.press(format!("one{ENTER}two")).await;
    assert_box_holds(&browser, "one\ntwo").await;
    assert!(node.stored("lobby").await.is_empty());
    browser.click(".composer button").await;
    browser.messages_up_to("one\ntwo").await;
}

#[tokio::test]
async fn box_grows_to_a_part_of_the_screen_and_shrinks_again() {
    let (_node, browser) = focused_composer().await;
    assert_box_grows(&browser).await;
}

/// Not every browser supports `field-sizing: content`.
#[tokio::test]
async fn box_grows_where_field_sizing_is_not_supported() {
    let node = Node::start(&[]).await;
    let browser = Browser::start().await;
    browser.run_on_new_pages("CSS.supports = () => false").await;
    browser.open(&node.url("/lobby")).await;
    browser.run("document.querySelector('#message').style.fieldSizing = 'fixed'").await;
    browser.complete().await;
    browser.click("#message").await;
    assert_box_grows(&browser).await;
}

/// Asserts that the message box grows with its text up to half the screen, and shrinks when the text is sent.
async fn assert_box_grows(browser: &Browser) {
    let height = async || browser.run("return document.querySelector('#message').offsetHeight").await.as_u64().unwrap();
    let one = height().await;
    let new_line = format!("{SHIFT}{ENTER}");
    for _ in 0..3 {
        browser.press(&new_line).await;
        browser.press("x").await;
    }
    let four = height().await;
    assert!(four >= one + 60, "{one} px, then {four}");
    browser.paste(&"y\n".repeat(80)).await;
    let many = height().await;
    let screen = browser.run("return innerHeight").await.as_u64().unwrap();
    assert!(many > four && many < screen / 2, "{many} of {screen} px");
    let end = "const box = document.querySelector('#message'); return box.scrollTop + box.clientHeight > box.scrollHeight - 40";
    browser.until(end).await;
    browser.press(ENTER).await;
    browser.until(&format!("return document.querySelector('#message').offsetHeight === {one}")).await;
}

#[tokio::test]
async fn arrow_up_recalls_sent_messages_and_keeps_typed_text() {
    let (node, browser) = focused_composer().await;
    for text in ["first", "second"] {
        browser.press(format!("{text}{ENTER}")).await;
        browser.messages_up_to(text).await;
    }
    node.post("lobby", "mason", "of another").await;
    browser.messages_up_to("of another").await;
    for (key, text) in [(UP, "second"), (UP, "first"), (UP, "first"), (DOWN, "second"), (DOWN, "")] {
        browser.press(key).await;
        assert_box_holds(&browser, text).await;
    }
    browser.press(UP).await;
    browser.press("!").await;
    browser.press(UP).await;
    assert_box_holds(&browser, "second!").await;
    browser.press(ENTER).await;
    browser.messages_up_to("second!").await;
    assert_eq!(node.stored("lobby").await.len(), 4, "a recalled text is sent as a new message");
}

#[tokio::test]
async fn counter_appears_near_the_limit_and_nothing_is_cut() {
    let (node, browser) = focused_composer().await;
    browser.paste(&"x".repeat(3_000)).await;
    assert_eq!(browser.text("#count").await, "");
    browser.paste(&"👋".repeat(900)).await;
    assert_eq!(browser.text("#count").await, "100 left");
    browser.paste(&"y".repeat(112)).await;
    assert_eq!(browser.text("#count").await, "12 too many");
    browser.press(ENTER).await;
    let said = browser.non_empty_text("#send-error").await;
    assert!(said.contains("That is 12 characters too long"), "{said}");
    let typed = browser.value("#message").await;
    assert_eq!(typed.chars().count(), 4_012);
    assert!(node.stored("lobby").await.is_empty());
    browser.press(BACKSPACE.to_string().repeat(12)).await;
    assert_eq!(browser.text("#count").await, "0 left");
    assert_eq!(browser.text("#send-error").await, "");
    browser.press(ENTER).await;
    browser.until("return document.querySelectorAll('.message[data-id]').length === 1").await;
    let stored = node.newest("lobby").await;
    assert_eq!(stored["message"].as_str().unwrap(), &typed[..typed.len() - 12]);
}

#[tokio::test]
async fn long_paste_stays_one_message() {
    let (node, browser) = focused_composer().await;
    let lines: Vec<String> = (1..=90).map(|number| format!("line {number}, with something on it")).collect();
    let text = lines.join("\n");
    browser.paste(&text).await;
    assert_box_holds(&browser, &text).await;
    assert!(node.stored("lobby").await.is_empty());
    browser.press(ENTER).await;
    browser.messages_up_to(&text).await;
    assert_eq!(node.stored("lobby").await.len(), 1);
}

/// Lists the offered names, with an asterisk before the selected one.
const OFFERED_NAMES: &str = "return document.querySelector('#names').hidden ? '' :
    [...document.querySelectorAll('#names [role=option]')].map((option) =>
        (option.ariaSelected === 'true' ? '*' : '') + option.textContent).join()";

#[tokio::test]
async fn names_are_completed_by_at_sign_and_by_tab() {
    let (node, browser) = focused_composer().await;
    let mut readers = Vec::new();
    for name in ["mason", "Maria", "grace"] {
        readers.push(Stream::open(&node, &format!("/subscribe/lobby?name={name}"), &[]).await);
    }
    browser.until("return document.querySelector('.people > button').textContent === '4 here'").await;
    let offered = async |expected: &str| {
        eventually(expected, async || (browser.run(OFFERED_NAMES).await == expected).then_some(())).await;
    };
    browser.press("hello @m").await;
    offered("*Maria,mason").await;
    browser.press(DOWN).await;
    offered("Maria,*mason").await;
    browser.press(ENTER).await;
    assert_box_holds(&browser, "hello @mason ").await;
    assert!(node.stored("lobby").await.is_empty(), "the Enter that selects a name does not send");
    browser.press(format!("gr{TAB}")).await;
    assert_box_holds(&browser, "hello @mason @grace ").await;
    browser.press(format!("and @ma{ESCAPE}")).await;
    offered("").await;
    assert_box_holds(&browser, "hello @mason @grace and @ma").await;
    browser.press(TAB).await;
    offered("*Maria,mason").await;
    browser.press(TAB).await;
    assert_box_holds(&browser, "hello @mason @grace and @Maria ").await;
    browser.press(ENTER).await;
    browser.messages_up_to("hello @mason @grace and @Maria ").await;
    browser.press(TAB).await;
    assert_eq!(
        browser.run("return document.activeElement.id").await,
        "sender",
        "in an empty box Tab moves the focus on"
    );
}
