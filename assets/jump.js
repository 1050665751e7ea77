/**
 * Jumping to a room: a box that filters the rooms. Loaded with Ctrl+K, or from the menu.
 */

import { isComposing } from './composer.js';
import { showDialog } from './dialogs.js';
import { element } from './dom.js';

/** @import { RoomState } from './rooms.js' */

/**
 * Returns the rooms with a name that contains what was typed, in any case; those that begin with it first.
 * @param {RoomState[]} rooms
 * @param {string} typed
 */
export function filterRooms(rooms, typed) {
  const fold = (/** @type {string} */ text) => text.normalize().toLowerCase();
  const part = fold(typed.trim().replace(/^#/, ''));
  const at = (/** @type {RoomState} */ { name }) => fold(name).indexOf(part);
  const found = rooms.filter((room) => at(room) >= 0);
  return found.sort((one, other) => Math.sign(at(one)) - Math.sign(at(other)));
}

/**
 * Opens the box.
 * @param {RoomState[]} rooms
 * @param {(name: string) => string | null} pathOf returns the path of a room, or null if its name breaks the rule
 */
export function jump(rooms, pathOf) {
  const dialog = element('dialog', 'jump');
  const box = element('input');
  const list = element('ul');
  Object.assign(dialog, { ariaLabel: 'Go to a room' });
  Object.assign(box, { type: 'text', role: 'combobox', ariaLabel: 'Room', ariaExpanded: 'true', ariaAutoComplete: 'list' });
  Object.assign(box, { placeholder: 'Go to a room', dir: 'auto', autocapitalize: 'none', autocomplete: 'off', enterKeyHint: 'go' });
  box.spellcheck = false;
  Object.assign(list, { id: 'jump-rooms', role: 'listbox', ariaLabel: 'Rooms', translate: false });
  box.setAttribute('aria-controls', list.id);
  /** @type {string[]} */
  let paths = [];
  let selected = 0;

  const select = (/** @type {number} */ index) => {
    selected = paths.length ? (index + paths.length) % paths.length : 0;
    [...list.children].forEach((each, at) => (each.ariaSelected = `${at === selected}`));
    list.children[selected]?.scrollIntoView({ block: 'nearest' });
    box.setAttribute('aria-activedescendant', paths.length ? `jump-${selected}` : '');
  };
  const go = (/** @type {number} */ index) => {
    if (paths[index]) location.assign(paths[index]);
  };
  const show = () => {
    const found = filterRooms(rooms, box.value);
    const typed = box.value.trim().replace(/^#/, '').normalize();
    const other = typed && !rooms.some(({ name }) => name === typed) ? pathOf(typed) : null;
    paths = found.map(({ name }) => `${pathOf(name)}`);
    const rows = found.map(({ name, unread, current }) => {
      const row = element('li');
      row.append(element('bdi', '', name));
      if (unread && !current) row.append(element('span', 'badge', unread > 99 ? '99+' : `${unread}`));
      return row;
    });
    if (other) {
      const row = element('li', 'other');
      row.append('Open ', element('bdi', '', typed));
      rows.push(row);
      paths.push(other);
    }
    rows.forEach((row, index) => {
      Object.assign(row, { id: `jump-${index}`, role: 'option', onclick: () => go(index) });
    });
    list.replaceChildren(...rows);
    select(!typed && found[0]?.current ? 1 : 0);
  };
  box.oninput = show;
  box.onkeydown = (event) => {
    const { key } = event;
    if (isComposing(event)) return;
    if (key === 'ArrowDown') select(selected + 1);
    else if (key === 'ArrowUp') select(selected - 1);
    else if (key === 'Enter') go(selected);
    else return;
    event.preventDefault();
  };
  dialog.append(box, list);
  show();
  showDialog(dialog);
}
