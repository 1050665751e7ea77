//! The pages and their assets (contract § 4).

use std::collections::BTreeSet;

use base64::prelude::{BASE64_STANDARD, Engine};
use html_escape::decode_html_entities;
use reqwest::Url;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::{Answer, Bus, Node, Redis, get_raw, on_every_bus};

on_every_bus!(page_holds_the_latest_50_messages_and_their_cursor);

/// Returns the decoded values of an attribute, in the order of the page.
fn values(page: &str, attribute: &str) -> Vec<String> {
    let start = format!(" {attribute}=\"");
    page.split(&start)
        .skip(1)
        .map(|rest| decode_html_entities(rest.split('"').next().unwrap_or_default()).into_owned())
        .collect()
}

/// Returns the first tag that contains `part`.
fn tag<'a>(page: &'a str, part: &str) -> &'a str {
    page.split('<').find(|tag| tag.contains(part)).unwrap_or_else(|| panic!("no {part} in {page}"))
}

async fn page_holds_the_latest_50_messages_and_their_cursor(bus: Bus) {
    let node = bus.node(&[]).await;
    let ids = node.fill("lobby", 60).await;
    let page = node.page("/lobby").await.html(200);
    assert_eq!(values(&page, "data-id"), ids[10..]);
    assert!(page.contains("message 60") && !page.contains("message 10<"));
    let elsewhere = page.replace(&format!(" data-id=\"{}\"", ids[59]), "");
    assert!(elsewhere.contains(&ids[59]), "the cursor after the messages is not in the page");
    let empty = node.page("/garden").await.html(200);
    assert_eq!(values(&empty, "data-id"), [""; 0]);
    assert!(empty.contains("\"0-0\""), "the cursor of an empty room is not in the page");
}

#[tokio::test]
async fn front_page_shows_the_first_configured_room() {
    let node = Node::start(&[("ROOMS", "garden,lobby")]).await;
    let id = node.post("garden", "mason", "among the flowers").await;
    node.post("lobby", "mason", "at the door").await;
    let page = node.page("/").await.html(200);
    assert_eq!(values(&page, "data-id"), [id]);
    assert!(values(&page, "action").contains(&"/garden".to_owned()));
    assert!(values(&page, "href").contains(&"/lobby".to_owned()), "the page offers the other rooms");
    let default = Node::start(&[]).await.page("/").await.html(200);
    assert!(values(&default, "action").contains(&"/everyone".to_owned()));
    assert!(values(&default, "href").contains(&"/random".to_owned()));
}

#[tokio::test]
async fn page_has_the_documented_roles_classes_and_fields() {
    let node = Node::start(&[]).await;
    node.post("caf%C3%A9", "mason", "hi").await;
    let page = node.page("/caf%C3%A9").await.html(200);
    let log = tag(&page, "role=\"log\"");
    let classes = |tag: &str| values(&format!(" {tag}"), "class").join(" ");
    assert!(classes(log).split(' ').any(|class| class == "messages"), "{log}");
    let message = tag(&page, " data-id=\"");
    assert!(classes(message).split(' ').any(|class| class == "message"), "{message}");
    let sender = page.split_once(" data-id=\"").map(|(_, inside)| tag(inside, "class=\"sender")).unwrap();
    assert!(sender.contains("mason"), "{sender}");
    let form = tag(&page, "action=\"");
    assert_eq!(values(&format!(" {form}"), "action")[0].to_uppercase(), "/CAF%C3%A9");
    assert!(form.to_lowercase().contains("method=\"post\""), "{form}");
    let names = values(&page, "name");
    assert!(names.contains(&"sender".to_owned()) && names.contains(&"message".to_owned()), "{names:?}");
}

/// Messages are stored escaped and the templates escape too, so text is decoded in between.
#[tokio::test]
async fn page_escapes_text_exactly_once() {
    let node = Node::start(&[]).await;
    let (sender, message) = (r#"</b> & "co'"#, "<script>alert(1)</script> &amp; <img src=x onerror=alert(2)>");
    node.post("lobby", sender, message).await;
    let page = node.page("/lobby").await.html(200);
    assert!(
        !page.contains("<script>alert") && !page.contains("<img src=x") && !page.contains("</b> &"),
        "unescaped: {page}"
    );
    let decoded = decode_html_entities(&page);
    assert!(decoded.contains(sender) && decoded.contains(message), "escaped twice, or missing: {page}");
}

fn assert_guarded(answer: &Answer) {
    let policy = answer.header("content-security-policy");
    let directives: Vec<Vec<&str>> =
        policy.split(';').map(|directive| directive.split_whitespace().collect()).collect();
    assert!(directives.contains(&vec!["default-src", "'none'"]), "{policy}");
    assert!(directives.contains(&vec!["frame-ancestors", "'none'"]), "{policy}");
    for directive in &directives {
        let sources = directive.get(1..).unwrap_or_default();
        let is_hash = |source: &str| directive[0] == "script-src" && source.starts_with("'sha256-");
        let is_own = |source: &&str| matches!(*source, "'none'" | "'self'" | "'script'") || is_hash(source);
        assert!(sources.iter().all(is_own), "{directive:?}");
    }
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("referrer-policy"), "same-origin");
}

#[tokio::test]
async fn pages_set_security_headers_and_are_not_cached() {
    let node = Node::start(&[]).await;
    for path in ["/", "/lobby"] {
        let answer = node.page(path).await.expect(200);
        assert_guarded(&answer);
        assert!(answer.header("cache-control").contains("no-store"), "{path}: {:?}", answer.header("cache-control"));
    }
    let error = node.page("/-no-room").await.expect(404);
    assert_guarded(&error);
    error.html(404);
}

#[tokio::test]
async fn page_has_one_inline_script_and_no_foreign_links() {
    let node = Node::start(&[]).await;
    node.post("lobby", "mason", "hi").await;
    let answer = node.page("/lobby").await;
    let policy = answer.header("content-security-policy");
    let page = answer.html(200);
    let (_, inline) = page.split_once("<script>").expect("a script");
    let hash = BASE64_STANDARD.encode(Sha256::digest(inline.split("</script>").next().expect("its text")));
    assert!(policy.contains(&format!("script-src 'self' 'sha256-{hash}';")), "{policy}");
    for link in ["src", "href", "action"].map(|name| values(&page, name)).concat() {
        assert!(
            (link.starts_with('/') && !link.starts_with("//")) || link.starts_with('#'),
            "{link:?} may be another origin"
        );
    }
    assert_eq!(
        page.matches("<script").count(),
        1 + values(&page, "src").iter().filter(|src| src.ends_with(".js")).count()
    );
    for tag in page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or_default()) {
        assert!(!tag.starts_with("style") && !tag.contains(" style="), "an inline style: <{tag}>");
        assert!(!tag.contains(" on"), "an inline handler: <{tag}>");
    }
}

/// Returns the path of every asset that a page needs: those it names, and those its scripts and style sheets name.
async fn files(node: &Node) -> BTreeSet<String> {
    let page = node.page("/lobby").await.html(200);
    let mut open: Vec<String> = [values(&page, "src"), values(&page, "href")].concat();
    let mut files = BTreeSet::new();
    while let Some(path) = open.pop() {
        if !path.starts_with("/assets/") || !files.insert(path.clone()) {
            continue;
        }
        let answer = node.get(&path).await.expect(200);
        if ["text/javascript", "application/javascript", "text/css"].contains(&answer.media_type().as_str()) {
            let here = Url::parse(&node.url(&path)).unwrap();
            open.extend(imports(answer.text()).map(|name| here.join(name).unwrap().path().to_owned()));
        }
    }
    files
}

fn imports(source: &str) -> impl Iterator<Item = &str> {
    let quoted = |start| source.split(start).skip(1).filter_map(|rest| rest.split('"').next());
    ["from \"", "import \"", "import(\"", "url(\""].into_iter().flat_map(quoted)
}

#[tokio::test]
async fn assets_are_cached_as_immutable() {
    let node = Node::start(&[]).await;
    let files = files(&node).await;
    assert!(
        files.iter().any(|path| path.ends_with(".js")) && files.iter().any(|path| path.ends_with(".css")),
        "{files:?}"
    );
    for path in &files {
        let answer = node.get(path).await.expect(200);
        let cache = answer.header("cache-control");
        assert!(cache.contains("immutable") && cache.contains("max-age="), "{path}: {cache}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(!answer.body.is_empty());
    }
}

/// A page of another version, loaded during an upgrade, asks under that version's hash.
#[tokio::test]
async fn asset_under_another_hash_is_served_but_not_cached() {
    let node = Node::start(&[]).await;
    for path in files(&node).await {
        let other = other_hash(&path);
        let answer = node.get(&other).await.expect(200);
        assert!(answer.header("cache-control").contains("no-store"), "{other}: {:?}", answer.header("cache-control"));
        assert_eq!(answer.body, node.get(&path).await.body, "{other}");
    }
}

/// Replaces the content hash of a path, its longest run of hex digits, by another one.
fn other_hash(path: &str) -> String {
    let runs = path.split(|c: char| !c.is_ascii_hexdigit());
    let hash = runs
        .max_by_key(|run| run.len())
        .filter(|run| run.len() >= 8)
        .unwrap_or_else(|| panic!("no hash in {path}"));
    path.replace(hash, &"0".repeat(hash.len()))
}

#[tokio::test]
async fn only_embedded_files_are_served() {
    let node = Node::start(&[]).await;
    let some = files(&node).await.pop_first().expect("a file");
    let name = some.rsplit('/').next().unwrap();
    for path in [
        "/assets/",
        "/assets/nothing.js",
        "/assets/../Cargo.toml",
        "/assets/%2e%2e/Cargo.toml",
        "/assets/..%2fCargo.toml",
        "/assets/%2Fetc%2Fpasswd",
        &some.replace(name, "nothing.js"),
        &some.replace(name, "../../Cargo.toml"),
    ] {
        let answer = get_raw(&node, path).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
}

/// A script, which reads the state of the log and its newest entries, and the question whether the server is a master.
#[tokio::test]
async fn loading_a_page_costs_four_redis_commands() {
    const LOADS: u64 = 200;
    const COMMANDS: [&str; 9] = [
        "evalsha",
        "xinfo|stream",
        "xinfo",
        "xrevrange",
        "xrange",
        "exists",
        "hmget",
        "zrangebyscore",
        "hello",
    ];
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut newest = Vec::new();
    for room in 0..10 {
        newest.extend(node.fill(&format!("room-{room}"), 60).await.pop());
    }
    let before = redis.count_calls(&COMMANDS).await;
    for number in 0..LOADS {
        let room = number % 10;
        let page = node.page(&format!("/room-{room}")).await.html(200);
        assert_eq!(values(&page, "data-id").last(), newest.get(room as usize));
    }
    let calls = redis.count_calls(&COMMANDS).await - before;
    // The node checks its connections each second.
    assert!(calls < LOADS * 9 / 2, "{calls} commands for {LOADS} pages");
}

/// Browsers install a page whose manifest has a name, a start and an icon of 144 pixels at least.
#[tokio::test]
async fn pages_can_be_installed() {
    let node = Node::start(&[]).await;
    let page = node.page("/lobby").await.html(200);
    let path = values(&page, "href").into_iter().find(|path| path.ends_with(".webmanifest")).expect("a manifest");
    let answer = node.get(&path).await.expect(200);
    assert_eq!(answer.media_type(), "application/manifest+json");
    let manifest = answer.json();
    assert_eq!((&manifest["name"], &manifest["display"]), (&json!("tiny-chat"), &json!("standalone")));
    let here = Url::parse(&node.url(&path)).expect("an address");
    let at =
        |field: &str| here.join(manifest[field].as_str().expect("an address")).expect("an address").path().to_owned();
    assert_eq!((at("start_url"), at("scope")), ("/".to_owned(), "/".to_owned()));
    for icon in manifest["icons"].as_array().expect("icons") {
        let (source, kind) = (icon["src"].as_str().expect("an address"), icon["type"].as_str().expect("a type"));
        let answer = node.get(here.join(source).expect("an address").path()).await.expect(200);
        assert_eq!(answer.media_type(), kind, "{source}");
    }
    let touch = values(&page, "href")
        .into_iter()
        .find(|path| path.ends_with("icon-180.png"))
        .expect("an icon for iOS");
    assert_eq!(node.get(&touch).await.expect(200).media_type(), "image/png");
}
