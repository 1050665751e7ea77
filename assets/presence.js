/**
 * The list of those who are present in the room: how many, and their names unless there are too many.
 */

import { element, find } from './dom.js';
import { hueOf, initialOf } from './hue.js';

/** @import { Presence } from './leader-hub.js' */

/**
 * Shows a presence snapshot.
 * @param {HTMLElement} pill its button, and the list that it opens
 * @param {Presence} presence
 * @param {(name: string) => void} onPick
 */
export function showPresence(pill, { count = 0, names }, onPick) {
  const button = find('button', pill);
  const text = `${count} here`;
  pill.hidden = !count;
  if (button.dataset.text !== text) button.textContent = button.dataset.text = text;
  const unnamed = count - (names?.length ?? 0);
  const items = names?.map((name) => item(name, onPick)) ?? [];
  if (unnamed > 0) items.push(element('li', '', names ? `${unnamed} without a name` : 'Too many to name.'));
  find('ul', pill).replaceChildren(...items);
}

/** @param {string} name @param {(name: string) => void} onPick */
function item(name, onPick) {
  const made = element('li');
  const button = Object.assign(element('button', `who h${hueOf(name)}`, name), { type: 'button', dir: 'auto', translate: false });
  button.dataset.initial = initialOf(name);
  button.onclick = () => {
    /** @type {HTMLElement | null} */ (made.closest('[popover]'))?.hidePopover(); // first, so that the box keeps the focus
    onPick(name);
  };
  made.append(button);
  return made;
}
