//! Replays the build stage of the Dockerfile with only the files that .dockerignore lets through, until cargo would
//! compile the first crate: manifest, targets and lock file are read. Needs no Docker.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::repository::{paths, root, text};

/// Stands in for cargo in a RUN step: succeeds if cargo gets as far as compiling the first crate.
const CARGO: &str = r#"cargo() {
    output=$(command "$CARGO" "$@" --offline 2>&1)
    case $output in *"nothing is compiled"*) ;; *) echo "$output" >&2; return 1 ;; esac
}"#;

/// Stands between cargo and rustc: answers questions about the compiler, and fails instead of compiling.
const RUSTC_WRAPPER: &str = r#"#!/bin/sh
case "$*" in *" -vV" | *" - "*) exec "$@" ;; esac
echo "nothing is compiled" >&2
exit 1
"#;

/// An instruction of the Dockerfile, such as `COPY` and `src src`.
type Instruction = (String, String);

/// The instructions of the Dockerfile's first stage, without comments and with continued lines joined.
fn build_stage(dockerfile: &str) -> Vec<Instruction> {
    let lines = dockerfile.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let split = joined.lines().filter_map(|line| line.trim().split_once(' '));
    let mut instructions = split.map(|(name, rest)| (name.to_owned(), rest.trim().to_owned())).collect::<Vec<_>>();
    let next_stage = instructions.iter().skip(1).position(|(name, _)| name == "FROM");
    instructions.truncate(next_stage.map_or(instructions.len(), |position| position + 1));
    instructions
}

/// Returns true if the build context contains `path`: as in Docker, the last line that matches decides.
fn is_in_context(ignore: &str, path: &Path) -> bool {
    let lines = ignore.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.fold(true, |included, line| {
        let pattern = line.strip_prefix('!').unwrap_or(line);
        assert!(pattern == "*" || !pattern.contains(['*', '?', '[']), "this test does not understand {line:?}");
        let matches = pattern == "*" || path.starts_with(pattern.trim_matches('/'));
        if matches { line.starts_with('!') } else { included }
    })
}

/// Copies what the context contains of each source; a source of which it contains nothing ends the build.
fn copy(arguments: &str, ignore: &str, image: &Path) {
    let mut words = arguments.split_whitespace().collect::<Vec<_>>();
    let destination = image.join(words.pop().expect("a destination"));
    let into_directory = words.len() > 1 || arguments.ends_with('/');
    for source in words.into_iter().map(Path::new) {
        let files = paths(&root().join(source)).into_iter().filter(|file| file.is_file());
        let files = files.map(|file| file.strip_prefix(root()).expect("a file of the repository").to_owned());
        let files = files.filter(|file| is_in_context(ignore, file)).collect::<Vec<_>>();
        assert!(!files.is_empty(), "COPY {arguments}: the build context has no {}", source.display());
        for file in files {
            let below = file.strip_prefix(source).expect("a file at or below the source");
            let target = match (below.as_os_str().is_empty(), into_directory) {
                (true, true) => destination.join(source.file_name().expect("a name")),
                (true, false) => destination.clone(),
                (false, _) => destination.join(below),
            };
            fs::create_dir_all(target.parent().expect("a directory")).expect("a directory");
            fs::copy(root().join(&file), target).expect("a copy");
        }
    }
}

fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Runs the command of a RUN step in the directory of the image.
fn run(command: &str, image: &Path, rustc_wrapper: &Path) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{CARGO}\n{command}")]).current_dir(image);
    shell.env("CARGO", cargo()).env("RUSTC_WRAPPER", rustc_wrapper).env("CARGO_TARGET_DIR", "target");
    shell.output().expect("sh")
}

/// Writes an executable file into a directory of its own, which goes with the returned guard.
fn executable(text: &str) -> (TempDir, PathBuf) {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("executable");
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("an executable file");
    (directory, path)
}

/// The source files of the library and the program, as cargo finds them in the image.
fn sources_of_the_program(image: &Path) -> Vec<PathBuf> {
    let arguments = ["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"];
    let output = Command::new(cargo()).args(arguments).current_dir(image).output().expect("cargo");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let targets = metadata["packages"][0]["targets"].as_array().expect("targets");
    let built = targets.iter().filter(|target| {
        let kind = target["kind"][0].as_str().expect("a kind");
        ["lib", "bin", "custom-build"].contains(&kind)
    });
    built.map(|target| PathBuf::from(target["src_path"].as_str().expect("a path"))).collect()
}

#[test]
fn cargo_reads_the_manifest_in_each_build_step_of_the_image() {
    let (stage, ignore) = (build_stage(&text("Dockerfile")), text(".dockerignore"));
    let image = TempDir::new().expect("a directory");
    let (_guard, rustc_wrapper) = executable(RUSTC_WRAPPER);
    let mut builds = 0;
    for (name, arguments) in &stage {
        match name.as_str() {
            "FROM" | "WORKDIR" => {}
            "COPY" => copy(arguments, &ignore, image.path()),
            "RUN" => {
                let output = run(arguments, image.path(), &rustc_wrapper);
                assert!(output.status.success(), "RUN {arguments}: {}", String::from_utf8_lossy(&output.stderr));
                builds += arguments.matches("cargo build").count();
            }
            _ => panic!("this test does not understand {name} {arguments}"),
        }
    }
    assert_eq!(builds, 2, "the dependencies and the program are built in layers of their own");
    let sources = sources_of_the_program(image.path());
    assert_eq!(sources.len(), 3, "{sources:?}");
    for source in sources {
        assert!(source.is_file(), "the image has no {}", source.display());
    }
}

#[test]
fn the_last_matching_line_of_dockerignore_decides() {
    let ignore = "# a comment\n*\n!src\n\nsrc/secret\n";
    assert!(is_in_context(ignore, Path::new("src/bus/redis.rs")));
    assert!(!is_in_context(ignore, Path::new("src/secret/key")));
    assert!(!is_in_context(ignore, Path::new("srcs/lib.rs")));
    assert!(!is_in_context(ignore, Path::new("target/debug/tiny-chat")));
}
