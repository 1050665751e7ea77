/**
 * Looks messages up in a room's log: what was missed, and whether what was sent is there. Loaded when that is asked, for which
 * the server has to be there anyway.
 */

import { MAX_PAGE_SIZE, REQUEST_TIMEOUT_MS, fetchHistory } from './history.js';
import { numberOf } from './wire.js';

/** @import { HistoryMessage, HistoryPage } from './history.js' */

const MAX_PAGES = 25; // that are read for one message

/**
 * Fetches all messages of a room after a cursor, if they are not more than MAX_PAGES have, and the cursor after them.
 * @param {Pick<Window, 'fetch'>} world
 * @param {string} room
 * @param {string} after
 * @returns {Promise<Pick<HistoryPage, 'messages' | 'last'>>}
 */
export async function fetchAllAfter(world, room, after) {
  /** @type {HistoryMessage[]} */
  const all = [];
  let last = after;
  for (let pages = 0; pages < MAX_PAGES; pages += 1) {
    const page = await fetchHistory(world, room, { after: last, limit: MAX_PAGE_SIZE });
    if (!page.messages || !page.last) return {};
    all.push(...page.messages);
    last = page.last;
    if (page.messages.length < MAX_PAGE_SIZE) break;
  }
  return { messages: all, last };
}

/**
 * Fetches one message: null if the log does not have it, undefined if the server cannot say.
 * @param {Pick<Window, 'fetch'>} world
 * @param {string} room
 * @param {string} id
 */
export async function fetchMessage(world, room, id) {
  try {
    const response = await world.fetch(`/history/${encodeURIComponent(room)}/${id}`, {
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    if (response.status === 404) return null;
    return response.ok ? await response.json() : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Looks for a message in the log after a cursor. Its `id` is returned, or `absent` if it is certain that the log never had
 * it, or `away` if the server cannot say. Where a number is missing, it may have been trimmed, lost or deleted.
 * @param {Pick<Window, 'fetch'>} world
 * @param {string} room
 * @param {string | undefined} since
 * @param {(message: HistoryMessage) => unknown} isIt
 * @returns {Promise<{ id?: string, absent?: boolean, away?: boolean }>}
 */
export async function findMessage(world, room, since, isIt) {
  let whole = true;
  let cursor = since;
  for (let pages = 0; cursor && pages < MAX_PAGES; pages += 1) {
    const { messages, last } = await fetchHistory(world, room, { after: cursor, limit: MAX_PAGE_SIZE, all: 1 });
    if (!messages || !last) return { away: true };
    const found = messages.find(isIt);
    if (found) return { id: found.id };
    for (const id of [...messages.map((message) => message.id), last]) {
      if (numberOf(id) > numberOf(cursor) + 1 || (id !== cursor && numberOf(id) <= numberOf(cursor))) whole = false;
      cursor = id;
    }
    if (!messages.length) return { absent: whole };
  }
  return {};
}
