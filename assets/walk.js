/**
 * A walk through a room's history, newest first, in as many requests as it takes: for the search and the transcript.
 */

import { MAX_PAGE_SIZE, fetchHistory } from './history.js';

/** @import { HistoryMessage } from './history.js' */

export class Walk {
  /** @type {string | undefined} */
  #before;
  #world;
  #room;
  stopped = false;
  ended = false; // nothing older is kept
  read = 0; // messages

  /** @param {Pick<Window, 'fetch'>} world @param {string} room */
  constructor(world, room) {
    this.#world = world;
    this.#room = room;
  }

  /**
   * Reads the next page, newest first. It is empty at the end; null if the server cannot say, and the walk may go on later.
   * @returns {Promise<HistoryMessage[] | null>}
   */
  async next() {
    if (this.ended) return [];
    const query = this.#before ? { before: this.#before, limit: MAX_PAGE_SIZE } : { limit: MAX_PAGE_SIZE };
    const { messages, first } = await fetchHistory(this.#world, this.#room, query);
    if (!messages) return null;
    this.ended = !first || first === this.#before;
    this.#before = first;
    this.read += messages.length;
    return messages.reverse();
  }
}

/**
 * Walks until the end, a stop, a failure, or `takes` returns false. Resolves to true unless the server could not say.
 * @param {Walk} walk
 * @param {(page: HistoryMessage[]) => boolean} takes
 */
export async function walkOn(walk, takes) {
  walk.stopped = false;
  while (!walk.ended && !walk.stopped) {
    const page = await walk.next();
    if (!page) return false;
    if (!takes(page)) return true;
  }
  return true;
}
