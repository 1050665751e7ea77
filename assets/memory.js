/**
 * What this browser remembers for its user, in all tabs. Where storage is denied or full, this tab remembers for itself.
 */

import { members } from './text.js';

const PREFIX = 'tiny-chat:';

export function openMemory(world) {
  const own = new Map();
  let storage = null;
  try {
    storage = world.localStorage;
    storage.removeItem(`${PREFIX}?`);
  } catch {
    storage = null;
  }

  const recall = (key) => own.get(key) ?? storage?.getItem(PREFIX + key) ?? '';

  function forget(key) {
    own.delete(key);
    storage?.removeItem(PREFIX + key);
  }

  function remember(key, value) {
    try {
      storage.setItem(PREFIX + key, value);
      own.delete(key);
    } catch {
      forget(key);
      own.set(key, value);
    }
  }

  /** What was remembered under all keys that start so, parsed, oldest first. */
  function all(start) {
    const keys = Object.keys(storage ?? {}).map((key) => key.slice(PREFIX.length));
    const found = new Set([...keys, ...own.keys()].filter((key) => key.startsWith(start)));
    const values = [...found].map((key) => members(recall(key))).filter(({ at }) => at);
    return values.sort((one, other) => one.at - other.at);
  }

  return { denied: !storage, recall, remember, forget, all };
}

export const { recall, remember, forget } = openMemory(globalThis);
