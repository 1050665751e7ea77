/**
 * Comparing texts without case, and whether a text may hold a name: quick, for the first view.
 */

/** Folds the case of a text. Both ways, since `ß` has no other form than `SS`. @param {string} text */
export const foldCase = (text) => text.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC');

/**
 * Returns true if a text may mention a name: mentions.js knows.
 * @param {string} text
 * @param {string} name
 */
export function mayMention(text, name) {
  const folded = foldCase(name.trim());
  return folded !== '' && foldCase(text).includes(folded);
}
