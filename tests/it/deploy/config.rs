//! Every option is a flag and an environment variable; a bad value ends the start and is named (contract 8).

use std::{net::TcpListener, process::Command, thread};

use tokio::net::TcpStream;

use crate::support::{BINARY, Node, Redis, Stream, eventually, free_port, key};

/// Values that no reading of contract 8 allows.
const BAD: &[(&str, &[&str])] = &[
    ("BIND", &["nonsense", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536"]),
    (
        "REDIS_URL",
        &["nonsense", "http://127.0.0.1:6379", "redis-sentinel://h", "redis-cluster://h/1", "redis://h1,h2"],
    ),
    ("ROOMS", &["admin", "lobby,a b", "-x"]),
    ("HISTORY", &["0", "-1", "x", "1.5"]),
    ("HISTORY_TTL", &["0", "-1", "x"]),
    ("HEARTBEAT", &["0", "61", "-1", "x"]),
    ("RATE_LIMIT", &["-1", "x"]),
    ("RATE_BURST", &["-1", "x"]),
    ("MAX_STREAMS", &["-1", "x"]),
    ("MAX_STREAMS_PER_ADDRESS", &["-1", "x"]),
    ("TRUSTED_PROXIES", &["nonsense", "10.0.0.0/33", "10.0.0.0/8,x"]),
    ("ALLOWED_ORIGINS", &["nonsense", "https://a.example/path", "https://a.example,x"]),
    ("ADMIN_PASSWORD", &["a\u{1}b"]),
    (
        "APP_KEYS",
        &["shop", "shop:short", "a b:0123456789abcdef", "shop:0123456789abcdef:news", "a:0123456789abcdef,b:x"],
    ),
    ("APP_KEYS_FILE", &["/nonexistent/keys", "/"]),
    ("REDIS_URL_FILE", &["/nonexistent/url", "/", "/dev/null"]),
    ("REDISTOGO_URL_FILE", &["/nonexistent/url", "/", "/dev/null"]),
    ("REDIS_SENTINEL_PASSWORD_FILE", &["/nonexistent/password", "/", "/dev/null"]),
    ("ADMIN_PASSWORD_FILE", &["/nonexistent/password", "/", "/dev/null"]),
    ("ESHQ_SECRET_FILE", &["/nonexistent/secret", "/", "/dev/null"]),
    ("ESHQ_KEY", &["shop", "a b"]),
    ("ESHQ_SECRET", &["x", "a,b"]),
    ("HEAL", &["x", "yes", "0"]),
    ("ROOMS_API", &["x", "yes", "0"]),
    ("WORKERS", &["0", "257", "-1", "x"]),
    ("DRAIN_GRACE", &["-1", "x"]),
    ("DRAIN", &["-1", "x"]),
    ("LOG", &["warning", "verbose", "info,verbose", "9", "tiny_chat", "info,tiny_chat=nonsense"]),
    ("LOG_FORMAT", &["xml", "JSON5"]),
];

const ALL: [&str; 36] = [
    "BIND",
    "REDIS_URL",
    "REDIS_CA",
    "REDIS_CERT",
    "REDIS_KEY",
    "REDIS_SENTINEL_USER",
    "REDIS_SENTINEL_PASSWORD",
    "REDIS_PREFIX",
    "ROOMS",
    "HISTORY",
    "HISTORY_TTL",
    "HEARTBEAT",
    "RATE_LIMIT",
    "RATE_BURST",
    "MAX_STREAMS",
    "MAX_STREAMS_PER_ADDRESS",
    "TRUSTED_PROXIES",
    "ALLOWED_ORIGINS",
    "ADMIN_PASSWORD",
    "APP_KEYS",
    "APP_KEYS_FILE",
    "ESHQ_KEY",
    "ESHQ_SECRET",
    "HEAL",
    "ROOMS_API",
    "WORKERS",
    "NODE",
    "DRAIN_GRACE",
    "DRAIN",
    "LOG",
    "LOG_FORMAT",
    "REDIS_URL_FILE",
    "REDISTOGO_URL_FILE",
    "REDIS_SENTINEL_PASSWORD_FILE",
    "ADMIN_PASSWORD_FILE",
    "ESHQ_SECRET_FILE",
];

/// A valid value of each variable in `--help` but those of the files of secrets, which cannot be set beside these.
const VALID: [(&str, &str); 34] = [
    ("BIND", "127.0.0.1:0"),
    ("PORT", "0"),
    ("REDIS_URL", "redis://127.0.0.1:1"),
    ("REDISTOGO_URL", "redis://127.0.0.1:1"),
    ("REDIS_CA", "/dev/null"),
    ("REDIS_CERT", "/dev/null"),
    ("REDIS_KEY", "/dev/null"),
    ("REDIS_SENTINEL_USER", "sue"),
    ("REDIS_SENTINEL_PASSWORD", "hunter2"),
    ("REDIS_PREFIX", "staging"),
    ("ROOMS", "lobby,garden"),
    ("HISTORY", "5"),
    ("HISTORY_TTL", "60"),
    ("HEARTBEAT", "7"),
    ("RATE_LIMIT", "1"),
    ("RATE_BURST", "1"),
    ("MAX_STREAMS", "10"),
    ("MAX_STREAMS_PER_ADDRESS", "10"),
    ("MAX_AGE", "60"),
    ("TRUSTED_PROXIES", "127.0.0.1"),
    ("ALLOWED_ORIGINS", "https://a.example"),
    ("ADMIN_PASSWORD", "correct horse"),
    ("APP_KEYS", "shop:0123456789abcdef"),
    ("APP_KEYS_FILE", "/dev/null"),
    ("ESHQ_KEY", "blog"),
    ("ESHQ_SECRET", "x"),
    ("HEAL", "off"),
    ("ROOMS_API", "off"),
    ("WORKERS", "3"),
    ("NODE", "chat-1"),
    ("DRAIN", "0"),
    ("LOG", "debug"),
    ("LOG_FORMAT", "text"),
    ("DRAIN_GRACE", "0"),
];

/// Returns the variables that `--help` lists.
async fn variables() -> Vec<String> {
    let help = Node::run_to_exit(&[], &["--help"]).await.output;
    let names = help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn empty_variables_count_as_unset_in_every_option() {
    for value in ["", " \n"] {
        let variables = variables().await;
        let mut environment: Vec<(&str, &str)> = variables.iter().map(|name| (name.as_str(), value)).collect();
        // Only so that the port is free.
        environment.retain(|(name, _)| *name != "PORT");
        let node = Node::start(&[&environment[..], &[("PORT", " 0\n")]].concat()).await;
        node.logged("REDIS_URL").await;
        node.page("/").await.html(200);
        let mut stream = Stream::open(&node, "/subscribe/everyone", &[]).await;
        assert_eq!(stream.first().await.json()["heartbeat"], 15);
    }
}

#[tokio::test]
async fn white_space_around_a_value_counts_in_no_option() {
    let padded = |value: &str| format!(" \t{value} \r\n");
    let value_of = |name: &str| VALID.iter().find(|(known, _)| *known == name).expect("a valid value").1;
    let mut variables = variables().await;
    variables.retain(|name| name == "APP_KEYS_FILE" || !name.ends_with("_FILE"));
    let values: Vec<String> = variables.iter().map(|name| padded(value_of(name))).collect();
    let environment = variables.iter().zip(&values).map(|(name, value)| (name.as_str(), value.as_str()));
    let of_redis = ["REDIS_URL", "REDISTOGO_URL", "REDIS_CA"];
    let in_memory = environment.filter(|(name, _)| !of_redis.contains(name)).collect::<Vec<_>>();
    let node = Node::start(&in_memory).await;
    node.page("/lobby").await.html(200);
    let mut stream = Stream::open(&node, "/subscribe/lobby", &[]).await;
    let status = stream.first().await.json();
    assert_eq!((status["node"].as_str(), status["heartbeat"].as_u64()), (Some("chat-1"), Some(7)));
    let redis = Redis::start().await;
    for variable in ["REDIS_URL", "REDISTOGO_URL"] {
        let node = Node::start(&[(variable, &padded(&redis.url())), ("REDIS_PREFIX", "")]).await;
        node.post("lobby", "mason", "hi").await;
        assert!(redis.cmd::<bool>(&["EXISTS", &key("lobby")]).await);
    }
    let help = Node::run_to_exit(&[], &["--help"]).await.output;
    let mut flags: Vec<String> = in_memory.iter().map(|(name, value)| format!("{}={value}", flag(name))).collect();
    flags.retain(|flag| help.contains(flag.split('=').next().unwrap_or_default()) && !flag.starts_with("--bind"));
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(["--bind", " 192.0.2.1:1 "]).collect();
    let refusal = Node::run_to_exit(&[], &flags).await;
    assert!(refusal.output.contains("ERROR BIND 192.0.2.1:1: "), "{}", refusal.output);
}

fn flag(variable: &str) -> String {
    format!("--{}", variable.to_lowercase().replace('_', "-"))
}

#[tokio::test]
async fn a_bad_value_in_the_environment_ends_the_start_and_is_named() {
    for (variable, values) in BAD {
        for value in *values {
            let refusal = Node::run_to_exit(&[(variable, value)], &[]).await;
            assert!(!refusal.status.success(), "{variable}={value:?} was taken");
            let said = refusal.output.replace('-', "_").to_uppercase();
            assert!(said.contains(variable), "{variable}={value:?} is not named in {:?}", refusal.output);
        }
    }
}

#[tokio::test]
async fn a_bad_url_of_redis_is_named_by_the_variable_it_came_from() {
    let refusal = Node::run_to_exit(&[("REDISTOGO_URL", "nonsense")], &[]).await;
    assert!(refusal.output.contains("ERROR REDISTOGO_URL: "), "{}", refusal.output);
}

#[tokio::test]
async fn the_forms_of_a_redis_url_are_named_and_its_password_is_not() {
    for url in [
        "foo",
        "http://:hunter2@127.0.0.1:6379",
        "redis://:hunter2@127.0.0.1/x",
        "redis://:hunter2@127.0.0.1:x",
    ] {
        let refusal = Node::run_to_exit(&[("REDIS_URL", url)], &[]).await;
        for word in ["redis://[user:password@]host[:port][/database]", "rediss://", "unix://"] {
            assert!(refusal.output.contains(word), "{url}: {word} is not in {}", refusal.output);
        }
        assert!(!refusal.output.contains("hunter2"), "{}", refusal.output);
    }
}

#[tokio::test]
async fn a_bad_port_ends_the_start_and_is_named() {
    for value in ["x", "65536", "-1"] {
        let refusal = Node::run_to_exit(&[("PORT", value)], &[]).await;
        assert!(!refusal.status.success() && refusal.output.contains("PORT"), "PORT={value}: {:?}", refusal.output);
    }
}

#[tokio::test]
async fn an_unknown_log_level_is_named_beside_the_known_ones() {
    for value in ["warning", "hyper=warn,warning", " warning ,info"] {
        let refusal = Node::run_to_exit(&[("LOG", value)], &[]).await;
        for word in ["\"warning\"", "off, error, warn, info, debug, trace", "module=level"] {
            assert!(refusal.output.contains(word), "LOG={value} does not name {word}: {}", refusal.output);
        }
    }
}

/// What the node writes to standard error, and nowhere else, where it cannot start.
fn errors_of_a_failed_start(environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(BINARY);
    let output = command.env_clear().envs(environment.iter().copied()).output().expect("the program");
    assert_eq!(output.status.code(), Some(1), "{environment:?} {output:?}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("ERROR"), "{output:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[test]
fn the_reason_of_a_failed_start_ignores_the_log_filter() {
    let occupied = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = occupied.local_addr().expect("an address").to_string();
    let levels = ["off", "error", "warn", "info", "debug", "trace", "OFF", "Warn", "0", "3", ""];
    let filters = ["hyper=off", "hyper=error", "info,hyper=warn", "info,", "tiny_chat[span]=info", "[{room}]=debug"];
    for log in levels.into_iter().chain(filters) {
        let errors = errors_of_a_failed_start(&[("BIND", &address), ("LOG", log)]);
        assert!(errors.contains(&format!("ERROR BIND {address}: ")), "LOG={log:?}: {errors:?}");
    }
}

#[test]
fn the_reason_of_a_failed_start_has_the_format_of_the_log() {
    let environment = [("BIND", "127.0.0.1:0"), ("REDIS_URL", "nonsense"), ("LOG", "off")];
    let errors = errors_of_a_failed_start(&environment);
    assert!(errors.contains("ERROR REDIS_URL: "), "{errors:?}");
    let errors = errors_of_a_failed_start(&[&environment[..], &[("LOG_FORMAT", "json")]].concat());
    let line: serde_json::Value = serde_json::from_str(&errors).expect("one line of JSON");
    assert_eq!(line["level"], "ERROR");
    assert!(line["message"].as_str().is_some_and(|text| text.starts_with("REDIS_URL: ")), "{line}");
}

#[tokio::test]
async fn an_empty_log_filter_counts_as_the_default() {
    Node::start(&[("LOG", "")]).await.logged("open http://").await;
}

#[tokio::test]
async fn a_bad_flag_ends_the_start_and_is_named() {
    for (variable, values) in BAD {
        let flag = flag(variable);
        let refusal = Node::run_to_exit(&[], &[&format!("{flag}={}", values[0])]).await;
        assert!(!refusal.status.success(), "{flag}={} was taken", values[0]);
        let said = refusal.output.replace('-', "_").to_uppercase();
        assert!(said.contains(variable) && !said.contains("UNEXPECTED ARGUMENT"), "{flag}: {:?}", refusal.output);
    }
    assert!(!Node::run_to_exit(&[], &["--no-such-flag"]).await.status.success());
}

#[tokio::test]
async fn workers_are_half_as_many_as_cores_unless_set() {
    let cores = thread::available_parallelism().expect("a number of cores").get();
    for (value, workers) in [("3", 3), ("1", 1), ("", (cores / 2).max(1))] {
        let node = Node::start(&[("WORKERS", value)]).await;
        let told = format!("{workers} workers with WORKERS={value}");
        eventually(&told, async || (node.workers() == workers).then_some(())).await;
        node.post("lobby", "mason", "hi").await;
    }
}

#[tokio::test]
async fn help_names_every_flag_and_variable() {
    let help = Node::run_to_exit(&[], &["--help"]).await;
    assert!(help.status.success());
    for variable in ALL {
        assert!(
            help.output.contains(variable) && help.output.contains(&flag(variable)),
            "{variable} is missing in {}",
            help.output
        );
    }
}

#[tokio::test]
async fn an_occupied_address_ends_the_start() {
    let node = Node::start(&[]).await;
    let address = node.address().to_string();
    let refusal = Node::run_to_exit(&[("BIND", &address)], &[]).await;
    assert!(!refusal.status.success());
    assert!(refusal.output.contains(&address), "{:?}", refusal.output);
}

/// "if only `PORT` is set, `0.0.0.0:$PORT`": every loopback address reaches it.
#[tokio::test]
async fn port_alone_listens_on_all_addresses() {
    let port = free_port();
    let _node = Node::spawn(&[("PORT", &port.to_string())]);
    for address in ["127.0.0.1", "127.0.0.2"] {
        eventually("a listener", async || TcpStream::connect((address, port)).await.ok()).await;
    }
}

#[tokio::test]
async fn bind_goes_before_port() {
    let (port, other) = (free_port(), free_port());
    let _node = Node::spawn(&[("PORT", &other.to_string()), ("BIND", &format!("127.0.0.1:{port}"))]);
    eventually("a listener", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
    assert!(TcpStream::connect(("127.0.0.1", other)).await.is_err());
}

#[tokio::test]
async fn redistogo_url_is_taken_where_redis_url_is_missing() {
    let (redis, other) = (Redis::start().await, Redis::start().await);
    let node = Node::start(&[("REDISTOGO_URL", &redis.url())]).await;
    node.post("lobby", "mason", "hi").await;
    let both = Node::start(&[("REDIS_URL", &other.url()), ("REDISTOGO_URL", &redis.url())]).await;
    both.post("garden", "mason", "hi").await;
    let keys: Vec<String> = redis.cmd(&["KEYS", "*"]).await;
    assert_eq!(keys, [key("lobby")]);
    let keys: Vec<String> = other.cmd(&["KEYS", "*"]).await;
    assert_eq!(keys, [key("garden")]);
}

#[tokio::test]
async fn the_start_says_where_to_open_the_page() {
    let node = Node::start(&[]).await;
    node.logged(&node.url("/")).await;
    node.page("/").await.html(200);
}

/// "The in-process bus forgets at restart and says so at start-up" (guarantee 5).
#[tokio::test]
async fn memory_only_is_said_with_the_option_that_changes_it() {
    let node = Node::start(&[]).await;
    node.logged("REDIS_URL").await;
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    assert!(!node.log().contains("REDIS_URL"), "{}", node.log());
}

/// "the soft open-file limit is raised to the hard one, and a `MAX_STREAMS` that does not fit is said".
#[tokio::test]
async fn the_open_file_limit_is_raised_and_too_many_streams_are_said() {
    let node = Node::limited("100:4000", &[("MAX_STREAMS", "1000")]).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", node.pid())).expect("limits of the node");
    let open_files = limits.lines().find(|line| line.starts_with("Max open files")).expect("the limit");
    let numbers: Vec<&str> = open_files.split_whitespace().filter(|word| word.starts_with(char::is_numeric)).collect();
    assert_eq!(numbers, ["4000", "4000"]);
    assert!(!node.log().contains("MAX_STREAMS"), "{}", node.log());
    let node = Node::limited("100:4000", &[("MAX_STREAMS", "20000")]).await;
    assert!(node.logged("MAX_STREAMS").await.contains(" WARN "));
    let node = Node::limited("100:4000", &[]).await;
    assert!(node.logged("accepting 3744 streams").await.contains(" INFO "));
    assert!(!node.log().contains("WARN"), "{}", node.log());
}

#[tokio::test]
async fn log_lines_are_json_where_that_is_asked_for() {
    let mut node = Node::start(&[("LOG_FORMAT", "json"), ("LOG", "debug")]).await;
    node.post("lobby", "mason", "hi").await;
    node.terminate();
    node.exit().await;
    let log = node.log();
    assert!(log.lines().count() > 1);
    for line in log.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok_and(|value| value.is_object()), "{line}");
    }
}

/// Without a `NODE` the node has the name of its host.
#[tokio::test]
async fn a_node_is_named_after_its_host() {
    let node = Node::start(&[]).await;
    let mut stream = Stream::open(&node, "/subscribe/lobby", &[]).await;
    let host = Command::new("hostname").output().expect("hostname").stdout;
    assert_eq!(stream.first().await.json()["node"], String::from_utf8_lossy(&host).trim());
}
