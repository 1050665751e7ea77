/**
 * Unread counts: the messages of each room after the last one that was read there.
 */

import { isAfter, isDeleted, numberOf } from './wire.js';

const MAX_IDS = 100; // remembered for each room; what is older is only counted

/**
 * The unread messages of a room, as they are stored.
 * @typedef {object} UnreadRoom
 * @property {string[]} ids the newest ones
 * @property {number} [older] how many there are before these
 * @property {string} [read] the last id that was read
 * @property {string} [mention] the last unread id that mentions the user
 */

/** @import { Deletion } from './wire.js' */

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
    entry.ids.push(id);
    if (entry.ids.length > MAX_IDS) entry.older = (entry.older ?? 0) + entry.ids.splice(0, 1).length;
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
    this.#shrinkOlder(entry, id);
    entry.ids = entry.ids.filter((each) => isAfter(each, id));
    if (entry.mention && !isAfter(entry.mention, id)) delete entry.mention;
  }

  /**
   * Forgets unread messages that are deleted.
   * @param {string} room
   * @param {Deletion} deletion
   */
  forget(room, deletion) {
    const entry = this.rooms[room];
    if (!entry) return;
    const { ids, older = 0, mention } = entry;
    const { id, upTo } = deletion;
    if (upTo) this.#shrinkOlder(entry, upTo);
    else if (id && older && isAfter(id, entry.read) && isAfter(ids[0], id)) entry.older = older - 1;
    entry.ids = ids.filter((each) => !isDeleted(deletion, each));
    if (mention && isDeleted(deletion, mention)) delete entry.mention;
  }

  /** Counts no more of the older messages of a room than can be after an id. @param {UnreadRoom} entry @param {string} id */
  #shrinkOlder(entry, id) {
    const { ids, older = 0 } = entry;
    if (!older) return;
    const between = ids[0] && isAfter(ids[0], id) ? numberOf(ids[0]) - numberOf(id) - 1 : 0;
    entry.older = Math.max(0, Math.min(older, between));
  }

  /** @returns {UnreadCount[]} */
  list() {
    return Object.entries(this.rooms).map(([room, { ids, older = 0, mention }]) => [room, older + ids.length, Boolean(mention)]);
  }
}
