//! The book: its list of chapters is complete, and mdBook, where it is installed, builds it without a warning.

use std::{collections::BTreeSet, process::Command};

use crate::support::repository::{files, root, text};

/// Returns the chapters that the book lists.
fn chapters() -> Vec<String> {
    let summary = text("docs/SUMMARY.md");
    summary.split("](").skip(1).filter_map(|rest| rest.split(')').next().map(str::to_owned)).collect()
}

#[test]
fn each_page_of_docs_is_a_chapter_once() {
    let chapters = chapters();
    let listed: BTreeSet<String> = chapters.iter().map(|path| format!("docs/{path}")).collect();
    assert_eq!(listed.len(), chapters.len(), "a chapter is listed twice: {chapters:?}");
    let pages: BTreeSet<String> = files("docs", "md")
        .into_iter()
        .map(|file| file.path)
        .filter(|path| path != "docs/SUMMARY.md")
        .collect();
    assert_eq!(listed, pages, "docs/SUMMARY.md lists what is not there, or lacks what is");
}

/// scripts/book installs mdBook; scripts/test leaves this out where it cannot be had.
#[test]
fn mdbook_builds_the_book_and_its_links_resolve() {
    let output = Command::new(root().join("scripts/book")).output().expect("a script");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    let pages = chapters().len();
    assert!(said.contains("links resolve") && pages > 15, "{said}");
}
