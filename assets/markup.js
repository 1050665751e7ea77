/**
 * Markup in messages: renders links, rooms, code and mentions in a text as DOM nodes, never as HTML.
 */

import { hiddenHost } from './addresses.js';
import { element } from './dom.js';
import { findMentions } from './mentions.js';
import { partQuotes } from './quotes.js';
import { tokenize } from './tokens.js';

/** @import { Token } from './tokens.js' */

/**
 * Splits a text into tokens, with mentions of `name` if there is one. What is only text is one token.
 * @param {string} text
 * @param {string} name
 */
export function tokenizeFor(text, name) {
  const tokens = tokenize(text);
  /** @type {Token[]} */
  const parts = findMentions(text, name, tokens).map(([start, end]) => ({ kind: 'me', text: text.slice(start, end), start, end }));
  parts.push(...tokens.filter(({ kind }) => kind !== 'text'));
  parts.sort((one, other) => one.start - other.start);
  let done = 0;
  const all = parts.flatMap((part) => {
    const before = textBetween(text, done, part.start);
    done = part.end;
    return [...before, part];
  });
  return [...all, ...textBetween(text, done, text.length)];
}

/**
 * @param {string} text
 * @param {number} start
 * @param {number} end
 * @returns {Token[]}
 */
const textBetween = (text, start, end) => (end > start ? [{ kind: 'text', text: text.slice(start, end), start, end }] : []);

/** Renders a text as nodes. @param {string} text @param {string} name */
export function renderMarkup(text, name) {
  return partQuotes(text, tokenizeFor(text, name)).flatMap(({ quoted, tokens }) => {
    const nodes = tokens.map(renderToken);
    if (!quoted) return nodes;
    const block = element('blockquote');
    block.append(...nodes);
    for (const link of block.querySelectorAll('a.permalink')) link.textContent = 'Show the message';
    return [block];
  });
}

/**
 * Each part has a direction of its own: one in another script decides neither that of the text, nor where the punctuation
 * beside it goes.
 * @param {Token} token
 */
function renderToken({ kind, text, href }) {
  if (kind === 'text') return text;
  if (!href) {
    const part = element(kind === 'me' ? 'mark' : 'code', kind, text);
    return Object.assign(part, { dir: kind === 'fence' ? 'ltr' : 'auto', translate: false });
  }
  const link = element('a', kind, text);
  Object.assign(link, { href, dir: 'auto', translate: false });
  if (kind === 'link') {
    Object.assign(link, { rel: 'noopener noreferrer nofollow ugc', target: '_blank', dir: 'ltr' });
    const host = hiddenHost(href);
    if (host) link.dataset.host = host; // CSS shows it
    if (isPermalink(link)) Object.assign(link, { className: 'link permalink', target: '' }); // perhaps on this page
  }
  return link;
}

/** Returns true if a link leads to a message of this chat. @param {HTMLAnchorElement} link */
function isPermalink({ origin, pathname, hash }) {
  return origin === location.origin && /^\/[^/]+$/.test(pathname) && /^#\d+-\d+$/.test(hash);
}
