/**
 * The menu in the head, loaded when it is opened. The browser opens and closes it: it is a popover.
 */

import { element } from './dom.js';
import { icon } from './icons.js';

/** @import { IconName } from './icons.js' */

/**
 * What the menu offers.
 * @typedef {object} MenuItem
 * @property {IconName} icon
 * @property {() => string} label
 * @property {string} [keys] that do the same
 * @property {() => boolean} [isOn] for what is on or off
 * @property {boolean} [stays] whether the menu stays open
 * @property {() => unknown} run
 */

/** Fills the menu and moves the focus into it. @param {HTMLElement} menu @param {MenuItem[]} items */
export function fillMenu(menu, items) {
  menu.replaceChildren(...items.map((item) => row(menu, item)));
  const rows = /** @type {HTMLElement[]} */ ([...menu.children]);
  rows[0].focus();
  menu.onkeydown = (event) => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    const at = rows.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    rows.at((at + step) % rows.length)?.focus();
  };
}

/** @param {HTMLElement} menu @param {MenuItem} item */
function row(menu, { icon: name, label, keys, isOn, stays, run }) {
  const button = element('button');
  const text = element('span', '', label());
  button.type = 'button';
  button.append(icon(name), text);
  const show = () => {
    text.textContent = label();
    if (isOn) button.ariaPressed = `${isOn()}`;
  };
  if (isOn) button.append(icon('check'));
  if (keys) button.append(element('kbd', '', keys));
  show();
  button.onclick = async () => {
    if (!stays) menu.hidePopover(); // first, so that what opens next keeps the focus
    await run();
    show();
  };
  return button;
}
