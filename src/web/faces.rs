//! A face for each name: one of 24 hues, and the letter on its tile. `assets/hue.js` does the same on the page.

use unicode_normalization::UnicodeNormalization;

const HUES: u32 = 24;

/// Returns the hue of a name: FNV-1a (32 bits) over its UTF-8 bytes.
pub(super) fn hue_of(name: &str) -> u32 {
    let name: String = name.trim().nfc().collect();
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % HUES
}

/// Returns the first letter or digit of a name, as a capital, or else its first character.
pub(super) fn initial_of(name: &str) -> String {
    let characters = || name.trim().nfc();
    let Some(initial) = characters().find(|character| character.is_alphanumeric()).or_else(|| characters().next())
    else {
        return String::new();
    };
    let mut capital = initial.to_uppercase();
    let single = capital.len() == 1; // ß has two capitals
    capital.next().filter(|_| single).unwrap_or(initial).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same examples test `assets/hue.js`.
    const FACES: &str = include_str!("../../tests/js/faces.json");

    #[test]
    fn each_name_has_its_hue_and_initial() {
        let faces: Vec<(String, u32, String)> = serde_json::from_str(FACES).unwrap();
        for (name, hue, initial) in faces {
            assert_eq!((hue_of(&name), initial_of(&name)), (hue, initial), "{name}");
        }
    }
}
