//! install.sh, against a server with the files of a release as `scripts/package` makes them.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::support::{WebServer, repository::root};

/// The UID of `nobody`: the tests may run as root, which bypasses file permission checks.
const NOBODY: u32 = 65_534;

/// A release on a server, and the folder of a user who installs it.
struct Release {
    server: WebServer,
    files: PathBuf,
    folder: TempDir,
}

impl Release {
    /// Packs a program that only knows its version, for a target that has no .deb, and for this machine under its name.
    async fn start() -> Release {
        let folder = TempDir::new().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a folder for all");
        let version = env!("CARGO_PKG_VERSION");
        let files = folder.path().join(format!("site/download/v{version}"));
        let program = folder.path().join("program");
        fs::write(&program, format!("#!/bin/sh\necho tiny-chat {version}\n")).expect("a file");
        package(&files, &["x86_64-unknown-linux-musl", program.to_str().expect("a path")]);
        let musl = files.join(format!("tiny-chat-{version}-x86_64-unknown-linux-musl.tar.gz"));
        for cpu in ["x86_64", "aarch64"] {
            // The archive's folder has the name of the target, too.
            let name = format!("tiny-chat-{version}-{cpu}-unknown-linux-gnu");
            let script = format!(
                "mkdir $0.d && tar -xzf {} -C $0.d && mv $0.d/* $0.d/{name} && tar -C $0.d -czf $0.tar.gz {name} && rm -r $0.d",
                musl.display()
            );
            let packed = Command::new("sh").args(["-c", &script]).arg(files.join(&name)).status().expect("sh");
            assert!(packed.success());
        }
        package(&files, &["sums"]);
        let latest = folder.path().join("site/latest");
        fs::create_dir_all(&latest).expect("a folder");
        std::os::unix::fs::symlink(&files, latest.join("download")).expect("a link");
        let site = folder.path().join("site").display().to_string();
        let server = WebServer::start_nginx(|port| {
            format!("events {{}}\nhttp {{\n  server {{ listen 127.0.0.1:{port}; root {site}; }}\n}}\n")
        })
        .await;
        Release { server, files, folder }
    }

    /// Returns the script as it is called in a home of its own, with `uname` saying what the machine is, if that is given.
    fn script(&self, machine: Option<&str>) -> Command {
        let mut command = Command::new("sh");
        let home = self.folder.path().join("home");
        fs::create_dir_all(&home).expect("a folder");
        let mut path = "/usr/bin:/bin".to_owned();
        if let Some(machine) = machine {
            let tools = self.folder.path().join("tools");
            fs::create_dir_all(&tools).expect("a folder");
            let uname = format!("#!/bin/sh\n[ \"$1\" = -m ] && echo {machine} || exec /usr/bin/uname \"$@\"\n");
            fs::write(tools.join("uname"), uname).expect("a file");
            fs::set_permissions(tools.join("uname"), fs::Permissions::from_mode(0o755)).expect("an executable file");
            path = format!("{}:{path}", tools.display());
        }
        command.arg(self.files.join("install.sh")).env_clear().env("PATH", path).env("HOME", &home);
        command.env("TINY_CHAT_RELEASES", self.server.url("/").trim_end_matches('/'));
        command.env("TINY_CHAT_BIN", home.join("bin"));
        command
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("home/bin/tiny-chat")
    }

    /// Returns the archives, but not what `scripts/package` makes of them.
    fn archives(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(&self.files).expect("a folder").map(|entry| entry.expect("an entry").path());
        files.filter(|path| path.extension().is_some_and(|found| found == "gz")).collect()
    }
}

fn package(dist: &Path, arguments: &[&str]) {
    let mut package = Command::new(root().join("scripts/package"));
    let output = package.args(arguments).env("DIST", dist).output().expect("scripts/package");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Asserts that nothing was installed and nothing left, and returns what the script said.
#[track_caller]
fn refused(release: &Release, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("install.sh: "), "{said}");
    if let Ok(folder) = fs::read_dir(release.folder.path().join("home/bin")) {
        assert_eq!(folder.count(), 0, "something is left: {said}");
    }
    said
}

#[tokio::test]
async fn install_script_installs_what_it_has_verified() {
    let release = Release::start().await;
    let output = release.script(None).output().expect("sh");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(&format!("tiny-chat {} is in ", env!("CARGO_PKG_VERSION"))), "{said}");
    let folder = fs::read_dir(release.folder.path().join("home/bin")).expect("a folder");
    assert_eq!(folder.count(), 1, "only the program is there");
    let ran = Command::new(release.program()).output().expect("the program");
    assert!(ran.status.success());
    // Again, as an upgrade, by version, for another machine, and through a pipe.
    let mut command = release.script(Some("aarch64"));
    command.env("TINY_CHAT_VERSION", env!("CARGO_PKG_VERSION"));
    assert!(command.status().expect("sh").success());
    let mut piped = release.script(None);
    let script = fs::File::open(release.files.join("install.sh")).expect("the script");
    let mut shell = Command::new("sh");
    shell
        .env_clear()
        .envs(piped.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdin(script);
    assert!(shell.status().expect("sh").success());
    // A home without the folder, and without the variable.
    let home = TempDir::new().expect("a folder");
    let unprivileged = piped.env_remove("TINY_CHAT_BIN").env("HOME", home.path());
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(home.path(), Some(NOBODY), None).expect("a home");
        unprivileged.uid(NOBODY).gid(NOBODY);
    }
    assert!(unprivileged.status().expect("sh").success());
    assert!(home.path().join(".local/bin/tiny-chat").exists() || Path::new("/usr/local/bin/tiny-chat").exists());
}

#[tokio::test]
async fn install_script_refuses_a_wrong_checksum() {
    let release = Release::start().await;
    for archive in release.archives() {
        let mut bytes = fs::read(&archive).expect("an archive");
        *bytes.last_mut().expect("a byte") ^= 1;
        fs::write(&archive, bytes).expect("an archive");
    }
    let said = refused(&release, &release.script(None).output().expect("sh"));
    assert!(said.contains("has the checksum"), "{said}");
}

#[tokio::test]
async fn install_script_says_what_a_release_lacks() {
    let release = Release::start().await;
    let said = refused(&release, &release.script(Some("riscv64")).output().expect("sh"));
    assert!(said.contains("this release has nothing for riscv64-unknown-linux-gnu"), "{said}");
    let said = refused(&release, &release.script(None).env("TINY_CHAT_VERSION", "9.9.9").output().expect("sh"));
    assert!(said.contains("/download/v9.9.9/SHA256SUMS cannot be downloaded"), "{said}");
    // One that is listed and cannot be had, or that was cut off.
    for archive in release.archives() {
        fs::remove_file(archive).expect("an archive");
    }
    let said = refused(&release, &release.script(None).output().expect("sh"));
    assert!(said.contains(".tar.gz cannot be downloaded"), "{said}");
}

#[tokio::test]
async fn install_script_says_where_it_cannot_write() {
    let release = Release::start().await;
    let closed = TempDir::new().expect("a folder");
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o555)).expect("a folder to read");
    for folder in [closed.path().to_owned(), closed.path().join("below")] {
        let mut command = release.script(None);
        command.env("TINY_CHAT_BIN", &folder);
        if nix::unistd::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let said = refused(&release, &command.output().expect("sh"));
        assert!(said.contains(&format!("{} cannot be", folder.display())) && said.contains("sudo"), "{said}");
    }
}

/// A program for a newer glibc, say: it must not replace one that works.
#[tokio::test]
async fn install_script_keeps_the_old_program_if_the_new_fails() {
    let release = Release::start().await;
    assert!(release.script(None).status().expect("sh").success());
    let works = fs::read(release.program()).expect("a program");
    let broken = release.folder.path().join("program");
    fs::write(&broken, "#!/bin/sh\necho \"version 'GLIBC_2.99' not found\" >&2\nexit 1\n").expect("a file");
    for archive in release.archives() {
        let name = archive.file_name().and_then(|name| name.to_str()).expect("a name").trim_end_matches(".tar.gz");
        let script = format!(
            "mkdir -p $1/{name} && cp $2 $1/{name}/tiny-chat && chmod 755 $1/{name}/tiny-chat && tar -C $1 -czf $3 {name}"
        );
        let scratch = TempDir::new().expect("a folder");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, "sh"]).arg(scratch.path()).arg(&broken).arg(&archive);
        assert!(shell.status().expect("sh").success());
    }
    package(&release.files, &["sums"]);
    let output = release.script(None).output().expect("sh");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("does not run on this machine"), "{said}");
    assert!(said.contains("GLIBC_2.99"), "{said}");
    assert_eq!(fs::read(release.program()).expect("a program"), works);
}
