//! What is said of others in docs/comparison.md has a source in each cell, and README.md shows what it says.

use std::{collections::BTreeSet, fs};

use crate::support::repository::{root, text};

/// The most that the moving picture may weigh.
const MAX_PICTURE_BYTES: usize = 1_500_000;

/// Returns the cells of a row of a table.
fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split(" | ").map(str::trim).collect()
}

#[test]
fn every_cell_about_a_hub_has_its_source() {
    let page = text("docs/comparison.md");
    let (_, promises) = page.split_once("\n## What each promises\n").expect("a section");
    let (promises, _) = promises.split_once("\n## ").expect("its end");
    let mut tables: Vec<Vec<&str>> = Vec::new();
    for line in promises.lines() {
        match line {
            line if line.starts_with("| | ") => tables.push(Vec::new()),
            line if line.starts_with("|---") => {}
            line if line.starts_with('|') => tables.last_mut().expect("a head").push(line),
            _ => {}
        }
    }
    assert_eq!(tables.len(), 3);
    let hubs = |table: &[&str]| table.iter().map(|row| cells(row)[0].to_owned()).collect::<Vec<_>>();
    let all = hubs(&tables[0]);
    assert_eq!(all.len(), 11, "{all:?}");
    for table in &tables {
        assert_eq!(hubs(table), all, "the same hubs in the same order");
        for cell in table.iter().flat_map(|row| cells(row).split_off(1)) {
            assert!(cell.contains("]("), "{cell} has no source");
        }
    }
    let first = page.find("\n## ").map(|at| &page[at + 4..]).expect("a section");
    assert!(first.starts_with("Where tiny-chat is worse\n"), "it begins with where tiny-chat is worse");
    assert!(page.contains("\n## When to take another one\n"));
}

/// The picture is taken by `scripts/picture`, which fails if what it shows is not so.
#[test]
fn first_screen_has_a_moving_picture_and_three_ways_to_start() {
    let readme = text("README.md");
    let screen: Vec<&str> = readme.lines().take(35).collect();
    let screen = screen.join("\n");
    let (_, picture) = screen.split_once("](docs/").expect("a picture");
    let name = picture.split(')').next().expect("a name");
    let bytes = fs::read(root().join("docs").join(name)).expect("the picture");
    assert!(bytes.len() <= MAX_PICTURE_BYTES, "{} bytes", bytes.len());
    assert_eq!((&bytes[..4], &bytes[8..12]), (b"RIFF".as_slice(), b"WEBP".as_slice()));
    let frames = bytes.windows(4).filter(|name| name == b"ANMF").count();
    assert!(frames > 20, "{frames} frames");
    let starts: BTreeSet<&str> = ["docker run ", "install.sh | sh", "cargo install "]
        .into_iter()
        .filter(|start| screen.contains(start))
        .collect();
    assert_eq!(starts.len(), 3, "{starts:?}");
    for question in ["**For whom?**", "**Why not another one?**"] {
        assert!(screen.contains(question), "{question}");
    }
}

/// Two browsers and three nodes, for half a minute.
#[tokio::test]
#[ignore = "plays the picture's scene: two browsers and a killed node"]
async fn scene_of_the_picture_loses_nothing() {
    let mut picture = tokio::process::Command::new(root().join("scripts/picture"));
    let output = picture.arg("--check").kill_on_drop(true).output().await.expect("it starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "mason and ada saw every message once, in order\n");
}
