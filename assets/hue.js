/**
 * A face for each name: one of 24 hues, and the letter on its tile. src/web/faces.rs does the same for the page's HTML.
 */

const HUES = 24;

/**
 * Returns the hue of a name: FNV-1a (32 bits) over its UTF-8 bytes.
 * @param {string} name
 */
export function hueOf(name) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name.trim().normalize())) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % HUES;
}

/** Returns the first letter or digit of a name, as a capital, or else its first character. @param {string} name */
export function initialOf(name) {
  const text = name.trim().normalize();
  const [initial = ''] = /[\p{Alphabetic}\p{N}]/u.exec(text) ?? [...text];
  const capital = initial.toUpperCase();
  return [...capital].length === 1 ? capital : initial; // ß has two capitals
}
