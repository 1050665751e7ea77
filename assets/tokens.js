/**
 * Tokens of a text: addresses, rooms and code, found without a DOM. markup.js renders them.
 */

import { addressAt } from './addresses.js';

const WORD = '\\p{L}\\p{M}\\p{N}_';
const PATTERN = new RegExp(
  [
    '\\n?```(?:[\\w+#.-]*\\n)?(?<fence>[^]+?)\\n?```(?!`)\\n?',
    '(?<!`)`(?<code>[^`\\n]+)`(?!`)',
    '(?<![a-z\\d])(?<![a-z\\d]\\+)(?<link>https?://|mailto:)',
    // Addresses that are no links: no name in them is a mention.
    '(?<other>(?<![a-z\\d+])[a-z][a-z\\d+]*://[^\\s<>"`]+|(?<![\\w.@/-])www\\.[^\\s<>"`]+|(?<![\\w.%+-])[\\w.%+-]+@[\\w-]+(?:\\.[\\w-]+)+)',
    `(?<![${WORD}#&/.-])#(?!https?://)(?<room>[\\p{L}\\p{Nd}][${WORD}.~-]{0,63})`,
  ].join('|'),
  'giu',
);
// Those of src/chat/room.rs.
const RESERVED =
  /^(?:subscribe|history|assets|healthz|readyz|metrics|robots\.txt|socket|eshq|es\.js|rooms|users|api|channel|status|broker|message|dashboard|static|presence|openapi\.json|sw\.js|manifest\.webmanifest|favicon\.ico|admin|login|ws|event(?:s|source)?|iframe(?:\.js)?)$/i;
const ROOM = /^[\p{L}\p{Nd}][\p{L}\p{M}\p{Nd}\-_.~]{0,63}$/u;
const DIRECTIVE = /^(?:include|define|undef|ifn?def|if|elif|else|endif|pragma|error|warning|line|import|region|endregion)$/;
// Hexadecimal digits of a colour, unless they read as a word: `#fff` and `#a1b2c3`, but not `#cafe`.
const COLOUR = /^(?=(?:.{3,4}|.{6}|.{8})$)(?=[\da-f]+$)(?=.*\d|[bcdf]+$|abc|(.)\1*$|(..)\2+$|(?:(.)\3)+$)/i;

/**
 * A part of a text, of `length` characters, of which it shows `text`. A text may be `opaque`: no name in it is a mention.
 * @typedef {object} Token
 * @property {'text' | 'fence' | 'code' | 'link' | 'room' | 'me'} kind `me` is a mention of the user
 * @property {string} text
 * @property {string} [href]
 * @property {number} start
 * @property {number} end
 * @property {boolean} [opaque]
 */

/** Returns true if no room can have a name, since the server uses it itself. @param {string} name */
export const isReserved = (name) => RESERVED.test(name);

/** Returns the path of a room, or null if its name breaks the rule. @param {string} typed */
export function roomPath(typed) {
  const name = typed.trim().normalize('NFC');
  return ROOM.test(name) && !isReserved(name) ? `/${encodeURIComponent(name)}` : null;
}

/**
 * Returns a name like the typed one that a room can have, or an empty string.
 * @param {string} typed
 */
export function suggestRoom(typed) {
  const words = typed.normalize('NFC').match(/[\p{L}\p{M}\p{Nd}_.~]+/gu) ?? [];
  const name = [...words.join('-').replace(/^[^\p{L}\p{Nd}]+/u, '')].slice(0, 64).join('').replace(/-+$/, '');
  if (!name) return '';
  return roomPath(name) ? name : `${name}-room`;
}

/**
 * Returns the token for what the pattern found at `start`, or null if it is only text.
 * @param {Record<string, string>} groups
 * @param {string} text
 * @param {number} start
 * @param {number} end
 * @returns {Token | null}
 */
function toToken({ fence, code, link, other, room }, text, start, end) {
  if (fence) return { kind: 'fence', text: fence, start, end };
  if (code) return { kind: 'code', text: code, start, end };
  if (other) return { kind: 'text', text: other, start, end, opaque: true };
  if (link) {
    const href = addressAt(text, start, link);
    return href ? { kind: 'link', text: href, href, start, end: start + href.length } : null;
  }
  const name = room.replace(/[.~_-]+$/, ''); // punctuation of the sentence
  const href = /\p{L}/u.test(name) && !DIRECTIVE.test(name) && !COLOUR.test(name) && roomPath(name); // `#1` is a number
  return href ? { kind: 'room', text: `#${name}`, href, start, end: start + name.length + 1 } : null;
}

/** Splits a text into tokens. @param {string} text */
export function tokenize(text) {
  /** @type {Token[]} */
  const tokens = [];
  let done = 0;
  const addText = (/** @type {number} */ end) => {
    if (end > done) tokens.push({ kind: 'text', text: text.slice(done, end), start: done, end });
  };
  PATTERN.lastIndex = 0;
  for (let found; (found = PATTERN.exec(text)); ) {
    const token = toToken(/** @type {Record<string, string>} */ (found.groups), text, found.index, PATTERN.lastIndex);
    if (!token) continue;
    addText(token.start);
    tokens.push(token);
    PATTERN.lastIndex = done = token.end;
  }
  addText(text.length);
  return tokens;
}
