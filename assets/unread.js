/**
 * Unread counts: the messages of each room after the last one that was read there.
 */

import { isAfter } from './wire.js';

const MAX_COUNT = 100; // per room

/**
 * The unread messages of a room, as they are stored.
 * @typedef {object} UnreadRoom
 * @property {string[]} ids
 * @property {string} [read] the last id that was read
 * @property {string} [mention] the last unread id that mentions the user
 */

/** @typedef {[room: string, unread: number, mention: boolean]} UnreadCount */

export class UnreadCounts {
  /** @type {Record<string, UnreadRoom>} */
  rooms = Object.create(null); // a room may be called `constructor`

  /** @param {Record<string, UnreadRoom>} [rooms] */
  constructor(rooms) {
    Object.assign(this.rooms, rooms);
  }

  /**
   * Counts another client's message and returns true if it is unread. Replayed messages count once.
   * @param {string} room
   * @param {string} id
   */
  count(room, id) {
    const entry = (this.rooms[room] ??= { ids: [] });
    if (!isAfter(id, entry.ids.at(-1) ?? entry.read)) return false;
    entry.ids = [...entry.ids, id].slice(-MAX_COUNT);
    return true;
  }

  /** Marks an unread message as one that mentions the user. @param {string} room @param {string} id */
  markMention(room, id) {
    const entry = this.rooms[room];
    if (entry?.ids.includes(id) && isAfter(id, entry.mention)) entry.mention = id;
  }

  /**
   * Marks everything in `room` up to `id` as read.
   * @param {string} room
   * @param {string} id
   */
  markRead(room, id) {
    if (!id) return;
    const entry = (this.rooms[room] ??= { ids: [] });
    if (isAfter(id, entry.read)) entry.read = id;
    entry.ids = entry.ids.filter((each) => isAfter(each, id));
    if (entry.mention && !isAfter(entry.mention, id)) delete entry.mention;
  }

  /** @returns {UnreadCount[]} */
  list() {
    return Object.entries(this.rooms).map(([room, { ids, mention }]) => [room, ids.length, Boolean(mention)]);
  }
}
