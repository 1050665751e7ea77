//! The picture in DESIGN, "Layout and arrows", held true by reading the source.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// From the ground up; a file may use what lies below its own layer. Names on one line do not know each other.
const LAYERS: [&[&str]; 6] =
    [&["chat"], &["sse", "bus"], &["hub", "limits"], &["web"], &["server", "doctor"], &["main", "lib"]];

/// Leaves: they use nothing of the crate that stands above the ground.
const LEAVES: [&str; 2] = ["config", "metrics"];

const LONGEST: usize = 400;

/// Ways to make markup out of a string.
const MARKUP: [&str; 10] = [
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

/// A file of the repository: its path below the root, and its text.
struct File {
    path: String,
    text: String,
}

impl File {
    /// The text without its comment lines.
    fn code(&self) -> String {
        self.text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    }

    /// The module of the top level it belongs to: `web` for `src/web.rs` and `src/web/pages.rs`.
    fn module(&self) -> &str {
        let below = self.path.strip_prefix("src/").expect("a source file");
        below.split(['/', '.']).next().expect("a name")
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places
            .iter()
            .any(|place| self.path == *place || (place.ends_with('/') && self.path.starts_with(place)))
    }

    /// The modules of the top level it uses.
    fn uses(&self) -> Vec<String> {
        let code = self.code();
        code.match_indices("crate::").flat_map(|(at, found)| heads(&code[at + found.len()..])).collect()
    }
}

/// The first names of a path or of a `{group}` of paths.
fn heads(path: &str) -> Vec<String> {
    let name =
        |text: &str| -> String { text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let mut names = vec![name(group)];
    let mut depth = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn files(folder: &str, extension: &str) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<PathBuf> = vec![root.join(folder)];
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|found| found == extension) {
            let text = fs::read_to_string(&path).expect("a text file");
            let path = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
            files.push(File { path, text });
        }
    }
    assert!(!files.is_empty(), "no {extension} file in {folder}");
    files
}

fn sources() -> Vec<File> {
    files("src", "rs")
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Only these files hold the word.
#[track_caller]
fn only_in(word: &str, places: &[&str]) {
    for file in sources() {
        assert!(file.is_in(places) || !file.code().contains(word), "{} mentions {word}", file.path);
    }
}

#[test]
fn every_use_points_down() {
    for file in sources() {
        let module = file.module();
        for used in file.uses() {
            let known = layer(&used).is_some() || LEAVES.contains(&used.as_str()) || module == "lib";
            assert!(known, "{} uses {used}, which has no layer", file.path);
            let down = match (layer(module), layer(&used)) {
                _ if used == module || module == "lib" => true,
                (Some(above), Some(below)) => above > below,
                (Some(_), None) => true,
                (None, below) => below == Some(0),
            };
            assert!(down, "{} uses {used}, which does not lie below it", file.path);
        }
        assert!(layer(module).is_some() || LEAVES.contains(&module), "{} has no layer", file.path);
    }
}

/// `super` cannot leave the top-level module it begins in, so `crate::` paths tell everything.
#[test]
fn no_path_climbs_by_super_super() {
    only_in("super::super", &[]);
    only_in("tiny_chat::", &["src/main.rs"]);
}

#[test]
fn only_main_and_server_read_the_configuration() {
    for file in sources() {
        let allowed = ["main", "lib", "server", "config"].contains(&file.module());
        assert!(allowed || !file.uses().contains(&"config".to_owned()), "{} reads the configuration", file.path);
    }
}

#[test]
fn only_the_redis_bus_knows_redis() {
    let places = ["src/bus/redis.rs", "src/bus/redis/"];
    only_in("deadpool", &places);
    for file in sources().iter().filter(|file| !file.is_in(&places)) {
        let code = file.code();
        let foreign = code.match_indices("redis::").any(|(at, _)| {
            let own_module = file.path == "src/bus.rs" && !code[..at].ends_with("::");
            !own_module
                && !code[..at].ends_with("bus::")
                && !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
        });
        assert!(!foreign, "{} mentions the crate redis", file.path);
    }
}

#[test]
fn only_web_and_server_know_actix() {
    only_in("actix_web", &["src/web.rs", "src/web/", "src/server.rs", "src/server/", "src/main.rs"]);
}

#[test]
fn only_pages_and_errors_know_askama() {
    only_in("askama", &["src/web/pages.rs", "src/web/pages/", "src/web/error.rs"]);
}

#[test]
fn one_call_site_escapes() {
    let calls: usize = sources().iter().map(|file| file.code().matches("encode_safe(").count()).sum();
    assert_eq!(calls, 1, "html_escape::encode_safe is called at {calls} places");
    only_in("encode_text", &[]);
}

/// "templates then escape by themselves, never `|safe`".
#[test]
fn templates_leave_escaping_on() {
    for file in files("templates", "html") {
        let text: String = file.text.split_whitespace().collect();
        for word in ["|safe", "escape=\"none\"", "{%autoescape"] {
            assert!(!text.contains(word), "{} holds {word}", file.path);
        }
    }
    only_in("escape = \"none\"", &[]);
}

/// "scripts set `textContent`".
#[test]
fn scripts_never_make_markup_of_text() {
    for file in files("assets", "js") {
        for word in MARKUP {
            assert!(!file.code().contains(word), "{} holds {word}", file.path);
        }
    }
}

/// docs/security.md names tests as proof: a test that is renamed is renamed there.
#[test]
fn the_tests_that_the_security_page_names_exist() {
    let tests: String = files("tests/it", "rs").iter().map(File::code).collect();
    let page = &files("docs", "md")
        .into_iter()
        .find(|file| file.path.ends_with("security.md"))
        .expect("the page")
        .text;
    let named = page.split('`').filter(|word| word.matches('_').count() > 2 && !word.contains(char::is_uppercase));
    let named: Vec<&str> = named.filter(|word| !word.contains(char::is_whitespace)).collect();
    assert!(named.len() > 10, "{named:?}");
    for test in named {
        assert!(tests.contains(&format!("fn {test}(")), "docs/security.md names {test}, which is no test");
    }
}

#[test]
fn no_source_file_is_longer_than_a_reader_can_hold() {
    for file in sources() {
        let lines = file.text.lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines", file.path);
    }
}

#[test]
fn the_reader_of_paths_reads_groups() {
    assert_eq!(heads("chat::{Id, Message};"), ["chat"]);
    assert_eq!(heads("{chat::{Id, Message}, sse,\n    bus::Bus};"), ["chat", "sse", "bus"]);
    assert_eq!(heads("{\n    chat::Id,\n};"), ["chat"]);
}
