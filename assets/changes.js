/**
 * Requests that change an own message: an edit or a deletion, with the secret in the body.
 */

import { REQUEST_TIMEOUT_MS } from './history.js';
import { reasonOf } from './wire.js';

/**
 * What became of a change: `done`, `wait` in seconds, `refused` for good, or `failed` for now; the last two in words.
 * @typedef {{ done?: boolean, gone?: boolean, wait?: number, refused?: string, failed?: string }} ChangeResult
 */

/**
 * Edits a message if there is a new text, deletes it otherwise.
 * @param {Pick<Window, 'fetch'>} world
 * @param {string} room
 * @param {string} id
 * @param {string} secret
 * @param {string} [text]
 * @returns {Promise<ChangeResult>}
 */
export async function changeMessage(world, room, id, secret, text) {
  try {
    const response = await world.fetch(`/history/${encodeURIComponent(room)}/${id}`, {
      method: text === undefined ? 'DELETE' : 'PATCH',
      headers: { Accept: 'application/json', 'Content-Type': 'application/json' },
      body: JSON.stringify({ secret, message: text }),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    if (response.ok) return { done: true };
    const problem = Object(await response.json().catch(() => null));
    return explain(response.status, Number(response.headers.get('Retry-After')), reasonOf(problem));
  } catch {
    return { failed: 'The server cannot be reached.' };
  }
}

/**
 * @param {number} status
 * @param {number} wait
 * @param {string | undefined} reason as the server says it
 * @returns {ChangeResult}
 */
function explain(status, wait, reason) {
  if (status === 429) return { wait: wait || 1 };
  if (status === 404) return { gone: true, refused: 'This message is no longer kept.' };
  if (status === 401 || status === 403) return { refused: 'This browser does not hold the key of this message.' };
  if (status >= 400 && status < 500 && status !== 408) return { refused: reason ?? `The server did not accept it (${status}).` };
  return { failed: reason ?? `The server cannot do that now (${status}).` };
}
