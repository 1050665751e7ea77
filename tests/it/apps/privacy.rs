//! Rooms that begin with `private-` are closed on every way in. Each route has a decision here, and a route without one
//! fails the first test.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;

use crate::support::{Answer, BROWSER, Bus, Node, Stream, get_raw, on_every_bus, repository::sources};

on_every_bus!(private_rooms_are_closed_on_every_way);

const KEYS: (&str, &str) = ("APP_KEYS", "shop:0123456789abcdef");

/// A room that is in use, and one that is not.
const USED: &str = "private-shop~cafe\u{301}";
const UNUSED: &str = "private-shop~the\u{301}";

/// What is posted to closed rooms, and appears nowhere.
const POSTED: &str = "xyzzy plugh";

/// What a route does with private rooms.
enum Decision {
    /// It refuses them, and is tried.
    Closed,
    /// It cannot name a room.
    NamesNoRoom,
    /// A socket, a signature or HTTP Basic of an app says which rooms it reaches.
    LetInByApp,
    /// It asks for the operator's password.
    OfOperator,
}
use Decision::{Closed, LetInByApp, NamesNoRoom, OfOperator};

/// Every route.
const ROUTES: &[(&str, Decision)] = &[
    ("/", NamesNoRoom), // the first of ROOMS, where a private one ends the start
    ("/healthz", NamesNoRoom),
    ("/readyz", NamesNoRoom),
    ("/metrics", NamesNoRoom),
    ("/robots.txt", NamesNoRoom),
    ("/openapi.json", NamesNoRoom),
    ("/assets/{version}/{file:.+}", NamesNoRoom),
    ("/dashboard", OfOperator),
    ("/dashboard/data", OfOperator),
    ("/dashboard/events", OfOperator),
    ("/dashboard/wire/{room}", OfOperator),
    ("/subscribe/{rooms}", Closed),
    ("/history/{room}", Closed),
    ("/history/{room}/{id}", Closed),
    ("/presence/{room}", Closed),
    ("/rooms/{room}/events", Closed),
    ("/rooms/{room}/chats", Closed),
    ("/users", NamesNoRoom),
    ("/users/{id}", NamesNoRoom),
    ("/api/my-events", NamesNoRoom), // as `/`
    ("/api/heartbeat", NamesNoRoom),
    ("/socket", LetInByApp),
    ("/socket/{socket}", LetInByApp),
    ("/event", LetInByApp),
    ("/eventsource", LetInByApp),
    ("/channel/{channel:[^/]*}/users", LetInByApp),
    ("/broker", NamesNoRoom),
    ("/status", NamesNoRoom),
    ("/es.js", NamesNoRoom),
    ("/iframe", NamesNoRoom), // its script reads the stream of a socket
    ("/iframe.js", NamesNoRoom),
    ("/{room}", Closed),
    ("/{room}/", Closed),
];

/// Returns the paths of all routes with their methods, from the source.
fn routes() -> BTreeMap<String, Vec<Method>> {
    let files = sources().into_iter().filter(|file| file.is_in(&["src/web.rs", "src/web/"]));
    let mut routes = BTreeMap::new();
    for file in files {
        let code = file.code();
        for (_, rest) in code.match_indices("resource(").map(|(at, word)| code.split_at(at + word.len())) {
            let mut literals = rest.split(')').next().unwrap_or_default().split('"').skip(1).step_by(2);
            let Some(path) = literals.next() else { continue };
            let methods = literals.next().unwrap_or("GET, HEAD, POST, PUT, DELETE");
            let methods = methods.split(", ").map(|method| method.parse().expect("a method")).collect();
            routes.insert(path.to_owned(), methods);
        }
    }
    routes
}

#[test]
fn every_route_has_a_decision_about_private_rooms() {
    let decided: BTreeSet<&str> = ROUTES.iter().map(|(path, _)| *path).collect();
    let routes = routes();
    assert!(routes.contains_key("/{room}") && routes.contains_key("/rooms/{room}/chats"), "{routes:?}");
    for path in routes.keys() {
        assert!(decided.contains(path.as_str()), "what does {path} do with a private room?");
    }
}

/// Returns the spellings of a room in a path; a list of rooms has more.
fn spellings(room: &str, is_list: bool) -> Vec<String> {
    let encode = |room: &str| room.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let composed = room.replace("e\u{301}", "\u{e9}");
    let plain = |room: &str| room.replace('\u{e9}', "%C3%A9").replace('\u{301}', "%CC%81");
    let mut spellings = vec![plain(room), plain(&composed), encode(room), encode(&composed)];
    spellings.push(plain(room).replacen('p', "%70", 1));
    if is_list {
        let room = plain(room);
        let first: Vec<String> = (1..16).map(|n| format!("r{n}")).collect();
        spellings.push(format!("lobby,{room}"));
        spellings.push(format!("{room}%2Clobby"));
        spellings.push(format!("{},{}", first.join(","), encode(&composed)));
    }
    spellings
}

/// Sends a request in ways that would each get another answer if the room were looked at first.
async fn answers(node: &Node, method: &Method, path: &str) -> Vec<Answer> {
    let query = format!("{path}?history=x&limit=x&name=%00&in=nowhere&after=1&before=1");
    let requests = [
        node.request(method.clone(), path),
        node.request(method.clone(), path).header("Accept", BROWSER),
        node.request(method.clone(), path)
            .header("Accept", "text/event-stream")
            .header("Last-Event-ID", "1-1"),
        node.request(method.clone(), path)
            .header("If-None-Match", "*")
            .header("Sec-Fetch-Site", "cross-site"),
        node.request(method.clone(), &query).header("Content-Type", "application/json").body(POSTED),
        node.request(method.clone(), path).header("Accept", BROWSER).form(&[("message", POSTED)]),
        node.request(method.clone(), path).header("Idempotency-Key", "a").json(&vec![POSTED; 100]),
    ];
    let mut answers = Vec::new();
    for request in requests {
        answers.push(node.send(request).await);
    }
    answers
}

/// Returns all of an answer but its date.
fn all_but_date(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<_> = answer.headers().iter().filter(|(name, _)| name != "date").cloned().collect();
    headers.sort();
    (answer.status, headers, answer.text().to_owned())
}

fn assert_refused(answer: &Answer, method: &Method, path: &str) {
    assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
    assert_eq!(answer.header("www-authenticate"), "Bearer", "a browser would ask for a password");
    assert_eq!(answer.header("cache-control"), "no-store");
    let text = answer.text();
    assert!(!text.contains("shop") && !text.contains("xyzzy"), "{method} {path}: {text}");
    if method == Method::HEAD {
        assert_eq!(text, "");
    } else {
        let is_problem = ["application/problem+json", "text/html"].contains(&answer.media_type().as_str());
        assert!(is_problem && text.contains("private-"), "{method} {path}: {answer:?}");
    }
}

async fn private_rooms_are_closed_on_every_way(bus: Bus) {
    let (node, _reader) = node_with_a_used_room(&bus).await;
    let routes = routes();
    for (route, _) in ROUTES.iter().filter(|(_, decision)| matches!(decision, Closed)) {
        for method in &routes[*route] {
            let (mut used, mut unused) = (Vec::new(), Vec::new());
            for (room, answered) in [(USED, &mut used), (UNUSED, &mut unused)] {
                for spelling in spellings(room, route.contains("{rooms}")) {
                    let path = route.replace("{room}", &spelling).replace("{rooms}", &spelling).replace("{id}", "1-1");
                    for answer in answers(&node, method, &path).await {
                        assert_refused(&answer, method, &path);
                        answered.push(all_but_date(&answer));
                    }
                }
            }
            assert_eq!(used, unused, "{method} {route} tells whether a room is in use");
        }
    }
    let text = node.get("/metrics").await.expect(200).text().to_owned() + &node.log();
    assert!(!text.contains("private-") && !text.contains("xyzzy"), "{text}");
}

/// Starts a node with keys, where [`USED`] has an event and a reader that is present.
async fn node_with_a_used_room(bus: &Bus) -> (Node, Stream) {
    let node = bus.node(&[KEYS, ("RATE_LIMIT", "5"), ("RATE_BURST", "5")]).await;
    let call = async |path: &str, fields: &[(&str, &str)]| {
        let request = node.request(Method::POST, path).basic_auth("shop", Some("0123456789abcdef"));
        node.send(request.form(fields)).await.expect(200).json()
    };
    let channel = ("channel", USED.strip_prefix("private-shop~").expect("the prefix"));
    call("/event", &[channel, ("data", POSTED)]).await;
    let socket = call("/socket", &[channel, ("presence_id", POSTED)]).await;
    let path = format!("/eventsource?socket={}", socket["socket"].as_str().expect("an id"));
    let stream = Stream::open(&node, &path, &[("Last-Event-ID", "0-0")]).await;
    assert_eq!(stream.head.status, 200);
    (node, stream)
}

/// A preflight and a method that no route has are answered before the room is looked at, and alike for all rooms.
#[tokio::test]
async fn options_and_other_methods_tell_nothing() {
    let (node, _reader) = node_with_a_used_room(&Bus::InProcess).await;
    for route in ["/", "/subscribe/", "/history/", "/presence/"] {
        // A DELETE is for who has credentials, and says nothing of the room to others.
        for method in [Method::OPTIONS, Method::PATCH, Method::TRACE, Method::DELETE] {
            let mut answers = Vec::new();
            for room in [USED, UNUSED, "lobby"] {
                let answer = node.send(node.request(method.clone(), &format!("{route}{room}"))).await;
                assert_ne!(answer.status, 200, "{method} {route}{room}");
                answers.push(all_but_date(&answer));
            }
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        }
    }
}

/// What is wrong with a list is no answer while it names a private room.
#[tokio::test]
async fn broken_list_with_a_private_room_is_as_closed() {
    let node = Node::start(&[KEYS]).await;
    let many = "abcdefghijklmnop".chars().map(|name| name.to_string()).collect::<Vec<_>>().join(",");
    for list in [
        "private-a,private-a",
        "private-a,!!",
        "a%20b,private-a",
        "a%2Cprivate-a,",
        &format!("{many},private-a"),
    ] {
        node.get(&format!("/subscribe/{list}")).await.problem(401);
    }
    for (list, status) in [("a,a", 400), ("a,!!", 404), ("a,private-!!", 404)] {
        node.get(&format!("/subscribe/{list}")).await.problem(status);
    }
}

/// Addresses that are nearly those of a private room.
#[tokio::test]
async fn no_other_spelling_of_a_path_leads_in() {
    let (node, _reader) = node_with_a_used_room(&Bus::InProcess).await;
    let room = "private-shop~caf%C3%A9";
    for path in [
        format!("//{room}"),
        format!("/./{room}"),
        format!("/x/../{room}"),
        format!("/{room}//"),
        format!("/%2F{room}"),
        format!("/%73ubscribe/{room}"),
        format!("//subscribe/{room}"),
        format!("/subscribe//{room}"),
        format!("/history/{room}/"),
        format!("/history/{room};x"),
        format!("/{room}?x"),
        format!("http://x/{room}"),
        format!("/{room}#x"),
        format!("/lobby%00{room}"),
    ] {
        let answer = get_raw(&node, &path).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["400", "401", "404"].contains(&status), "{path}: {answer}");
        assert!(!answer.contains("keys") && !answer.contains("shop"), "{path}: {answer}");
    }
    // `in` names a room of the stream, whatever other rooms there are.
    let answers = [USED, UNUSED, "garden"].map(|room| format!("/subscribe/lobby?name=ada&in={room}"));
    for path in answers {
        assert_eq!(node.get(&path).await.problem(400), "in must name rooms of this stream.");
    }
}

/// Other rooms are as open as before, and so are these where no app has a key.
#[tokio::test]
async fn nothing_else_is_closed() {
    let node = Node::start(&[]).await;
    node.post("private-shop~news", "mason", "hi").await;
    assert_eq!(node.stored("private-shop~news").await.len(), 1);
    let node = Node::start(&[KEYS]).await;
    for room in ["private", "Private-x", "xprivate-x", "shop~news", "pr\u{ed}vate-x"] {
        node.post(room, "mason", "hi").await;
        assert_eq!(node.stored(room).await.len(), 1, "{room}");
    }
}
