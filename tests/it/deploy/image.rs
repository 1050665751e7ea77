//! Replays the stages of the Dockerfile without Docker. The first one, with only the files that .dockerignore lets through,
//! until cargo would compile the first crate: manifest, targets and lock file are read. The second one with the program of
//! the tests, which then runs among its files alone, as the first process. `scripts/image-test` builds and runs the image.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    BINARY, Node, free_port,
    repository::{paths, root, text},
};

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

/// The instructions of the Dockerfile's stages, without comments and with continued lines joined.
fn stages(dockerfile: &str) -> Vec<Vec<Instruction>> {
    let lines = dockerfile.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let mut stages: Vec<Vec<Instruction>> = Vec::new();
    for (name, rest) in joined.lines().filter_map(|line| line.trim().split_once(' ')) {
        if name == "FROM" {
            stages.push(Vec::new());
        }
        let stage = stages.last_mut().expect("FROM is the first instruction");
        stage.push((name.to_owned(), rest.trim().to_owned()));
    }
    stages
}

/// Returns what follows an instruction of a stage.
fn argument<'a>(stage: &'a [Instruction], instruction: &str) -> &'a str {
    let found = stage.iter().find(|(name, _)| name == instruction);
    found.map(|(_, rest)| rest.as_str()).unwrap_or_else(|| panic!("no {instruction}"))
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
    let (stages, ignore) = (stages(&text("Dockerfile")), text(".dockerignore"));
    let image = TempDir::new().expect("a directory");
    let (_guard, rustc_wrapper) = executable(RUSTC_WRAPPER);
    let mut builds = 0;
    for (name, arguments) in &stages[0] {
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

/// Makes the files of the image, as its second stage does, with the program of the tests.
fn files_of_the_image() -> TempDir {
    let image = TempDir::new().expect("a directory");
    // The image is for every user.
    fs::set_permissions(image.path(), fs::Permissions::from_mode(0o755)).expect("a directory for all");
    let stages = stages(&text("Dockerfile"));
    let command = argument(&stages[1], "RUN").replace("target/release/tiny-chat", BINARY);
    let command = command.replace("/image", &image.path().display().to_string());
    let output = Command::new("sh").args(["-c", &format!("set -e; {command}")]).output().expect("sh");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    image
}

#[test]
fn image_has_no_shell_and_is_for_an_unprivileged_user() {
    let stages = stages(&text("Dockerfile"));
    let last = stages.last().expect("a stage");
    assert_eq!(argument(last, "FROM"), "scratch");
    assert_eq!(argument(last, "COPY"), "--from=files /image /");
    assert_eq!(argument(last, "USER"), "10001:10001");
    // As arrays: there is no shell that could read another form.
    assert_eq!(argument(last, "ENTRYPOINT"), "[\"tiny-chat\"]");
    assert!(argument(last, "HEALTHCHECK").ends_with(" CMD [\"tiny-chat\", \"health\"]"));
    assert!(!last.iter().any(|(name, _)| name == "RUN"));
    let image = files_of_the_image();
    let all = paths(image.path()).into_iter();
    let mut files: Vec<String> =
        all.map(|path| path.strip_prefix(image.path()).expect("below").display().to_string()).collect();
    files.retain(|path| !path.contains("lib"));
    files.sort();
    let expected = ["etc/nsswitch.conf", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "usr/local/bin/tiny-chat"];
    assert_eq!(files, expected, "beside libraries");
}

/// With its own files alone, as its user, and as process 1, to which a signal without a handler would do nothing.
#[tokio::test]
async fn image_has_all_that_its_program_loads() {
    if !geteuid().is_root() {
        eprintln!("NOT TESTED: the files of the image. Only root may change to another root.");
        return;
    }
    let image = files_of_the_image();
    let enter = |program: &str| {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command
    };
    let chroot = |command: &mut Command, arguments: &[&str]| {
        command.args(["--userspec=10001:10001".as_ref(), image.path().as_os_str()]);
        command.arg("/usr/local/bin/tiny-chat").args(arguments);
    };
    let bind = format!("127.0.0.1:{}", free_port());
    let mut first = enter("unshare");
    first
        .args(["--pid", "--fork", "--kill-child=KILL", "chroot"])
        .env("BIND", &bind)
        .env("DRAIN_GRACE", "0");
    first.env("DRAIN", "1");
    chroot(&mut first, &[]);
    let mut node = Node::start_command(&mut first).await;
    node.ready().await;
    node.page("/everyone").await.html(200);
    let health = || {
        let mut command = enter("chroot");
        chroot(&mut command, &["health"]);
        command.env("BIND", &bind).output().expect("chroot")
    };
    let healthy = health();
    assert!(healthy.status.success(), "{healthy:?}");
    let unshare = node.pid();
    let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).expect("its children");
    kill(Pid::from_raw(children.trim().parse().expect("one child")), Signal::SIGTERM).expect("a process");
    assert_eq!(node.exit().await.code(), Some(0), "SIGTERM is a stop, and not a kill");
    assert_eq!(health().status.code(), Some(1));
}

#[test]
fn the_last_matching_line_of_dockerignore_decides() {
    let ignore = "# a comment\n*\n!src\n\nsrc/secret\n";
    assert!(is_in_context(ignore, Path::new("src/bus/redis.rs")));
    assert!(!is_in_context(ignore, Path::new("src/secret/key")));
    assert!(!is_in_context(ignore, Path::new("srcs/lib.rs")));
    assert!(!is_in_context(ignore, Path::new("target/debug/tiny-chat")));
}
