/**
 * The secret that tells this browser's messages from those of others of the same name. It leaves the browser only in the
 * bodies of posts, edits and deletions, and in the link that the user copies to use it in another browser.
 */

/** @import { PageStorage } from './storage.js' */

/** What a link to an identity carries: a secret and, if it is known, the mark that the server makes of it. */
const LINK = /^#me=([\w-]{16,128})(?:\.([\da-f]{32}))?$/;

/**
 * Returns this browser's secret: 128 random bits as base64url, made when it is first needed.
 * @param {Pick<PageStorage, 'get' | 'set'>} storage
 */
export function ownSecret(storage) {
  const known = storage.get('secret');
  if (known) return known;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const secret = btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').slice(0, 22);
  storage.set('secret', secret);
  return secret;
}

/**
 * Takes an identity out of the address and the history, before anything else can read it there, and returns it.
 * @param {Pick<Window, 'location' | 'history'>} world
 */
export function takeIdentity({ location, history }) {
  const { hash, pathname, search } = location;
  if (!hash.startsWith('#me=')) return null;
  history.replaceState(history.state, '', pathname + search);
  const [, secret, mark = ''] = LINK.exec(hash) ?? [];
  return secret ? { secret, mark } : null;
}
