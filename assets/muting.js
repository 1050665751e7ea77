/**
 * Mutes names, as mute.js knows them.
 */

import { mutedNames, toKey } from './mute.js';

/** @import { PageStorage } from './storage.js' */

/** The most names that can be muted; the oldest are forgotten. */
export const MAX_MUTED = 50;

/** Mutes a name, or no longer. @param {Pick<PageStorage, 'get' | 'set'>} storage @param {string} name @param {boolean} muted */
export function setMuted(storage, name, muted) {
  const key = toKey(name);
  const others = mutedNames(storage).filter((each) => each !== key);
  storage.set('muted', JSON.stringify({ names: (muted ? [...others, key] : others).slice(-MAX_MUTED) }));
}
