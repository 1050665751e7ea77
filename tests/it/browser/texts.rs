//! Texts that could break the page, or that it helps with: stacked marks, emoji, right-to-left names, and code to copy.

use crate::support::{Browser, BrowserKind, Node, in_both_browsers};

in_both_browsers! {
    strange_texts_stay_in_their_boxes,
    search_finds_messages_dates_and_saves_a_transcript,
}

/// Opens the page of the lobby as ada.
async fn open(node: &Node, kind: BrowserKind) -> Browser {
    let browser = kind.start().await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    browser
}

async fn strange_texts_stay_in_their_boxes(kind: BrowserKind) {
    let node = Node::start(&[]).await;
    let marks = "\u{301}".repeat(60);
    let texts = [
        format!("a{}", "\u{301}".repeat(3_900)),
        "🏽".repeat(1_500),
        format!("👩{}", "\u{200d}👩".repeat(1_000)),
        "\u{fdfd}".repeat(1_000),
        "W".repeat(4_000),
    ];
    for text in &texts {
        node.post("lobby", &format!("Z{marks}"), text).await;
    }
    node.post("lobby", "ليلى!", "🎉🎉").await;
    node.post("lobby", "mason", "```\nlet x = 1; // #lobby\n```").await;
    let browser = open(&node, kind).await;
    let sideways = "const scrollers = ['html', '.messages', '.lines'].map((name) => document.querySelector(name));
        return scrollers.filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth).length";
    assert_eq!(browser.run(sideways).await, 0, "nothing scrolls sideways");
    let out = "const log = document.querySelector('.lines').getBoundingClientRect();
        return [...document.querySelectorAll('.text, .sender, .tile')].filter((part) => {
            const { left, right, width } = part.getBoundingClientRect();
            return width > 1 && (getComputedStyle(part).overflowY !== 'clip' || left < log.left || right > log.right);
        }).length";
    assert_eq!(browser.run(out).await, 0, "each part is clipped, and within the log");
    let large = "const sizes = [...document.querySelectorAll('.text')].map((text) => parseFloat(getComputedStyle(text).fontSize));
        return sizes[5] > 1.8 * sizes[0] && sizes[0] === sizes[6]";
    assert_eq!(browser.run(large).await, true, "emoji alone are large");
    let directions = "return [...document.querySelectorAll('.sender')].slice(5).map((name) => getComputedStyle(name).direction).join()";
    assert_eq!(browser.run(directions).await, "rtl,ltr", "the exclamation mark is at the end of the name");

    browser.type_into("#sender", "小李").await;
    node.post("lobby", "mason", "我找小李吃饭").await;
    browser.messages_up_to("我找小李吃饭").await;
    browser
        .until("return [...document.querySelectorAll('mark')].map(({ textContent }) => textContent).join() === '小李'")
        .await;

    let focus = "window.copies = [];
        Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => copies.push(text) } });
        const link = [...document.querySelectorAll('a.when')].at(-2);
        link.focus();
        if (!document.hasFocus()) link.dispatchEvent(new FocusEvent('focusin', { bubbles: true })); // a headless Firefox";
    browser.run(focus).await;
    browser.until("return document.querySelector('.copy') !== null").await;
    assert_eq!(browser.axe_violations().await, [""; 0]);
    assert_eq!(browser.run("return document.querySelector('.copy').tabIndex").await, 0, "a key reaches it");
    browser.run("document.querySelector('.copy').click()").await;
    browser.until("return document.querySelector('.copy').dataset.done === 'Copied'").await;
    assert_eq!(browser.run("return copies.join()").await, "let x = 1; // #lobby");
    assert_eq!(browser.text("#said").await, "Copied");
    assert_eq!(browser.text(".fence").await, "let x = 1; // #lobby", "the button adds nothing to the text");
}

async fn search_finds_messages_dates_and_saves_a_transcript(kind: BrowserKind) {
    let node = Node::start(&[]).await;
    let needle = node.post("lobby", "grace", "A Needle, in the hay").await;
    let ids = node.fill("lobby", 420).await;
    let browser = open(&node, kind).await;
    let shortcut = "document.querySelector('.messages').dispatchEvent(new KeyboardEvent('keydown',
        { key: 'F', ctrlKey: true, shiftKey: true, bubbles: true, cancelable: true }))";
    browser.run(shortcut).await;
    browser.until("return document.activeElement.type === 'search'").await;
    browser.type_into(".search [type=search]", "needle HAY\n").await;
    browser
        .until("return /^1 found in 421 messages\\.$/.test(document.querySelector('.search .result').textContent)")
        .await;
    assert_eq!(browser.text(".found mark").await, "Needle");
    assert_eq!(browser.axe_violations().await, [""; 0]);

    let save = "HTMLAnchorElement.prototype.click = () => {}; // no download
        window.saved = new Promise((done) => {
            URL.createObjectURL = (blob) => {
                done(blob.text());
                return 'blob:x';
            };
        });
        [...document.querySelectorAll('.search button')].at(-1).click();
        return saved";
    let transcript = browser.run(save).await;
    let transcript = transcript.as_str().unwrap();
    assert!(transcript.contains("421 messages, saved"), "{}", &transcript[..200]);
    assert!(transcript.trim_end().ends_with("mason: message 420"));
    browser
        .until("return /421 messages saved/.test(document.querySelector('.search .result').textContent)")
        .await;

    browser.type_into(".search [type=search]", "needle\n").await;
    browser.until("return document.querySelectorAll('.found li').length === 1").await;
    browser.run("document.querySelector('.found button').click()").await;
    browser.until(&format!("return document.querySelector(':target')?.id === '{needle}'")).await;
    assert_eq!(browser.run("return document.querySelector('dialog') === null").await, true);

    browser.run(shortcut).await;
    let go = "const [form] = [...document.querySelectorAll('.search form.look')].slice(-1);
        form.querySelector('input').value = '2020-01-01T00:00';
        form.requestSubmit()";
    browser.until("return document.querySelectorAll('.search form.look').length === 2").await;
    browser.run("location.hash = ''").await;
    browser.run(go).await;
    browser.until(&format!("return document.querySelector(':target')?.id === '{needle}'")).await;
    assert_eq!(ids.len(), 420);
    assert_eq!(browser.console().await, [""; 0]);
}
