//! Every relative link of a document leads to a file, and every anchor to a heading.

use std::{collections::BTreeMap, fs, path::Path};

use super::documents;
use crate::support::repository::{File, root};

/// Returns a document without its code.
fn prose(text: &str) -> String {
    let mut prose = String::new();
    let mut is_fenced = false;
    for line in text.lines() {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
        } else if !is_fenced && !line.starts_with("    ") {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    // What stands between single backticks is code as well.
    prose.split('`').step_by(2).collect()
}

/// Returns the targets of links and pictures.
fn targets(text: &str) -> Vec<String> {
    let prose = prose(text);
    let mut targets = Vec::new();
    for (opening, closing) in [("](", ')'), (" src=\"", '"'), (" srcset=\"", '"'), (" href=\"", '"')] {
        for rest in prose.split(opening).skip(1) {
            let target = rest.split(closing).next().unwrap_or_default();
            targets.push(target.split_whitespace().next().unwrap_or_default().to_owned());
        }
    }
    targets
}

/// Returns the anchor of a heading, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.collect::<String>().to_lowercase()
}

/// Returns the anchors of a document: those of headings, and those that are written as an id.
fn anchors(text: &str) -> Vec<String> {
    let mut seen = BTreeMap::<String, usize>::new();
    let mut anchors = Vec::new();
    let mut is_fenced = false;
    for line in text.lines() {
        is_fenced ^= line.starts_with("```");
        if let (false, Some(heading)) = (is_fenced, line.strip_prefix('#')) {
            let anchor = anchor(heading.trim_start_matches('#'));
            let count = seen.entry(anchor.clone()).or_default();
            anchors.push(if *count == 0 { anchor } else { format!("{anchor}-{count}") });
            *count += 1;
        }
    }
    anchors.extend(text.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next().map(str::to_owned)));
    anchors
}

/// Returns what is wrong with the links of these documents.
fn broken(documents: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    for document in documents {
        let folder = Path::new(&document.path).parent().expect("a folder");
        for target in targets(&document.text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, fragment) = target.split_once('#').unwrap_or((&target, ""));
            let file = root().join(folder).join(path);
            let text = match path {
                "" => document.text.clone(),
                _ => fs::read_to_string(&file).unwrap_or_default(),
            };
            if !path.is_empty() && !file.exists() {
                broken.push(format!("{}: {target}: there is no such file", document.path));
            } else if !fragment.is_empty() && !anchors(&text).iter().any(|anchor| anchor == fragment) {
                broken.push(format!("{}: {target}: there is no such heading", document.path));
            }
        }
    }
    broken
}

#[test]
fn links_of_all_documents_lead_somewhere() {
    let documents = documents();
    let count: usize = documents.iter().map(|document| targets(&document.text).len()).sum();
    assert!(count > 100, "{count} links");
    let broken = broken(&documents);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn broken_links_and_anchors_are_found() {
    let links = |text: &str| broken(&[File { path: "docs/x.md".to_owned(), text: text.to_owned() }]).len();
    assert_eq!(
        links(
            "[a](hub.md#keys)\n[b](../README.md) [c](https://x.example/#y) `[d](no.md)` ![e](page.png)\n\n    [f](no.md)"
        ),
        0
    );
    assert_eq!(links("# Here, there\n[a](#here-there)"), 0);
    assert_eq!(links("[a](nowhere.md)"), 1);
    assert_eq!(links("[a](hub.md#nowhere)"), 1);
    assert_eq!(links("# Here\n[a](#nowhere)"), 1);
    assert_eq!(links("<img src=\"nowhere.png\">"), 1);
}
