//! References in comments and documents lead somewhere: to files, to sections of the contract, and to tests.

use std::collections::BTreeSet;

use crate::support::repository::{File, files, paths, read, root, text};

/// Extensions by which a word is recognized as the path of a file in this repository.
const EXTENSIONS: [&str; 11] = ["rs", "js", "md", "lua", "html", "css", "toml", "conf", "cfg", "service", "svg"];

/// Names that are written but are not files of this repository: files of other projects and of users, and patterns.
const FOREIGN: [&str; 11] = [
    "deploy/button.svg",
    "sw.js",
    "index.html",
    "redis.conf",
    "config.toml",
    "users.acl",
    "chat.html",
    "test.js",
    "NAME.rs",
    "path/to/nginx.conf",
    "path/to/haproxy.cfg",
];

const MAX_TEST_NAME_CHARS: usize = 60;

/// Returns the text files whose references are checked.
fn texts() -> Vec<File> {
    let is_text = |path: &str| {
        let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
        ["rs", "js", "md", "lua", "html", "css", "toml", "conf", "cfg", "yml", "service"].contains(&extension)
            || ["scripts/", ".ci/", ".github/", "Caddyfile", "Dockerfile", "Procfile", "deploy/"]
                .iter()
                .any(|place| path.starts_with(place))
    };
    let relative =
        |path: &std::path::Path| path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
    let checked = paths(root()).into_iter().filter(|path| {
        let path = relative(path);
        is_text(&path) && !path.starts_with("tests/axe/") && path != "tests/it/tools/references.rs"
    });
    checked.map(|path| read(&path)).collect()
}

/// Returns the comments of a program, or the whole text of a document.
fn prose(file: &File) -> String {
    let is_document = file.path.ends_with(".md");
    let is_comment = |line: &&str| {
        let line = line.trim_start();
        is_document || ["//", "#", "*", "/*", "--", "<!--"].iter().any(|mark| line.starts_with(mark))
    };
    file.text.lines().filter(is_comment).collect::<Vec<_>>().join("\n")
}

/// Returns the words of a text that look like the path of a file, and are not the address of one elsewhere.
fn paths_in(text: &str) -> impl Iterator<Item = &str> {
    let is_path = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    let words = text.split(move |c: char| !is_path(c)).filter(|word| !word.starts_with("//"));
    let words = words.map(|word| word.trim_end_matches('.').trim_start_matches("../").trim_start_matches(['.', '/']));
    words.filter(|word| {
        word.rsplit_once('.').is_some_and(|(name, extension)| {
            !name.is_empty() && !name.ends_with('/') && EXTENSIONS.contains(&extension)
        })
    })
}

#[test]
fn files_that_are_mentioned_exist() {
    let known: BTreeSet<String> = paths(root())
        .iter()
        .map(|path| format!("/{}", path.strip_prefix(root()).expect("below the root").to_string_lossy()))
        .collect();
    let mut missing = Vec::new();
    for file in texts() {
        for path in paths_in(&prose(&file)) {
            let is_foreign = FOREIGN.iter().any(|foreign| path.ends_with(foreign));
            let exists = is_foreign || known.iter().any(|known| known.ends_with(&format!("/{path}")));
            if !exists {
                missing.push(format!("{} mentions {path}", file.path));
            }
        }
    }
    assert!(missing.is_empty(), "these files do not exist:\n{}", missing.join("\n"));
}

#[test]
fn sections_of_the_contract_that_are_mentioned_exist() {
    let contract = text("docs/contract.md");
    let sections: BTreeSet<&str> =
        contract.lines().filter_map(|line| line.strip_prefix("## ")?.split('.').next()).collect();
    let mut mentioned = 0;
    for file in texts() {
        for (at, word) in file.text.match_indices("contract § ") {
            let number: String = file.text[at + word.len()..].chars().take_while(char::is_ascii_digit).collect();
            assert!(sections.contains(number.as_str()), "{} mentions section {number} of the contract", file.path);
            mentioned += 1;
        }
    }
    assert!(mentioned > 0);
}

/// Issues, designs and notes of the work are not part of the repository.
#[test]
fn nothing_outside_the_repository_is_mentioned() {
    for file in texts() {
        let prose = prose(&file);
        for word in ["DESIGN", "shared/STYLE", "shared/notes", "OLD-CLIENTS"] {
            assert!(!prose.contains(word), "{} mentions {word}", file.path);
        }
        let issue = prose.match_indices("issue ").find(|(at, word)| {
            prose[at + word.len()..].starts_with(|c: char| c.is_ascii_digit()) && !prose[..*at].ends_with("Caddy's ")
        });
        assert!(issue.is_none(), "{} mentions an issue by its number", file.path);
    }
}

#[test]
fn tests_that_the_security_page_names_exist() {
    let tests: String = files("tests/it", "rs").iter().map(|file| file.text.clone()).collect();
    let page = text("docs/security.md");
    let named = page.split('`').filter(|word| word.matches('_').count() > 2 && !word.contains(char::is_uppercase));
    let named: Vec<&str> = named.filter(|word| !word.contains(char::is_whitespace)).collect();
    assert!(named.len() > 10, "{named:?}");
    for test in named {
        assert!(tests.contains(&format!("fn {test}(")), "docs/security.md names {test}, which is not a test");
    }
}

#[test]
fn test_names_have_at_most_60_characters() {
    let mut too_long = Vec::new();
    for file in files("src", "rs").into_iter().chain(files("tests/it", "rs")) {
        let mut is_test = false;
        for line in file.text.lines().map(str::trim_start) {
            is_test |= line.starts_with("#[test]")
                || line.starts_with("#[tokio::test")
                || line.starts_with("#[actix_web::test");
            let Some(name) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")) else {
                continue;
            };
            let name = name.split(['(', '<']).next().unwrap_or_default();
            if std::mem::take(&mut is_test) && name.len() > MAX_TEST_NAME_CHARS {
                too_long.push(format!("{}: {name}", file.path));
            }
        }
    }
    assert!(too_long.is_empty(), "{}", too_long.join("\n"));
}
