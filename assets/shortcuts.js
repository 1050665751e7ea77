/**
 * Keyboard shortcuts of the page, and the arrow keys within the log.
 */

/** @import { MessageLog } from './log.js' */

/**
 * Handles a key that was pressed anywhere on the page.
 * @param {KeyboardEvent} event
 * @param {{ rooms: HTMLElement, box: HTMLElement, showHelp: () => void, jump: () => void }} page
 */
export function onShortcut(event, { rooms, box, showHelp, jump }) {
  const { key, altKey, ctrlKey, metaKey } = event;
  if (event.isComposing) return;
  if (ctrlKey || metaKey) {
    if (key !== 'k' || altKey || document.querySelector('dialog[open]')) return;
    event.preventDefault();
    return jump();
  }
  const step = !altKey ? 0 : key === 'ArrowUp' ? -1 : key === 'ArrowDown' ? 1 : 0;
  if (step) {
    const links = [...rooms.querySelectorAll('a')];
    const current = links.findIndex((link) => link.ariaCurrent);
    links.at((current + step) % links.length)?.click();
  } else if (altKey || /** @type {Element} */ (event.target).closest('input, textarea, select, dialog')) return;
  else if (key === '/') box.focus();
  else if (key === '?') showHelp();
  else return;
  event.preventDefault();
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
