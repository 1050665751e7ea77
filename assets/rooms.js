/**
 * The list of rooms with their unread counts, and the box that leads to any room by its name.
 */

import { element } from './dom.js';
import { CLOSE, drawIcon } from './icons.js';
import { isReserved, roomPath, suggestRoom } from './tokens.js';

/** @import { UnreadCount } from './unread.js' */

/** @typedef {{ name: string, unread: number, mention: boolean, current: boolean }} RoomState */

const RULE = 'A room’s name is 1 to 64 letters, marks, digits, - _ . or ~, and starts with a letter or digit.';
const RESERVED = 'The server uses this name itself; choose another.';

/**
 * Returns the state of each of `rooms`.
 * @param {string[]} rooms
 * @param {UnreadCount[]} counts
 * @param {string} current name of this tab's room
 * @returns {RoomState[]}
 */
export function roomStates(rooms, counts, current) {
  return rooms.map((name) => {
    const [, unread = 0, mention = false] = counts.find(([room]) => room === name) ?? [];
    return { name, unread, mention, current: name === current };
  });
}

/**
 * Shows the unread count of each room. One that was visited and is not in the list yet gets a link; one that was
 * left loses it.
 * @param {HTMLElement} list
 * @param {RoomState[]} rooms
 * @param {(name: string) => void} leave
 */
export function showRooms(list, rooms, leave) {
  const links = [...list.querySelectorAll('a')];
  for (const link of links) if (!rooms.some(({ name }) => name === link.dataset.room)) link.parentElement?.remove();
  for (const { name, unread, mention, current } of rooms) {
    const link = links.find((each) => each.dataset.room === name) ?? addLink(list, name);
    if (!link.nextElementSibling) link.after(leaveButton(name, leave));
    link.querySelector('.badge')?.remove();
    if (!unread || current) continue;
    const badge = element('span', mention ? 'badge call' : 'badge', `${mention ? '@' : ''}${unread > 99 ? '99+' : unread}`);
    badge.append(element('span', 'sr', mention ? ' unread, you are mentioned' : ' unread'));
    link.append(badge);
  }
}

/** @param {string} name @param {(name: string) => void} leave */
function leaveButton(name, leave) {
  const button = element('button', 'leave');
  Object.assign(button, { type: 'button', title: 'Leave', ariaLabel: `Leave ${name}`, onclick: () => leave(name) });
  button.append(drawIcon(CLOSE));
  return button;
}

/** @param {HTMLElement} list @param {string} name */
function addLink(list, name) {
  const link = element('a');
  link.href = `${roomPath(name)}`;
  link.dataset.room = name;
  link.append(element('bdi', '', name));
  const item = element('li');
  item.append(link);
  list.append(item);
  return link;
}

/**
 * Goes to the room whose name is in a box, or shows the rule that the name breaks and a name that keeps it.
 * @param {HTMLInputElement} box
 * @param {HTMLElement} error
 */
export function goToRoom(box, error) {
  const path = roomPath(box.value);
  error.textContent = path ? '' : isReserved(box.value.trim()) ? RESERVED : RULE;
  box.ariaInvalid = `${!path}`;
  const like = path ? '' : suggestRoom(box.value);
  if (like) {
    const link = element('a', '', `Open ${like}`);
    Object.assign(link, { href: roomPath(like), translate: false });
    error.append(' ', link);
  }
  if (path) location.assign(path);
}
