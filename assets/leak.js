/**
 * Whether a text would give the secret away that secret.js keeps.
 */

/** @import { PageStorage } from './storage.js' */

/**
 * Returns why a text must not be sent: it would give the secret away. Else an empty string.
 * @param {Pick<PageStorage, 'get'>} storage
 * @param {string} text
 */
export function leakProblem(storage, text) {
  const secret = storage.get('secret');
  return secret && text.includes(secret) ? 'This holds the key of your identity: whoever reads it could write as you.' : '';
}
