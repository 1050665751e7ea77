//! Where the clients come from: the packages that the lock files name, installed into `target/clients` when they are
//! first needed.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::catalogue::{Client, Runtime};
use crate::support::repository::{in_target, root, text};

/// What could be installed, by runtime, or why it could not.
pub struct Installation(BTreeMap<Runtime, Result<(), String>>);

impl Installation {
    /// Installs what these clients need and is not there yet.
    pub async fn of(clients: &[Client]) -> Installation {
        let mut installed = BTreeMap::new();
        for client in clients {
            let install = || match client.runtime {
                Runtime::Node => npm().map(drop),
                Runtime::Chromium => npm().and_then(|_| succeed(Command::new("chromium").arg("--version"))),
                Runtime::Python => pip(),
                Runtime::BarePython => succeed(Command::new("python3").arg("--version")),
                Runtime::Rust => cargo(),
                Runtime::Curl => succeed(Command::new("curl").arg("--version")),
                Runtime::Wget => succeed(Command::new("wget").arg("--version")),
            };
            let entry = installed.entry(client.runtime);
            entry.or_insert_with(|| tokio::task::block_in_place(install));
        }
        Installation(installed)
    }

    pub fn has(&self, client: &Client) -> bool {
        self.0[&client.runtime].is_ok()
    }

    /// Returns why a client cannot be run.
    pub fn reason<'a>(&'a self, client: &Client) -> &'a str {
        self.0[&client.runtime].as_ref().err().map_or("", |reason| reason.as_str())
    }
}

/// Returns the folder that the packages of a registry are installed into.
pub fn folder(registry: &str) -> PathBuf {
    in_target("clients").join(registry)
}

/// Returns the version of a client: that of its package in the lock file, or what the program says.
pub fn version(client: &Client) -> String {
    let lock = |file: &str| text(&format!("tests/clients/{file}"));
    match client.runtime {
        Runtime::Node | Runtime::Chromium if client.package != "Chromium" => {
            let lock: Value = serde_json::from_str(&lock("npm/package-lock.json")).expect("JSON");
            let package = &lock["packages"][format!("node_modules/{}", client.package)];
            package["version"].as_str().expect("a package of the lock file").to_owned()
        }
        Runtime::Python => {
            let lock = lock("python/requirements.txt");
            let version = lock.lines().find_map(|line| line.strip_prefix(client.package)?.strip_prefix("=="));
            version.expect("a package of the requirements").to_owned()
        }
        Runtime::Rust => {
            let lock = lock("rust/Cargo.lock");
            let (_, package) = lock.split_once(&format!("name = \"{}\"\n", client.package)).expect("a locked crate");
            package.split('"').nth(1).expect("a version").to_owned()
        }
        Runtime::BarePython => String::new(), // its version is that of what is replayed
        Runtime::Curl | Runtime::Wget | Runtime::Chromium | Runtime::Node => {
            let output = Command::new(client.package.to_lowercase()).arg("--version").output();
            let output = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
            let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
            output.split_whitespace().find(is_version).unwrap_or_default().to_owned()
        }
    }
}

/// Installs the packages of npm, copies the programs beside them, where Node looks for packages, and returns the folder.
pub fn npm() -> Result<PathBuf, String> {
    let lock = "tests/clients/npm/package-lock.json";
    let folder = once("npm", lock, |folder| {
        copy(&root().join("tests/clients/npm"), folder)?;
        let mut npm = Command::new("npm");
        succeed(npm.args(["ci", "--silent", "--no-audit", "--no-fund", "--fetch-retries=1"]).current_dir(folder))
    })?;
    copy(&root().join("tests/clients/npm"), &folder)?;
    Ok(folder)
}

fn pip() -> Result<(), String> {
    let requirements = "tests/clients/python/requirements.txt";
    let install = |folder: &Path| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries=1", "--target"]);
        succeed(pip.arg(folder).arg("--requirement").arg(root().join(requirements)))
    };
    once("python", requirements, install).map(drop)
}

/// Builds the programs in Rust, which takes a minute the first time.
fn cargo() -> Result<(), String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--quiet", "--manifest-path"]);
    succeed(cargo.arg(root().join("tests/clients/rust/Cargo.toml")).arg("--target-dir").arg(folder("rust")))
}

/// Installs into a folder unless that was done with the same lock file, and returns the folder. It takes its name when
/// it is complete, so that another process never sees half of it.
fn once(registry: &str, lock: &str, install: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let (done, wanted) = (folder(registry), text(lock));
    let stamp = |folder: &Path| folder.join(".lock");
    if fs::read_to_string(stamp(&done)).is_ok_and(|installed| installed == wanted) {
        return Ok(done);
    }
    let new = folder(&format!("{registry}.{}", std::process::id()));
    fs::create_dir_all(&new).map_err(|error| error.to_string())?;
    let installed = install(&new).and_then(|()| fs::write(stamp(&new), &wanted).map_err(|error| error.to_string()));
    let renamed = installed.and_then(|()| {
        let _ = fs::remove_dir_all(&done);
        match fs::rename(&new, &done) {
            Err(_) if stamp(&done).exists() => Ok(()), // another process was faster
            renamed => renamed.map_err(|error| error.to_string()),
        }
    });
    let _ = fs::remove_dir_all(&new);
    renamed.map(|()| done)
}

/// Copies the files of a folder.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let copied = fs::read_dir(from).and_then(|files| {
        files.into_iter().try_for_each(|file| {
            let file = file?.path();
            fs::copy(&file, to.join(file.file_name().unwrap_or_default())).map(drop)
        })
    });
    copied.map_err(|error: io::Error| error.to_string())
}

/// Runs a program, and returns what it complains of if it fails.
pub fn succeed(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.output() {
        Err(error) => Err(format!("{name} cannot be run: {error}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr);
            Err(format!("{name} failed: {}", errors.trim().lines().last().unwrap_or("without a reason")))
        }
    }
}
