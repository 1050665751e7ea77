//! The documents: the book of docs/, links, and commands, of which each is run by some test (`commands.tsv`).

mod book;
mod commands;
mod console;
mod links;

use crate::support::repository::{File, paths, read, root};

/// Returns all documents but the list of changes.
fn documents() -> Vec<File> {
    let mut files: Vec<File> = paths(root())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| read(&path))
        .filter(|file| file.path != "CHANGELOG.md" && !file.path.contains("/.venv/"))
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// A line of a block of code.
struct CodeLine<'t> {
    /// What stands after the fence; nothing for a block that is indented.
    language: &'t str,
    text: &'t str,
}

/// Returns the lines of all blocks of code, fenced or indented, without the indentation. A block ends with a line of the
/// language `end`.
fn code(document: &str) -> Vec<CodeLine<'_>> {
    let (mut lines, mut fence, mut was_blank) = (Vec::new(), None, true);
    for line in document.lines() {
        if let Some(language) = line.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language) };
            lines.push(CodeLine { language: "end", text: "" });
        } else if let Some(language) = fence {
            lines.push(CodeLine { language, text: line });
        } else if let Some(text) = line.strip_prefix("    ") {
            let continues = lines.last().is_some_and(|last: &CodeLine| last.language.is_empty());
            if was_blank || continues {
                lines.push(CodeLine { language: "", text });
            }
        } else if !line.is_empty() {
            lines.push(CodeLine { language: "end", text: "" });
        }
        was_blank = line.is_empty();
    }
    lines
}
