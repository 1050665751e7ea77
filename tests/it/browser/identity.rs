//! Marks tell two of one name apart, and a link brings an identity to another browser, after a yes only.

use serde_json::{Value, json};

use crate::support::{BrowserKind, Node, in_both_browsers, keyboard::ESCAPE};

in_both_browsers! {
    identity_of_a_link_is_used_only_after_a_yes,
    identity_of_a_link_works_where_storage_is_denied,
}

const SECRET: &str = "AbCdEfGhIjKlMnOpQrSt-_";

/// Returns the title of the open dialog.
const DIALOG: &str = "return (document.querySelector('dialog[open] h2')?.textContent ?? '')";

/// Returns the secrets that the browser holds: its own, and those before it.
const SECRETS: &str = "return ['secret', 'secrets'].map((key) => localStorage.getItem(`tiny-chat:${key}`) ?? '')";

/// Clicks on the button of the open dialog with this label.
const CLICK: &str =
    "[...document.querySelectorAll('dialog[open] button')].find((each) => each.textContent === arguments[0]).click()";

async fn identity_of_a_link_is_used_only_after_a_yes(kind: BrowserKind) {
    let node = Node::start(&[]).await;
    let browser = kind.start().await;
    browser.open(&node.url("/lobby")).await;
    browser.live().await;
    browser.send("ada", "from here").await;
    browser.messages_up_to("from here").await;
    browser.until("return !!localStorage.getItem('tiny-chat:mark')").await;
    let before = browser.run(SECRETS).await;
    assert_eq!((before[0].as_str().map(str::len), &before[1]), (Some(22), &json!("")));
    browser
        .until("return !!document.querySelector('.mine .tile .pattern path')?.getAttribute('d')")
        .await;
    assert_eq!(browser.run("return document.querySelectorAll('.letters').length").await, 0);

    // A link that is followed on the page leaves neither the address nor the history with a secret.
    let entries = browser.run("return history.length").await;
    browser.run_with("location.hash = `me=${arguments[0]}`", &[SECRET]).await;
    browser.until(&format!("{DIALOG} === 'Use this identity here instead of yours?'")).await;
    assert_eq!(browser.run("return location.hash").await, "");
    let focused = "return document.activeElement.textContent";
    assert_eq!(browser.run(focused).await, "Keep mine");
    browser.press(ESCAPE).await;
    browser.until(&format!("{DIALOG} === ''")).await;
    assert_eq!(browser.run(SECRETS).await, before, "nothing changes without a yes");
    browser.run("window.stays = true; history.back()").await;
    browser.until(&format!("return location.hash === '' && history.length === {entries} + 1")).await;
    assert_eq!(browser.run("return window.stays").await, true);
    assert_eq!(browser.run(DIALOG).await, "");
    let forward = "return new Promise((done) => {
        addEventListener('popstate', () => done(location.hash), { once: true });
        history.forward();
    })";
    assert_eq!(browser.run(forward).await, "", "a reload must not meet it half way");
    browser.reload().await;
    browser.live().await;
    assert_eq!((browser.run(DIALOG).await, browser.run("return location.hash").await), (json!(""), json!("")));

    // A link that opens the page does not either, and what the page requests does not carry it.
    let tab = browser.current_tab().await;
    browser.open_tab(&node.url(&format!("/lobby#me={SECRET}.00112233445566778899aabbccddeeff"))).await;
    browser.until(&format!("{DIALOG} !== ''")).await;
    assert_eq!(browser.run("return location.href").await, node.url("/lobby"));
    assert_eq!(browser.run("return document.querySelector('dialog[open] .letters').textContent").await, "fbxlca");
    browser.live().await;
    let asked =
        "return performance.getEntriesByType('resource').filter(({ name }) => name.includes(arguments[0])).length";
    assert_eq!(browser.run_with(asked, &[SECRET]).await, 0);
    browser.run_with(CLICK, &["Use it"]).await;
    let after = browser.run(SECRETS).await;
    assert_eq!(after[0], SECRET);
    assert!(after[1].as_str().expect("secrets").starts_with(before[0].as_str().expect("a secret")), "{after}");
    browser.send("ada", "as another").await;
    browser.messages_up_to("as another").await;

    // Both tabs post with it, and show that these are two of one name.
    browser.switch_to(&tab).await;
    browser.send("ada", "from the first tab").await;
    browser.messages_up_to("from the first tab").await;
    node.post("lobby", "ada", "without a secret").await;
    browser.messages_up_to("without a secret").await;
    let letters = "return [...document.querySelectorAll('.message')].map((line) => line.querySelector('.letters')?.textContent ?? '')";
    browser.until(&format!("{} .every((each) => each !== '')", letters)).await;
    let shown = browser.run(letters).await;
    assert!(shown[0] != shown[1] && shown[1] == shown[2] && shown[3] == "no mark", "{shown}");
    let mine = "return [...document.querySelectorAll('.message')].map(({ className }) => /\\bmine\\b/.test(className))";
    assert_eq!(browser.run(mine).await, json!([true, true, true, false]));

    // The identity before can be taken back.
    browser.run("document.querySelector('[popovertarget=menu]').click()").await;
    let item =
        "[...document.querySelectorAll('#menu button')].find(({ textContent }) => /Your identity/.test(textContent))";
    browser.until(&format!("return !!{item}")).await;
    browser.run(&format!("{item}.click()")).await;
    browser.until(&format!("{DIALOG} === 'Your identity'")).await;
    assert_eq!(
        browser.run("return document.querySelector('dialog[open] .link-card')").await,
        Value::Null,
        "the key is shown when asked for"
    );
    browser.run("document.querySelector('dialog[open] summary').click()").await;
    browser.until("return !!document.querySelector('dialog[open] .qr path')").await;
    let link = browser.value("dialog[open] .link-card input").await;
    assert!(link.starts_with(&node.url(&format!("/lobby#me={SECRET}."))), "{link}");
    browser.run_with(CLICK, &["Use this again"]).await;
    assert_eq!(browser.run(SECRETS).await[0], before[0]);
    assert_eq!(browser.console().await, [""; 0]);
}

async fn identity_of_a_link_works_where_storage_is_denied(kind: BrowserKind) {
    let node = Node::start(&[]).await;
    let browser = kind.start().await;
    let denied = "for (const name of ['localStorage', 'sessionStorage']) {
        Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError'); } });
    }";
    browser.run_on_new_pages(denied).await;
    browser.open(&node.url(&format!("/lobby#me={SECRET}"))).await;
    browser.until(&format!("{DIALOG} === 'Use this identity here?'")).await;
    assert_eq!(browser.run("return location.href").await, node.url("/lobby"));
    browser.run_with(CLICK, &["Use it"]).await;
    let posted = "const fetched = window.fetch; window.bodies = [];
        window.fetch = (url, init) => { window.bodies.push(init?.body ?? ''); return fetched(url, init); }";
    browser.run(posted).await;
    browser.send("ada", "hello").await;
    browser.messages_up_to("hello").await;
    let secret = "return window.bodies.filter(Boolean).map((body) => JSON.parse(body).secret)";
    assert_eq!(browser.run(secret).await, json!([SECRET]));
    assert!(browser.non_empty_text("#notice").await.contains("keeps nothing for this page"));
}
