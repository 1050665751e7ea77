/**
 * Writing on: the counter near the limit, what was said before, and a box that grows where the browser does not do it.
 */

import { completing } from './complete.js';

const LIMIT = 4000;
const NEAR = 400;

/** As the server counts: Unicode scalar values. */
export const lengthOf = (text) => [...text].length;

/** Why a text cannot be sent, if it cannot. */
export function problem(text) {
  const over = lengthOf(text) - LIMIT;
  return over > 0 ? `This is ${over} characters too long. Nothing is cut off: shorten it, or send it in parts.` : '';
}

/** What the counter says; nothing far from the limit. */
export function count(text) {
  const left = LIMIT - lengthOf(text);
  if (left > NEAR) return '';
  return left < 0 ? `${-left} too many` : `${left} left`;
}

/** Which of `said` (oldest first) comes after `shown`, by ArrowUp or ArrowDown; null where the key means something else. */
export function recalled(key, shown, said) {
  const step = { ArrowUp: -1, ArrowDown: 1 }[key];
  if (!step || (!shown && step > 0)) return null;
  const at = shown ? said.lastIndexOf(shown) : said.length;
  if (at < 0) return null;
  if (at + step >= said.length) return '';
  return said[at + step] ?? null;
}

/** `host` has `said()`, my messages, and `names()`, whom to call. Returns what a key does: one may have come before this did. */
export function writeOn(composer, counter, host) {
  const { box } = composer;
  let shown = '';
  composer.problem = problem;
  const completion = completing(composer, host.names);
  const grows = CSS.supports('field-sizing', 'content');
  const measure = () => {
    const says = count(box.value);
    counter.textContent = says;
    counter.classList.toggle('over', says.endsWith('many'));
    if (grows) return;
    for (box.rows = 1; box.rows < 10 && box.scrollHeight > box.clientHeight + 2; ) box.rows += 1;
  };
  const pressed = (event) => {
    if (event.isComposing || event.shiftKey || event.altKey || event.ctrlKey || event.metaKey) return;
    if (completion.pressed(event) || box.value !== shown) return;
    const text = recalled(event.key, shown, [...new Set(host.said())]);
    if (text === null) return;
    event.preventDefault();
    shown = text;
    composer.put(text);
    box.setSelectionRange(text.length, text.length);
  };
  box.addEventListener('input', () => {
    if (box.value !== shown) shown = '';
    if (!problem(box.value)) composer.say('');
    measure();
    completion.typed();
  });
  box.addEventListener('keydown', pressed, { capture: true });
  measure();
  completion.typed();
  return { pressed };
}
