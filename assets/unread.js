/**
 * Unread counts: what was said in each room after the last id that was read in it.
 */

import { newer } from './text.js';

const CAP = 100; // per room; more are not told apart

/** Whether `text` calls `name`, as a whole word; `@` may stand before it. */
export function mentions(text, name) {
  const words = name.trim().replace(/[\\^$.*+?()[\]{}|\/]/g, '\\$&');
  return words !== '' && new RegExp(`(?<![\\p{L}\\p{N}_])${words}(?![\\p{L}\\p{N}_])`, 'iu').test(text);
}

export class Unread {
  /** By room: what was read, the ids after it, and the last of them that mentions us. A room may be called `constructor`. */
  rooms = Object.create(null);

  constructor(rooms) {
    Object.assign(this.rooms, rooms);
  }

  /** A message of somebody else; true if it is unread. Replayed ones count once. */
  heard(room, id, mention) {
    const entry = (this.rooms[room] ??= { ids: [] });
    if (!newer(id, entry.ids.at(-1) ?? entry.read)) return false;
    entry.ids = [...entry.ids, id].slice(-CAP);
    if (mention) entry.mention = id;
    return true;
  }

  /** Everything in `room` up to `id` was seen. */
  read(room, id) {
    if (!id) return;
    const entry = (this.rooms[room] ??= { ids: [] });
    if (newer(id, entry.read)) entry.read = id;
    entry.ids = entry.ids.filter((each) => newer(each, id));
    if (entry.mention && !newer(entry.mention, id)) delete entry.mention;
  }

  /** `[room, unread, mention]` of each. */
  list() {
    return Object.entries(this.rooms).map(([room, { ids, mention }]) => [room, ids.length, Boolean(mention)]);
  }
}
