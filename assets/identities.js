/**
 * The identities that this browser holds: secrets, each with its mark once that is known. One is its own; those it had
 * before are kept, so that they can be taken back, and their messages be edited. Pure, but for the storage.
 */

/** @import { PageStorage } from './storage.js' */

/** @typedef {{ secret: string, mark: string }} Identity `mark` is empty until the server told it */

const MAX_EARLIER = 8;

/** Returns this browser's identity; its secret is empty before the first message. @param {Pick<PageStorage, 'get'>} storage */
export const ownIdentity = (storage) => ({ secret: storage.get('secret'), mark: storage.get('mark') });

/** Returns the identities that this browser had before, the latest first. @param {Pick<PageStorage, 'get'>} storage */
export function earlierIdentities(storage) {
  const kept = storage.get('secrets').split(' ').filter(Boolean);
  return kept.map((each) => {
    const [secret, mark = ''] = each.split('.');
    return { secret, mark };
  });
}

/**
 * Uses an identity from now on, and keeps the present one among the earlier.
 * @param {Pick<PageStorage, 'get' | 'set'>} storage
 * @param {Identity} identity
 */
export function useIdentity(storage, { secret, mark }) {
  const kept = [ownIdentity(storage), ...earlierIdentities(storage)].filter((each) => each.secret && each.secret !== secret);
  const lines = kept.slice(0, MAX_EARLIER).map((each) => (each.mark ? `${each.secret}.${each.mark}` : each.secret));
  storage.set('secrets', lines.join(' '));
  storage.set('mark', mark);
  storage.set('secret', secret);
}

/** Returns the secret of a mark, if this browser holds it. @param {Pick<PageStorage, 'get'>} storage @param {string} [mark] */
export function secretOf(storage, mark) {
  if (!mark) return '';
  return [ownIdentity(storage), ...earlierIdentities(storage)].find((each) => each.mark === mark)?.secret ?? '';
}

/** Returns the link that brings an identity to another browser. @param {Identity} identity @param {string} page its address */
export const identityLink = ({ secret, mark }, page) => `${page}#me=${secret}${mark && `.${mark}`}`;
