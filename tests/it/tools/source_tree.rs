//! The rules of the source tree that ARCHITECTURE.md states, checked by reading the files: which module may use which,
//! who knows which crate, and where text becomes markup.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::repository::{File, files, sources};

/// The top-level modules from the ground up. A module uses only those of lower layers; modules of one layer do not use
/// each other.
const LAYERS: &[&[&str]] = &[
    &["chat", "log_queue", "supervise"],
    &["sse", "bus", "http_client"],
    &["limits", "apps"],
    &["hub", "config"],
    &["summary"],
    &["web"],
    &["server", "doctor", "client", "keys", "health"],
    &["main", "lib"],
];

/// Modules that every other may use, and that use only the lowest layer.
const LEAVES: [&str; 3] = ["backoff", "metrics", "shrink"];

const MAX_FILE_LINES: usize = 400;

/// Ways to make markup of a string.
const MARKUP_CALLS: [&str; 10] = [
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "createContextualFragment",
    "DOMParser",
    "setHTML",
    "srcdoc",
    "eval(",
    "new Function",
];

/// Returns the module path of a source file, such as `hub::room` for `src/hub/room.rs`.
fn module_of(path: &str) -> Vec<String> {
    let path = path.strip_prefix("src/").and_then(|path| path.strip_suffix(".rs")).expect("a source file");
    path.split('/').filter(|part| *part != "lib").map(str::to_owned).collect()
}

/// Returns the paths of a `use` tree or an expression that begins here, groups expanded, each as its segments.
fn expand(text: &str) -> Vec<Vec<String>> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        let (mut depth, mut start, mut members) = (0, 0, Vec::new());
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => {
                    members.push(&group[start..at]);
                    break;
                }
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    members.push(&group[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
        }
        return members.into_iter().filter(|member| !member.trim().is_empty()).flat_map(expand).collect();
    }
    let name: String = text.chars().take_while(|c| is_name(*c)).collect();
    match text[name.len()..].strip_prefix("::") {
        Some(rest) if !name.is_empty() => {
            let rest = expand(rest);
            let with_name = |rest: Vec<String>| [vec![name.clone()], rest].concat();
            rest.into_iter().map(with_name).collect()
        }
        _ => vec![vec![name]],
    }
}

/// Returns the absolute paths within the crate that a source file mentions.
fn mentioned_paths(file: &File, modules: &BTreeMap<Vec<String>, String>) -> Vec<Vec<String>> {
    let (own, code) = (module_of(&file.path), file.code());
    let starts_word = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    let parent = own[..own.len().saturating_sub(1)].to_vec();
    let mut paths = Vec::new();
    let mut collect = |word: &str, base: &[String]| {
        for (at, _) in code.match_indices(word).filter(|(at, _)| starts_word(*at)) {
            let tails = expand(&code[at + word.len()..]);
            paths.extend(tails.into_iter().map(|tail| [base.to_vec(), tail].concat()));
        }
    };
    collect("crate::", &[]);
    collect("super::", &parent);
    let children = modules.keys().filter(|module| module.len() == own.len() + 1 && module.starts_with(&own));
    for child in children {
        let word = format!("{}::", child.last().expect("a name"));
        collect(&word, child);
    }
    paths
}

/// Returns which source files use which: the file of the longest module path that a mentioned path begins with.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let sources: Vec<File> = sources().into_iter().filter(|file| !file.path.ends_with("/tests.rs")).collect();
    let modules: BTreeMap<Vec<String>, String> =
        sources.iter().map(|file| (module_of(&file.path), file.path.clone())).collect();
    let target = |path: &Vec<String>| (1..=path.len()).rev().find_map(|length| modules.get(&path[..length]).cloned());
    let used = |file: &File| {
        let used = mentioned_paths(file, &modules).iter().filter_map(target).collect::<BTreeSet<_>>();
        used.into_iter().filter(|path| *path != file.path).collect()
    };
    sources.iter().map(|file| (file.path.clone(), used(file))).collect()
}

/// Returns the files of a circle, if there is one.
fn circle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(
        file: &str,
        uses: &BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> bool {
        if let Some(at) = way.iter().position(|visited| visited == file) {
            way.drain(..at);
            return true;
        }
        if !done.contains(file) {
            way.push(file.to_owned());
            if uses.get(file).is_some_and(|used| used.iter().any(|used| visit(used, uses, way, done))) {
                return true;
            }
            way.pop();
            done.insert(file.to_owned());
        }
        false
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|file| {
        let mut way = Vec::new();
        visit(file, uses, &mut way, &mut done).then_some(way)
    })
}

fn top_level(path: &str) -> String {
    module_of(path).first().cloned().unwrap_or_else(|| "lib".to_owned())
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Asserts that only these files contain the word.
#[track_caller]
fn assert_only_in(word: &str, places: &[&str]) {
    for file in sources() {
        assert!(file.is_in(places) || !file.code().contains(word), "{} contains {word}", file.path);
    }
}

#[test]
fn modules_use_only_lower_layers() {
    for (file, used) in uses() {
        let module = top_level(&file);
        assert!(layer(&module).is_some() || LEAVES.contains(&module.as_str()), "{file} has no layer");
        for used in used.iter().map(|used| top_level(used)) {
            let is_below = match (layer(&module), layer(&used)) {
                _ if used == module || module == "lib" => true,
                (Some(above), Some(below)) => above > below,
                (Some(_), None) => true,
                (None, below) => below == Some(0),
            };
            assert!(is_below, "{file} uses {used}, which is not in a lower layer");
        }
    }
}

#[test]
fn no_two_source_files_use_each_other() {
    let circle = circle(&uses());
    assert_eq!(circle, None, "these files use each other in a circle");
}

#[test]
fn no_source_file_uses_an_item_of_its_parent() {
    for (file, used) in uses() {
        let own = module_of(&file);
        let parents: Vec<_> = used.iter().filter(|used| own.starts_with(&module_of(used))).collect();
        assert!(parents.is_empty(), "{file} uses its parent {parents:?}");
    }
}

/// `super` does not leave the parent, so that `crate::` paths show every dependency on another part of the crate.
#[test]
fn no_path_climbs_by_super_super() {
    assert_only_in("super::super", &[]);
    assert_only_in("tiny_chat::", &["src/main.rs"]);
}

#[test]
fn only_programs_read_the_configuration() {
    for (file, used) in uses() {
        let is_allowed = ["main", "lib", "server", "keys", "health", "config"].contains(&top_level(&file).as_str());
        assert!(is_allowed || !used.contains("src/config.rs"), "{file} reads the configuration");
    }
}

#[test]
fn only_bus_redis_uses_the_redis_crates() {
    let places = ["src/bus/redis.rs", "src/bus/redis/"];
    assert_only_in("deadpool", &places);
    for file in sources().iter().filter(|file| !file.is_in(&places)) {
        let code = file.code();
        let uses_crate = code.match_indices("redis::").any(|(at, _)| {
            let own_module = file.path == "src/bus.rs" && !code[..at].ends_with("::");
            !own_module
                && !code[..at].ends_with("bus::")
                && !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
        });
        assert!(!uses_crate, "{} uses the crate redis", file.path);
    }
}

#[test]
fn only_web_and_server_use_actix_web() {
    assert_only_in("actix_web", &["src/web.rs", "src/web/", "src/server.rs", "src/server/", "src/main.rs"]);
}

#[test]
fn only_pages_use_askama() {
    assert_only_in("askama", &["src/web/pages.rs", "src/web/pages/"]);
}

#[test]
fn html_is_escaped_at_one_place() {
    let calls: usize = sources().iter().map(|file| file.code().matches("encode_safe(").count()).sum();
    assert_eq!(calls, 1, "html_escape::encode_safe is called at {calls} places");
    assert_only_in("encode_text", &[]);
}

#[test]
fn templates_leave_escaping_on() {
    for file in files("templates", "html") {
        let text: String = file.text.split_whitespace().collect();
        for word in ["|safe", "escape=\"none\"", "{%autoescape"] {
            assert!(!text.contains(word), "{} contains {word}", file.path);
        }
    }
    assert_only_in("escape = \"none\"", &[]);
}

#[test]
fn scripts_never_make_markup_of_text() {
    for file in files("assets", "js") {
        for word in MARKUP_CALLS {
            assert!(!file.code().contains(word), "{} contains {word}", file.path);
        }
    }
}

#[test]
fn every_source_file_says_what_it_is() {
    for file in sources().iter().filter(|file| !file.path.ends_with("/tests.rs")) {
        assert!(file.text.starts_with("//! "), "{} does not begin with a `//!` comment", file.path);
    }
}

#[test]
fn source_files_have_at_most_400_lines() {
    for file in sources() {
        let lines = file.text.lines().count();
        assert!(lines <= MAX_FILE_LINES, "{} has {lines} lines", file.path);
    }
}

#[test]
fn paths_in_groups_are_expanded() {
    let paths = |text| expand(text).iter().map(|path| path.join("::")).collect::<Vec<_>>();
    assert_eq!(paths("chat::{Id, Message};"), ["chat::Id", "chat::Message"]);
    assert_eq!(
        paths("{chat::{Id, Message}, sse,\n    bus::Bus};"),
        ["chat::Id", "chat::Message", "sse", "bus::Bus"]
    );
    assert_eq!(paths("{\n    chat::Id,\n};"), ["chat::Id"]);
}

#[test]
fn a_circle_is_found() {
    let uses = |arrows: &[(&str, &str)]| {
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in arrows {
            uses.entry((*from).into()).or_default().insert((*to).into());
        }
        uses
    };
    assert_eq!(circle(&uses(&[("a", "b"), ("a", "c"), ("b", "c")])), None);
    assert_eq!(circle(&uses(&[("a", "b"), ("b", "c"), ("c", "b")])), Some(vec!["b".into(), "c".into()]));
}
