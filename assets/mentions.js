/**
 * Mentions of the user's name in a text: what is marked in the log is what counts as a mention elsewhere.
 */

import { foldCase, mayMention } from './fold-case.js';
import { load } from './load.js';
import { tokenize } from './tokens.js';

/** @import { Token } from './tokens.js' */

const WORD = /[\p{L}\p{M}\p{N}_\u200c\u200d]/u;
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
// A letter with its marks, or a Hangul syllable that may be decomposed: NFC composes nothing across these.
const CLUSTERS = /[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?|\P{M}\p{M}*|\p{M}+/gsu;

/** @type {Intl.Segmenter | undefined} */
let segmenter;
/** @type {Set<string> | undefined} */
let commonWords; // once they are loaded

/**
 * Folds a text, and keeps where each folded character comes from.
 * @param {string} text
 */
export function fold(text) {
  let folded = '';
  /** @type {number[]} */
  const starts = []; // in `text`, by the position in `folded` where a cluster begins
  for (const { 0: cluster, index } of text.matchAll(CLUSTERS)) {
    starts[folded.length] = index;
    folded += /^[\0-\x7f]$/.test(cluster) ? cluster.toLowerCase() : foldCase(cluster); // most are, and this is quick
  }
  starts[folded.length] = text.length;
  return { folded, starts };
}

/**
 * Loads what decides whether a name needs an `@`. Resolves to true if that may change what findMentions returns.
 * @param {string} name
 */
export async function loadCommonWords(name) {
  if (commonWords || !/^[\p{Script=Latin}\p{M}]+$/u.test(name.trim())) return false;
  const { COMMON_WORDS } = await load('common-words');
  commonWords ??= new Set(foldCase(COMMON_WORDS).split(' '));
  return commonWords.has(foldCase(name.trim()));
}

/**
 * Finds mentions of a name: whole words, compared without case and in NFC, not in an address, in code or after `#`. A name
 * that is a common word needs an `@`.
 * @param {string} text
 * @param {string} name
 * @param {Token[]} [tokens] of the text
 * @returns {[start: number, end: number][]} with the `@`, if there is one
 */
export function findMentions(text, name, tokens) {
  if (!mayMention(text, name)) return [];
  tokens ??= tokenize(text);
  const wanted = fold(name.trim()).folded;
  const { folded, starts } = fold(text);
  const isBoundary = boundariesOf(text);
  const needsAt = commonWords?.has(wanted) ?? false;
  /** @type {[number, number][]} */
  const found = [];
  for (let at = folded.indexOf(wanted); at >= 0; at = folded.indexOf(wanted, at + 1)) {
    const start = starts[at];
    const end = starts[at + wanted.length];
    if (start === undefined || end === undefined || start < (found.at(-1)?.[1] ?? 0)) continue;
    const before = text[start - 1] ?? '';
    const called = before === '@' && !/[\w.%+-]/.test(text[start - 2] ?? ' ');
    if (before === '#' || (before === '@' && !called) || (needsAt && !called)) continue;
    if (!isBoundary(end) || !(called || isBoundary(start))) continue;
    if (tokens.some((token) => isClosed(token) && start < token.end && end > token.start)) continue;
    found.push([called ? start - 1 : start, end]);
  }
  return found;
}

/** @param {Token} token */
const isClosed = ({ kind, opaque }) => kind !== 'text' || opaque;

/**
 * Returns a function that tells whether a word begins or ends at a position. Between letters, the words of the language
 * decide; without a segmenter, the words of scripts that write no spaces may end anywhere.
 * @param {string} text
 */
function boundariesOf(text) {
  /** @type {Set<number> | undefined} */
  let boundaries;
  return (/** @type {number} */ at) => {
    const before = /** @type {string} */ ([...text.slice(Math.max(0, at - 2), at)].at(-1) ?? '');
    const after = String.fromCodePoint(text.codePointAt(at) ?? 32);
    if (!WORD.test(before) || !WORD.test(after)) return true;
    if (!('Segmenter' in Intl)) return UNSPACED.test(before) || UNSPACED.test(after);
    segmenter ??= new Intl.Segmenter(undefined, { granularity: 'word' });
    boundaries ??= new Set([...segmenter.segment(text)].map(({ index }) => index));
    return boundaries.has(at);
  };
}

/**
 * Resolves to true if a text mentions a name, when it is known whether the name is a common word.
 * @param {string} text
 * @param {string} name
 */
export async function isMention(text, name) {
  if (findMentions(text, name).length === 0) return false;
  await loadCommonWords(name);
  return findMentions(text, name).length > 0;
}
