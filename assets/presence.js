/**
 * The list of those who are present in the room: how many, and their names unless there are too many.
 */

import { element } from './dom.js';

/** @import { Presence } from './leader-hub.js' */

/**
 * Shows a presence snapshot.
 * @param {HTMLElement} details
 * @param {Presence} presence
 * @param {(name: string) => void} onPick
 */
export function showPresence(details, { count = 0, names }, onPick) {
  const [summary, list] = details.children;
  details.hidden = !count;
  const text = `${count} here`;
  if (summary.textContent !== text) summary.textContent = text;
  if (!names) return list.replaceChildren('Too many to name.');
  const unnamed = count - names.length;
  list.replaceChildren(...names.map((name) => item(name, onPick)), unnamed > 0 ? `${unnamed} without a name` : '');
}

/** @param {string} name @param {(name: string) => void} onPick */
function item(name, onPick) {
  const button = Object.assign(element('button', '', name), { type: 'button', dir: 'auto' });
  button.onclick = () => onPick(name);
  const made = element('li');
  made.append(button);
  return made;
}
