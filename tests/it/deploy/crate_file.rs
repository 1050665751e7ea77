//! The crate as crates.io gets it: it has everything that the build reads, and little else.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::support::{BINARY, Node, repository::paths, repository::root, repository::text};

/// The crate is downloaded by everyone who builds it.
const MAX_CRATE_BYTES: u64 = 1024 * 1024;

fn cargo(arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(folder).output().expect("cargo");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Returns the files of the repository that were read to build the library, as rustc noted them (sources, what they
/// include, templates), and those in the folders that the build script reads.
fn files_of_the_build() -> BTreeSet<PathBuf> {
    let folder = Path::new(BINARY).parent().expect("a target folder");
    let with_time = |path: PathBuf| (fs::metadata(&path).and_then(|it| it.modified()).expect("a time"), path);
    let entries = |path: PathBuf| {
        let mut found: Vec<_> = fs::read_dir(path)
            .expect("a folder")
            .map(|entry| with_time(entry.expect("an entry").path()))
            .collect();
        found.sort();
        found.into_iter().rev().map(|(_, path)| path)
    };
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let notes = entries(folder.join("deps"))
        .filter(|path| name(path).starts_with("tiny_chat-") && name(path).ends_with(".d"))
        .map(|path| fs::read_to_string(path).expect("notes of rustc"))
        .find(|notes| notes.contains("/libtiny_chat-") && !notes.contains("clippy.toml"))
        .expect("notes about the library");
    let (_, read) = notes.lines().next().and_then(|rule| rule.split_once(": ")).expect("a rule of make");
    // Paths are relative, or absolute, or climb out of a folder: each as it stands below the root, if it does.
    let below_root = |path: &str| {
        let path = fs::canonicalize(root().join(path)).ok()?;
        Some(path.strip_prefix(fs::canonicalize(root()).ok()?).ok()?.to_owned())
    };
    let read = read.split(' ').filter_map(below_root).filter(|path| !path.starts_with("target"));
    let said = entries(folder.join("build"))
        .filter(|path| name(path).starts_with("tiny-chat-"))
        .find_map(|path| fs::read_to_string(path.join("output")).ok())
        .expect("what the build script said");
    let watched = said.lines().filter_map(|line| line.strip_prefix("cargo::rerun-if-changed="));
    let watched = watched.flat_map(|folder| paths(&root().join(folder)));
    let watched = watched.map(|path| path.strip_prefix(root()).expect("below the root").to_owned());
    read.chain(watched).collect()
}

#[test]
fn crate_has_every_file_that_the_build_reads() {
    let list = cargo(&["package", "--list", "--allow-dirty", "--offline"], root());
    let list: BTreeSet<PathBuf> = list.lines().map(PathBuf::from).collect();
    let read = files_of_the_build();
    for file in ["src/lib.rs", "src/bus/redis/publish.lua", "build/main.rs", "assets/page.js", "templates/page.html"] {
        assert!(read.contains(Path::new(file)), "the build read no {file}: {read:?}");
    }
    let missing: Vec<_> = read.difference(&list).collect();
    assert!(missing.is_empty(), "not in the crate: {missing:?}");
    for file in ["src/main.rs", "README.md", "LICENSE", "CHANGELOG.md", "Cargo.lock"] {
        assert!(list.contains(Path::new(file)), "{file}");
    }
    let extra: Vec<_> = list.iter().filter(|path| path.starts_with("tests") || path.starts_with("docs")).collect();
    assert!(extra.is_empty(), "{extra:?}");
}

/// Where cargo-binstall looks is where `scripts/package` puts things.
#[test]
fn binstall_finds_the_archives_of_a_release() {
    let manifest = text("Cargo.toml");
    let value = |name: &str| {
        let line = manifest.lines().find_map(|line| line.strip_prefix(&format!("{name} = \""))).expect("a line");
        line.trim_end_matches('"').to_owned()
    };
    let filled = |template: &str| {
        let values = [("repo", value("repository")), ("name", "tiny-chat".to_owned()), ("version", value("version"))];
        let more = [("target", "x86_64-unknown-linux-gnu"), ("bin", "tiny-chat"), ("binary-ext", "")];
        let more = more.map(|(name, value)| (name, value.to_owned()));
        values
            .iter()
            .chain(&more)
            .fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{ {name} }}"), value))
    };
    let (folder, dist) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let program = folder.path().join("program");
    fs::write(&program, "#!/bin/sh\n").expect("a file");
    // A target without a .deb; its name is replaced by one with it.
    let target = "x86_64-unknown-linux-musl";
    let mut package = Command::new(root().join("scripts/package"));
    let made = package.arg(target).arg(&program).env("DIST", dist.path()).output().expect("scripts/package");
    assert!(made.status.success(), "{made:?}");
    let url = filled(&value("pkg-url")).replace("linux-gnu", "linux-musl");
    let (folder_of_release, archive) = url.rsplit_once('/').expect("a URL");
    assert_eq!(folder_of_release, format!("{}/releases/download/v{}", value("repository"), value("version")));
    let list = Command::new("tar").arg("-tzf").arg(dist.path().join(archive)).output().expect("tar");
    let inside = filled(&value("bin-dir")).replace("linux-gnu", "linux-musl");
    let list = String::from_utf8(list.stdout).expect("UTF-8");
    assert!(list.lines().any(|line| line == inside), "no {inside} in {archive}: {list}");
}

/// Compiles everything anew.
#[tokio::test]
#[ignore = "takes minutes"]
async fn program_of_the_packaged_crate_serves_the_page() {
    let folder = TempDir::new().expect("a folder");
    let target = folder.path().display().to_string();
    cargo(&["package", "--allow-dirty", "--no-verify", "--quiet", "--target-dir", &target], root());
    let packages = fs::read_dir(folder.path().join("package")).expect("a folder");
    let mut packages = packages.map(|entry| entry.expect("an entry").path());
    let file = packages.find(|path| path.extension().is_some_and(|found| found == "crate")).expect("a crate");
    let bytes = fs::metadata(&file).expect("a size").len();
    assert!(bytes < MAX_CRATE_BYTES, "the crate has {bytes} bytes");
    let unpacked = Command::new("tar").arg("-xzf").arg(&file).arg("-C").arg(folder.path()).status().expect("tar");
    assert!(unpacked.success());
    let source = folder.path().join(file.file_stem().expect("a name"));
    let place = folder.path().join("installed").display().to_string();
    let path = source.display().to_string();
    // As `cargo install tiny-chat`, but without optimization.
    let install = ["install", "--debug", "--locked", "--quiet", "--path", &path, "--root", &place];
    cargo(&[&install[..], &["--target-dir", &target]].concat(), folder.path());
    let program = folder.path().join("installed/bin/tiny-chat");
    let mut command = Command::new(&program);
    let node = Node::start_command(command.env_clear().env("BIND", "127.0.0.1:0")).await;
    node.ready().await;
    let page = node.page("/everyone").await;
    page.html(200);
}
