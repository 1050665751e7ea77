//! Makes of `assets/` the files that the server serves, in `OUT_DIR/assets`: the modules of a page become one script, and
//! one for each part that it loads later; all are minified.

#![expect(clippy::print_stdout, reason = "that is how a build script speaks to cargo")]

mod chunks;
mod modules;

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The scripts that pages begin with. Whatever they import or load is in their chunks, and is served in no other way.
const ENTRIES: [&str; 2] = ["page.js", "dashboard/dashboard.js"];

/// Classic scripts, for pages of other sites and older browsers: their syntax stays as it is.
const CLASSIC: [&str; 2] = ["eshq/es.js", "eshq/iframe.js"];

fn main() -> Result<(), String> {
    println!("cargo::rerun-if-changed=assets");
    println!("cargo::rerun-if-changed=build");
    let target = PathBuf::from(env::var("OUT_DIR").map_err(|error| error.to_string())?);
    let (out, gzip, brotli) = (target.join("assets"), target.join("gzip"), target.join("brotli"));
    let embedded = [("EmbeddedFiles", &out), ("EmbeddedGzip", &gzip), ("EmbeddedBrotli", &brotli)]
        .map(|(name, folder)| format!("#[derive(RustEmbed)]\n#[folder = {folder:?}]\nstruct {name};\n"))
        .concat();
    write(&target.join("embedded_files.rs"), embedded.as_bytes())?;
    // What an earlier build made of a file that is no longer there would be served, too.
    for folder in [&out, &gzip, &brotli] {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    let assets = Path::new("assets");
    for entry in ENTRIES {
        for (name, code) in chunks::link(assets, entry)? {
            write(&out.join(name), code.as_bytes())?;
        }
    }
    for path in files(assets)? {
        let name = path.strip_prefix(assets).map_err(|error| error.to_string())?;
        let source = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let text = || std::str::from_utf8(&source).map_err(|error| format!("{}: {error}", path.display()));
        let is_classic = CLASSIC.iter().any(|classic| name == Path::new(classic));
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if name.to_string_lossy().contains(".min.") => write(&out.join(name), &source)?,
            Some("js") if is_classic => write(&out.join(name), minifier::js::minify(text()?).to_string().as_bytes())?,
            Some("js" | "ts") => {} // in a chunk, or types
            Some("css") => {
                let minified =
                    minifier::css::minify(text()?).map_err(|error| format!("{}: {error}", path.display()))?;
                write(&out.join(name), minified.to_string().trim_start().as_bytes())?;
            }
            _ => write(&out.join(name), &source)?,
        }
    }
    for path in files(&out)? {
        let name = path.strip_prefix(&out).map_err(|error| error.to_string())?;
        // Those of the page itself; a folder has what is rarely asked for.
        if name.components().count() == 1 && matches!(name.extension().and_then(|it| it.to_str()), Some("js" | "css")) {
            let (content, mut small, mut smaller) = (fs::read(&path).map_err(describe)?, Vec::new(), Vec::new());
            zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, &content[..], &mut small)
                .map_err(describe)?;
            let best = brotli::enc::BrotliEncoderParams::default(); // quality 11, a window of 4 MiB
            brotli::BrotliCompress(&mut &content[..], &mut smaller, &best).map_err(describe)?;
            write(&gzip.join(name), &small)?;
            write(&brotli.join(name), &smaller)?;
        }
    }
    Ok(())
}

fn describe(error: std::io::Error) -> String {
    error.to_string()
}

/// Returns the files of a folder and its folders.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}

fn write(path: &Path, content: &[u8]) -> Result<(), String> {
    let folder = path.parent().ok_or("a file in no folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .map_err(|error| format!("{}: {error}", path.display()))
}
