//! The runtimes that a machine has.

use std::{env, path::Path};

/// Returns true if the program is on the path.
pub fn has(program: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder: std::path::PathBuf| Path::new(&folder).join(program).is_file())
}
