/**
 * Aids for the message box: a counter near the limit, recall of sent messages, completion of names, and growth with the
 * text where the browser does not do it.
 */

import { addCompletion } from './completion.js';
import { MAX_UNITS, isComposing } from './composer.js';

/** @import { Composer } from './composer.js' */

const MAX_CHARS = 4000; // as the server
const MAX_NAME_CHARS = 64;
const COUNTER_CHARS = 400; // the counter is shown when no more than these are left
const MAX_ROWS = 10;

/** Returns the length as the server counts it: in Unicode scalar values. @param {string} text */
export const lengthOf = (text) => text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);

/** Returns by how much a text is too long, in words, or an empty string. @param {string} text @param {number} max */
function excess(text, max) {
  const over = text.length > max ? lengthOf(text) - max : 0;
  return over > 0 ? `${over.toLocaleString('en')} character${over > 1 ? 's' : ''} too long` : '';
}

/** Returns why a text cannot be sent, or an empty string. @param {string} text */
export function lengthProblem(text) {
  const over = excess(text, MAX_CHARS);
  return over && `That is ${over}. Nothing is cut off: shorten it, or send it in parts.`;
}

/** Returns why nothing can be sent under a name, or an empty string. @param {string} name */
export function nameProblem(name) {
  const over = excess(name, MAX_NAME_CHARS);
  if (over) return `Your name is ${over}.`;
  const unfit = /(?![\u200c\u200d])[\p{Cc}\p{Cf}]/u.test(name);
  return unfit ? 'Your name has a character that cannot be seen. Type it again, without copying.' : '';
}

/** @param {number} characters */
const amount = (characters) => `${characters.toLocaleString('en')} characters`;

/** Returns the text of the counter; far from the limit it is empty. @param {string} text */
export function counterText(text) {
  if (text.length < MAX_CHARS - COUNTER_CHARS) return ''; // what is typed is not counted at each key
  const left = MAX_CHARS - lengthOf(text);
  if (left > COUNTER_CHARS) return '';
  return left < 0 ? `${-left} too many` : `${left} left`;
}

/**
 * Returns the sent text that a key leads to, or null if the key means something else.
 * @param {string} key ArrowUp leads to earlier texts, ArrowDown to later ones
 * @param {string} shown the recalled text that is in the box, if any
 * @param {string[]} sent oldest first
 */
export function recall(key, shown, sent) {
  const step = key === 'ArrowUp' ? -1 : key === 'ArrowDown' ? 1 : 0;
  if (!step || (!shown && step > 0)) return null;
  const at = shown ? sent.lastIndexOf(shown) : sent.length;
  if (at < 0) return null;
  if (at + step >= sent.length) return '';
  return sent[at + step] ?? null;
}

/**
 * Adds the aids to the message box, and returns the handler of its keys: one may have been pressed before this is loaded.
 * @param {Composer} composer
 * @param {HTMLElement} counter
 * @param {{ sentTexts: () => string[], names: () => string[] }} hooks the user's messages, oldest first; names to complete
 */
export function addAids(composer, counter, { sentTexts, names }) {
  const { box } = composer;
  let recalled = '';
  const completion = addCompletion(composer, names);
  const grows = CSS.supports('field-sizing', 'content');
  const measure = () => {
    const text = counterText(box.value);
    counter.textContent = text;
    counter.classList.toggle('over', text.endsWith('many'));
    if (grows) return;
    for (box.rows = 1; box.rows < MAX_ROWS && box.scrollHeight > box.clientHeight + 2; ) box.rows += 1;
  };
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    if (isComposing(event) || event.shiftKey || event.altKey || event.ctrlKey || event.metaKey) return;
    if (completion.onKey(event) || box.value !== recalled) return;
    const text = recall(event.key, recalled, [...new Set(sentTexts())]);
    if (text === null) return;
    event.preventDefault();
    recalled = text;
    composer.setText(text);
    box.setSelectionRange(text.length, text.length);
  };
  // A text that is far too long is refused before the box lays it out: it is still where it was copied.
  const refuseLong = (/** @type {Event} */ event, /** @type {DataTransfer | null} */ data) => {
    const { length } = data?.getData('text/plain') ?? '';
    if (length <= MAX_UNITS) return;
    event.preventDefault();
    composer.showProblem(`That text has ${amount(length)}, and was not pasted: a message has at most ${amount(MAX_CHARS)}.`);
  };
  box.addEventListener('paste', (event) => refuseLong(event, event.clipboardData));
  box.addEventListener('drop', (event) => refuseLong(event, event.dataTransfer));
  box.addEventListener('input', () => {
    if (box.value.length >= MAX_UNITS) composer.showProblem(`The box is full: what follows ${amount(MAX_UNITS)} was cut off.`);
    if (box.value !== recalled) recalled = '';
    if (!lengthProblem(box.value)) composer.showProblem('');
    measure();
    completion.onInput();
  });
  box.addEventListener('keydown', onKey, { capture: true });
  measure();
  completion.onInput();
  return onKey;
}
