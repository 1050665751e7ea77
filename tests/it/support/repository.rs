//! The files of this repository, for tests that read them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file: its path below the root, and its text.
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    /// Returns the text without comment lines and, in Rust, without the unit tests at its end.
    pub fn code(&self) -> String {
        let code = self.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    }

    /// Returns true if this is one of the files or lies in one of the folders, which end with a slash.
    pub fn is_in(&self, places: &[&str]) -> bool {
        places
            .iter()
            .any(|place| self.path == *place || (place.ends_with('/') && self.path.starts_with(place)))
    }
}

/// Returns the root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the folder of this name in the target folder: scripts/test and some tests install there what others use.
pub fn in_target(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(name)
}

/// Reads the files of a folder with this extension, in subfolders as well.
pub fn files(folder: &str, extension: &str) -> Vec<File> {
    let mut files: Vec<File> = paths(&root().join(folder))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| read(&path))
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!files.is_empty(), "no {extension} file in {folder}");
    files
}

/// Reads the Rust files of the crate.
pub fn sources() -> Vec<File> {
    files("src", "rs")
}

/// Returns the text of a file, by its path below the root.
pub fn text(path: &str) -> String {
    read(&root().join(path)).text
}

/// Reads a file.
pub fn read(path: &Path) -> File {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let path = path.strip_prefix(root()).expect("a path below the root").to_string_lossy().into_owned();
    File { path, text }
}

/// Returns the paths of all files of a folder, in subfolders as well, except those that are built or installed.
pub fn paths(folder: &Path) -> Vec<PathBuf> {
    let (mut open, mut paths) = (vec![folder.to_owned()], Vec::new());
    while let Some(path) = open.pop() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            let is_generated = ["target", "node_modules", ".git"].contains(&name.as_str());
            if !is_generated {
                open.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            }
        } else {
            paths.push(path);
        }
    }
    paths
}
