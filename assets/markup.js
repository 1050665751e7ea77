/**
 * Markup in messages: finds links, rooms, code and mentions in a text, and renders it as DOM nodes, never as HTML.
 */

import { element } from './dom.js';

const STOP = '\\s<>"`“”«»。，、；：！？「」『』【】（）《》'; // never part of an address
const WORD = '\\p{L}\\p{M}\\p{N}_';
const PATTERNS = [
  '\\n?```(?:[\\w+#.-]*\\n)?(?<fence>[^]+?)\\n?```(?!`)\\n?',
  '(?<!`)`(?<code>[^`\\n]+)`(?!`)',
  `\\b(?<link>(?:https?://|mailto:)[^${STOP}]+)`,
  `(?<![${WORD}#&/.-])#(?<room>[\\p{L}\\p{Nd}][${WORD}.~-]{0,63})`,
];
const ROOM = /^[\p{L}\p{Nd}][\p{L}\p{M}\p{Nd}\-_.~]{0,63}$/u;

/**
 * A part of a text. `me` is a mention of the user.
 * @typedef {{ kind: 'text' | 'fence' | 'code' | 'link' | 'room' | 'me', text: string, href?: string }} Token
 */

/** Returns the path of a room, or null if its name breaks the rule. @param {string} typed */
export function roomPath(typed) {
  const name = typed.trim().normalize('NFC');
  return ROOM.test(name) ? `/${encodeURIComponent(name)}` : null;
}

/**
 * Removes what follows an address in a sentence: punctuation, and a closing bracket that the address did not open.
 * @param {string} address
 */
function trimAddress(address) {
  for (;;) {
    const last = address.slice(-1);
    const opening = '([{'[')]}'.indexOf(last)];
    const count = (/** @type {string} */ part) => address.split(part).length;
    if (opening ? count(last) > count(opening) : /[.,;:!?'"*…’]/.test(last)) address = address.slice(0, -1);
    else return address;
  }
}

/** Returns true if an address has a host, or is a mail address. @param {string} address */
function isComplete(address) {
  try {
    const { host, pathname } = new URL(address);
    return host !== '' || /.@./.test(pathname);
  } catch {
    return false;
  }
}

/**
 * Returns the token for what a pattern found, or null if it is only text.
 * @param {Token['kind']} kind
 * @param {string} found
 * @returns {Token | null}
 */
function toToken(kind, found) {
  if (kind === 'link') {
    const text = trimAddress(found);
    return isComplete(text) ? { kind, text, href: text } : null;
  }
  if (kind === 'room') {
    const name = found.replace(/[.~_-]+$/, ''); // punctuation of the sentence
    const href = /\p{L}/u.test(name) && roomPath(name); // `#1` is a number
    return href ? { kind, text: `#${name}`, href } : null;
  }
  return { kind, text: found };
}

/**
 * Splits a text into tokens. Mentions of `name` are found if there is one.
 * @param {string} text
 */
export function tokenize(text, name = '') {
  const patterns = [...PATTERNS];
  const me = name.trim().replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  if (me) patterns.push(`(?<![${WORD}])(?<me>@?${me})(?![${WORD}])`);
  /** @type {Token[]} */
  const tokens = [];
  let done = 0;
  const addText = (/** @type {number} */ end) => end > done && tokens.push({ kind: 'text', text: text.slice(done, end) });
  for (const { 0: whole, index, groups = {} } of text.matchAll(new RegExp(patterns.join('|'), 'giu'))) {
    const kind = /** @type {Token['kind']} */ (Object.keys(groups).find((key) => groups[key]));
    const token = toToken(kind, groups[kind]);
    if (!token) continue;
    addText(index);
    tokens.push(token);
    done = index + (token.href ? token.text.length : whole.length);
  }
  addText(text.length);
  return tokens;
}

/** Renders a text as nodes. @param {string} text @param {string} name */
export function renderMarkup(text, name) {
  return tokenize(text, name).map(renderToken);
}

/** @param {Token} token */
function renderToken({ kind, text, href }) {
  if (kind === 'text') return text;
  if (!href) return element(kind === 'me' ? 'mark' : 'code', kind, text);
  const link = element('a', kind, text);
  link.href = href;
  if (kind === 'link') Object.assign(link, { rel: 'noopener noreferrer nofollow ugc', target: '_blank' });
  return link;
}
