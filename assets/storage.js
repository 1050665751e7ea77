/**
 * Values that this browser keeps between visits, shared by its tabs. Where localStorage is denied or full, this tab keeps
 * them for as long as it is open.
 */

import { parseObject } from './wire.js';

/** @typedef {ReturnType<typeof createStorage>} PageStorage */

const PREFIX = 'tiny-chat:';

/** @type {WeakMap<object, PageStorage>} */
const opened = new WeakMap(); // by window: where storage is denied, its modules share what is kept

/** Opens the storage of a window. @param {Pick<Window, 'localStorage'>} world @returns {PageStorage} */
export function openStorage(world) {
  const storage = opened.get(world) ?? createStorage(world);
  opened.set(world, storage);
  return storage;
}

/** @param {Pick<Window, 'localStorage'>} world */
function createStorage(world) {
  /** @type {Map<string, string>} */
  const own = new Map();
  /** @type {Storage | null} */
  let local = null;
  try {
    local = world.localStorage;
    local.removeItem(`${PREFIX}?`); // throws where storage is denied
  } catch {
    local = null;
  }

  const lost = { tell: () => {} }; // called when something cannot be stored

  /** Returns the value of a key, or an empty string. @param {string} key */
  const get = (key) => own.get(key) ?? local?.getItem(PREFIX + key) ?? '';

  /** Removes a key. @param {string} key */
  function remove(key) {
    own.delete(key);
    local?.removeItem(PREFIX + key);
  }

  /** Sets the value of a key. @param {string} key @param {string} value */
  function set(key, value) {
    try {
      /** @type {Storage} */ (local).setItem(PREFIX + key, value);
      own.delete(key);
    } catch {
      remove(key); // or an older value would be read
      own.set(key, value);
      if (local) lost.tell();
    }
  }

  /** Returns the records under all keys with this prefix, oldest first. @param {string} prefix */
  function records(prefix) {
    const keys = Object.keys(local ?? {}).map((key) => key.slice(PREFIX.length));
    const found = new Set([...keys, ...own.keys()].filter((key) => key.startsWith(prefix)));
    const values = [...found].map((key) => parseObject(get(key))).filter(({ at }) => at);
    return values.sort((one, other) => one.at - other.at);
  }

  return { denied: !local, lost, get, set, remove, records };
}

export const storage = openStorage(globalThis);

/** What this tab alone keeps, until it is closed. */
export const tabStorage = openStorage({
  get localStorage() {
    return sessionStorage;
  },
});
