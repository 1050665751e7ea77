/**
 * What the user does not want to hear: muted names, and the choice of notifications for each room. Pure, but for the
 * storage.
 */

import { parseObject } from './wire.js';

/** @import { PageStorage } from './storage.js' */

/** Returns a name as it is muted. @param {string} name */
export const toKey = (name) => name.trim().normalize('NFC');

/** Returns the muted names, the latest last. @param {Pick<PageStorage, 'get'>} storage @returns {string[]} */
export function mutedNames(storage) {
  const { names } = parseObject(storage.get('muted'));
  return Array.isArray(names) ? names : [];
}

/** Returns true if a name is muted. @param {Pick<PageStorage, 'get'>} storage @param {string} name */
export const isMuted = (storage, name) => mutedNames(storage).includes(toKey(name));

/**
 * Returns of which messages of a room the user wants notifications: `all`, `mentions` or none (an empty string). A choice
 * for the room, `notify:ROOM`, goes before the one for all rooms, `notify`.
 * @param {Pick<PageStorage, 'get'>} storage
 * @param {string} room
 */
export function noticesOf(storage, room) {
  const own = storage.get(`notify:${room}`);
  return own === 'none' ? '' : own || storage.get('notify');
}
