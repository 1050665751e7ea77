//! Where the list of keys comes from: two variables, a pair of them, and a file.

use std::fs;

use super::key_list::{Entry, check_together};

/// What the operator set. `Debug` is not derived: it would print secrets.
#[derive(Clone, Default)]
pub struct KeySources {
    /// `APP_KEYS`: entries separated by commas.
    pub list: Option<String>,
    /// `APP_KEYS_FILE`: the path of a file with an entry on each line.
    pub file: Option<String>,
    /// `ESHQ_KEY`.
    pub key: Option<String>,
    /// `ESHQ_SECRET`.
    pub secret: Option<String>,
}

impl KeySources {
    /// Reads all entries.
    ///
    /// # Errors
    /// If one is bad, or the file cannot be read.
    pub(super) fn read(&self) -> Result<Vec<Entry>, String> {
        let mut entries = self.read_list()?;
        entries.extend(self.read_pair()?);
        entries.extend(self.read_file()?);
        check_together(&entries)?;
        Ok(entries)
    }

    /// Returns true if there is a file, which can change.
    pub(super) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    fn read_list(&self) -> Result<Vec<Entry>, String> {
        let items = self.list.iter().flat_map(|list| list.split(',')).enumerate();
        let items = items.map(|(index, item)| (index + 1, item.trim())).filter(|(_, item)| !item.is_empty());
        items.map(|(number, item)| Entry::parse(item, format!("APP_KEYS: entry {number}"))).collect()
    }

    fn read_pair(&self) -> Result<Option<Entry>, String> {
        match (&self.key, &self.secret) {
            (None, None) => Ok(None),
            (Some(key), Some(secret)) => Entry::pair(("ESHQ_KEY", key), ("ESHQ_SECRET", secret)).map(Some),
            (Some(_), None) => Err("ESHQ_KEY is set without ESHQ_SECRET".into()),
            (None, Some(_)) => Err("ESHQ_SECRET is set without ESHQ_KEY".into()),
        }
    }

    fn read_file(&self) -> Result<Vec<Entry>, String> {
        let Some(path) = &self.file else { return Ok(Vec::new()) };
        let text = fs::read_to_string(path).map_err(|error| format!("APP_KEYS_FILE {path}: {error}"))?;
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let entries = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        entries
            .map(|(number, line)| Entry::parse(line, format!("APP_KEYS_FILE {path}: line {number}")))
            .collect()
    }
}
