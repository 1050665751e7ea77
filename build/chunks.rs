//! A page's modules as few scripts. The first chunk has everything that its entry imports; each module that is passed to
//! `load` is the entry of another one, which takes what the first chunk has from there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use oxc_allocator::Allocator;
use oxc_codegen::{Codegen, CodegenOptions};
use oxc_minifier::{CompressOptions, MangleOptions, Minifier, MinifierOptions};
use oxc_parser::Parser;
use oxc_span::SourceType;

use crate::modules::{self, Module, unique};

/// Modules whose state is a cache, so that two of them are no matter.
const CACHES: [&str; 1] = ["mentions.js"];

/// Returns the chunks of an entry by file name, minified.
pub(crate) fn link(folder: &Path, entry: &str) -> Result<BTreeMap<String, String>, String> {
    let modules = read(folder, entry)?;
    let first = in_order(&modules, entry)?;
    let mut chunks = BTreeMap::new();
    for name in modules.values().flat_map(|module| &module.loads) {
        if first.contains(name) {
            return Err(format!("{name} is loaded later, but a module of the first view imports it"));
        }
        let own = in_order(&modules, name)?.into_iter().filter(|each| !first.contains(each));
        chunks.insert(name.clone(), own.collect::<Vec<_>>());
    }
    refuse_second_copies(&modules, &chunks)?;

    let mut linked = BTreeMap::new();
    let mut shared = BTreeSet::new(); // what later chunks take from the first
    for (name, parts) in &chunks {
        let used = parts.iter().flat_map(|part| &modules[part].used);
        let taken: BTreeSet<&String> =
            used.filter(|(from, _)| first.contains(from)).flat_map(|(_, names)| names).collect();
        let import = if taken.is_empty() {
            String::new()
        } else {
            let names = taken.iter().map(|name| format!("{} as {name}", shared_as(name)));
            format!("import {{ {} }} from '{}';\n", list(names), relative(name, entry))
        };
        let exports = modules[name].exports.iter().map(|export| format!("{} as {export}", unique(name, export)));
        let export = format!("export {{ {} }};\n", list(exports));
        shared.extend(taken);
        linked.insert(name.clone(), minify(name, &(import + &code(&modules, parts) + &export))?);
    }
    let export = if shared.is_empty() {
        String::new()
    } else {
        let names: BTreeSet<String> = shared.iter().map(|name| shared_as(name)).collect();
        if names.len() < shared.len() {
            return Err(format!("two of {shared:?} have one short name: rename one"));
        }
        format!("export {{ {} }};\n", list(shared.iter().map(|name| format!("{name} as {}", shared_as(name)))))
    };
    linked.insert(entry.to_owned(), minify(entry, &(code(&modules, &first) + &export))?);
    Ok(linked)
}

/// Reads an entry and all that it imports or loads, directly or not.
fn read(folder: &Path, entry: &str) -> Result<BTreeMap<String, Module>, String> {
    let mut modules = BTreeMap::new();
    let mut wanted = vec![(entry.to_owned(), entry.to_owned())];
    while let Some((name, importer)) = wanted.pop() {
        if modules.contains_key(&name) {
            continue;
        }
        let source =
            fs::read_to_string(folder.join(&name)).map_err(|error| format!("{importer} needs {name}: {error}"))?;
        let module = modules::parse(&name, &source, |address| resolve(&name, address))?;
        wanted.extend(module.imports.iter().chain(&module.loads).map(|found| (found.clone(), name.clone())));
        modules.insert(name, module);
    }
    for (name, module) in &modules {
        for (from, names) in &module.used {
            let exported: BTreeSet<String> = modules[from].exports.iter().map(|export| unique(from, export)).collect();
            if let Some(missing) = names.difference(&exported).next() {
                return Err(format!("{name} imports {missing}, which {from} does not export"));
            }
        }
    }
    Ok(modules)
}

/// Returns the module at a relative address in a module.
fn resolve(importer: &str, address: &str) -> String {
    let mut folders: Vec<&str> = importer.split('/').collect();
    folders.pop();
    for part in address.split('/') {
        match part {
            "." => {}
            ".." => drop(folders.pop()),
            other => folders.push(other),
        }
    }
    folders.join("/")
}

/// Returns the address of a chunk in another one.
fn relative(importer: &str, chunk: &str) -> String {
    let up = "../".repeat(importer.matches('/').count());
    format!("./{up}{chunk}")
}

/// Returns a module and what it imports, each after what it imports itself.
fn in_order(modules: &BTreeMap<String, Module>, entry: &str) -> Result<Vec<String>, String> {
    fn visit(
        modules: &BTreeMap<String, Module>,
        name: &str,
        path: &mut Vec<String>,
        order: &mut Vec<String>,
    ) -> Result<(), String> {
        if path.iter().any(|each| each == name) {
            return Err(format!("modules import each other: {} → {name}", path.join(" → ")));
        }
        if order.iter().any(|each| each == name) {
            return Ok(());
        }
        path.push(name.to_owned());
        for import in &modules[name].imports {
            visit(modules, import, path, order)?;
        }
        path.pop();
        order.push(name.to_owned());
        Ok(())
    }
    let mut order = Vec::new();
    visit(modules, entry, &mut Vec::new(), &mut order)?;
    Ok(order)
}

/// A module in two later chunks runs twice, which is no matter unless it has state.
fn refuse_second_copies(
    modules: &BTreeMap<String, Module>,
    chunks: &BTreeMap<String, Vec<String>>,
) -> Result<(), String> {
    for (name, _) in modules.iter().filter(|(name, module)| module.has_state && !CACHES.contains(&name.as_str())) {
        let having: Vec<&str> =
            chunks.iter().filter(|(_, parts)| parts.contains(name)).map(|(chunk, _)| chunk.as_str()).collect();
        if having.len() > 1 {
            let having = having.join(" and ");
            return Err(format!(
                "{name} has state, and would be in {having}: load() it, hand it over, or import it in page.js"
            ));
        }
    }
    Ok(())
}

fn code(modules: &BTreeMap<String, Module>, parts: &[String]) -> String {
    parts.iter().map(|part| modules[part].code.as_str()).collect()
}

fn list(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// Returns the name by which the first chunk gives something to the others: short, since the first view has few bytes, and
/// made of the name alone, since a page may load its later chunks from a node of another version.
fn shared_as(name: &str) -> String {
    const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let hash = name.bytes().fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    let letter = |place: u32| char::from(LETTERS[(hash / 52_u32.pow(place) % 52) as usize]);
    format!("{}{}{}", letter(0), letter(1), letter(2))
}

fn minify(name: &str, source: &str) -> Result<String, String> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, SourceType::mjs()).parse();
    if let Some(error) = parsed.errors.first() {
        return Err(format!("{name}, linked: {error}"));
    }
    let mut program = parsed.program;
    let options = MinifierOptions {
        mangle: Some(MangleOptions { top_level: true, ..MangleOptions::default() }),
        compress: Some(CompressOptions::smallest()),
    };
    let minified = Minifier::new(options).minify(&allocator, &mut program);
    let codegen = Codegen::new()
        .with_options(CodegenOptions::minify())
        .with_scoping(minified.scoping)
        .with_private_member_mappings(minified.class_private_mappings);
    Ok(codegen.build(&program).code)
}
