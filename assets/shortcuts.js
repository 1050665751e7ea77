/**
 * Keyboard shortcuts of the page, and the arrow keys within the log.
 */

import { isComposing } from './composer.js';

/** @import { Composer } from './composer.js' */
/** @import { MessageLog } from './log.js' */

/**
 * @typedef {object} ShortcutParts
 * @property {HTMLElement} rooms
 * @property {Pick<Composer, 'box' | 'setText'>} composer
 * @property {() => void} showHelp
 * @property {() => void} showSearch
 * @property {() => void} jump
 * @property {(line: HTMLElement) => void} edit
 * @property {(line: HTMLElement) => void} remove
 */

/**
 * Handles a key that was pressed anywhere on the page. What is typed anywhere goes to the message box.
 * @param {KeyboardEvent} event
 * @param {ShortcutParts} parts
 * @param {boolean} [late] the browser has handled the key already
 */
export function onShortcut(event, { rooms, composer, showHelp, showSearch, jump, edit, remove }, late = false) {
  const { key, altKey, ctrlKey, metaKey } = event;
  if (isComposing(event) || event.defaultPrevented) return;
  const writes = !metaKey && (event.getModifierState('AltGraph') || (!ctrlKey && !altKey)) && isTyped(key);
  if ((ctrlKey || metaKey) && !writes) {
    const act = altKey ? null : event.shiftKey && /^f$/i.test(key) ? showSearch : key === 'k' ? jump : null;
    if (!act || document.querySelector('dialog[open]')) return;
    event.preventDefault();
    return act();
  }
  const target = /** @type {Element} */ (event.target);
  const own = /** @type {HTMLElement | null} */ (target.closest('.message.mine[data-id]'));
  const step = !altKey ? 0 : key === 'ArrowUp' ? -1 : key === 'ArrowDown' ? 1 : 0;
  if (step) {
    const links = [...rooms.querySelectorAll('a')];
    const current = links.findIndex((link) => link.ariaCurrent);
    links.at((current + step) % links.length)?.click();
  } else if ((altKey && !writes) || target.closest('input, textarea, select, dialog, [role=menu], [contenteditable]')) return;
  else if (own && /^e$/i.test(key)) edit(own);
  else if (own && key === 'Delete') remove(own);
  else if (key === '/') composer.box.focus();
  else if (key === '?') showHelp();
  else if (writes) return typeInto(composer, key, late);
  else return;
  event.preventDefault();
}

/** Returns true if a key writes a character, or begins one. Space scrolls and presses buttons. @param {string} key */
const isTyped = (key) => key === 'Dead' || ([...key].length === 1 && key !== ' ');

/**
 * Lets a key write into the message box: the browser types it where the focus is when its handlers are done.
 * @param {ShortcutParts['composer']} composer
 * @param {string} key
 * @param {boolean} late
 */
function typeInto(composer, key, late) {
  const { box } = composer;
  box.focus();
  box.setSelectionRange(box.value.length, box.value.length);
  if (late && key !== 'Dead') composer.setText(box.value + key);
}

/**
 * Puts the address of one message into the tab order, and lets the arrow keys lead from one to the next.
 * @param {MessageLog} log
 */
export function addArrowKeys({ list, scroller }) {
  const links = () => /** @type {HTMLElement[]} */ ([...list.querySelectorAll('a.when')]);
  const setStop = (/** @type {Element | undefined} */ stop) => {
    for (const link of links()) link.tabIndex = link === stop ? 0 : -1;
  };
  const linkNear = (/** @type {any} */ target) => target.closest('.message')?.querySelector('a.when');
  scroller.addEventListener('focusin', ({ target }) => setStop(linkNear(target) ?? links().at(-1)));
  scroller.addEventListener('keydown', (event) => {
    const step = event.key === 'ArrowUp' ? -1 : event.key === 'ArrowDown' ? 1 : 0;
    const target = /** @type {HTMLElement} */ (event.target);
    const at = target.matches('.when, .more') ? links().indexOf(linkNear(target)) : -1;
    if (!step || at < 0) return;
    event.preventDefault();
    links()[at + step]?.focus();
  });
  setStop(linkNear(document.activeElement ?? document.body) ?? links().at(-1));
}
