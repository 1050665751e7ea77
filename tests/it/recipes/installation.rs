//! Where recipes are tried: copies in `target/recipes`, with the packages that their lock files name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tokio::{process::Command, sync::Mutex};

use crate::support::repository::{in_target, root};

/// What a folder has that is not part of the recipe.
const INSTALLED: [&str; 3] = ["node_modules", ".venv", ".installed"];

/// Copies a recipe, runs those of its commands that install packages unless that was done with the same files, and returns
/// its folder.
pub async fn install(name: &str, lines: &[String]) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
    let _guard = ONE_AT_A_TIME.lock().await;
    let recipes = in_target("recipes");
    let folder = recipes.join(name);
    copy(&root().join("examples").join(name), &folder);
    fs::copy(root().join("examples/serve.mjs"), recipes.join("serve.mjs")).expect("a copy");
    let (packages, builds): (Vec<&String>, Vec<&String>) = lines
        .iter()
        .filter(|line| ["npm ", "npx ", "python3 -m venv "].iter().any(|word| line.starts_with(word)))
        .partition(|line| !line.starts_with("npx "));
    let stamp = ["package-lock.json", "requirements.txt"]
        .iter()
        .filter_map(|file| fs::read_to_string(folder.join(file)).ok())
        .collect::<String>();
    if fs::read_to_string(folder.join(".installed")).unwrap_or_default() != stamp {
        for line in packages {
            run(line, &folder).await;
        }
        fs::write(folder.join(".installed"), stamp).expect("a file");
    }
    for line in builds {
        run(line, &folder).await;
    }
    folder
}

/// Copies the files of a recipe, over those of the last time.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a recipe") {
        let entry = entry.expect("an entry");
        let (name, path) = (entry.file_name(), entry.path());
        if INSTALLED.iter().any(|installed| name == *installed) {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).expect("a copy");
        }
    }
}

async fn run(line: &str, folder: &Path) {
    let output = Command::new("bash").args(["-c", line]).current_dir(folder).output().await.expect("bash");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}
