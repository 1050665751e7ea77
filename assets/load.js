/**
 * Loads what the first view does not have, for as long as it takes. Browsers remember for the life of a page that a module
 * could not be fetched, so each further attempt has an address of its own.
 */

/**
 * The modules that come later, each of them a script of its own.
 * @typedef {{
 *   'common-words': typeof import('./common-words.js'),
 *   'copy-code': typeof import('./copy-code.js'),
 *   deletions: typeof import('./deletions.js'),
 *   drafts: typeof import('./drafts.js'),
 *   editor: typeof import('./editor.js'),
 *   edits: typeof import('./edits.js'),
 *   enhancements: typeof import('./enhancements.js'),
 *   'head-menu': typeof import('./head-menu.js'),
 *   help: typeof import('./help.js'),
 *   identity: typeof import('./identity.js'),
 *   jump: typeof import('./jump.js'),
 *   lookups: typeof import('./lookups.js'),
 *   mentions: typeof import('./mentions.js'),
 *   menu: typeof import('./menu.js'),
 *   notifications: typeof import('./notifications.js'),
 *   pager: typeof import('./pager.js'),
 *   search: typeof import('./search.js'),
 *   settings: typeof import('./settings.js'),
 *   share: typeof import('./share.js'),
 *   touch: typeof import('./touch.js'),
 *   'uqr/uqr': typeof import('./uqr/uqr.js'),
 * }} Later
 */

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/** @type {Map<string, { loaded: Promise<any>, hurry: () => void }>} */
const parts = new Map();

/**
 * Resolves to a module once it is there. A further call makes a pending attempt at once.
 * @template {keyof Later} Name
 * @param {Name} name
 * @returns {Promise<Later[Name]>}
 */
export function load(name) {
  return once(name, (attempt) => import(`./${name}.js${again(attempt)}`));
}

/**
 * Returns a function that resolves to what is made of a module, which is made once. Each call makes a pending attempt at once.
 * @template {keyof Later} Name
 * @template Made
 * @param {Name} name
 * @param {(module: Later[Name]) => Made} make
 */
export function lazily(name, make) {
  /** @type {Promise<Made> | undefined} */
  let made;
  return () => {
    const loaded = load(name);
    return (made ??= loaded.then(make));
  };
}

/** Adds a style sheet of the assets' folder to the page. @param {string} name */
export function loadStyle(name) {
  const { href } = /** @type {HTMLLinkElement} */ (document.querySelector('link[rel=stylesheet]'));
  return once(`${name}.css`, (attempt) => {
    const link = document.createElement('link');
    link.rel = 'stylesheet';
    link.href = new URL(`./${name}.css${again(attempt)}`, href).href;
    document.head.append(link);
    return new Promise((resolve, reject) => {
      link.onload = resolve;
      link.onerror = () => {
        link.remove();
        reject();
      };
    });
  });
}

/** @param {number} attempt */
const again = (attempt) => (attempt ? `?again=${attempt}` : '');

/**
 * Tries until it works, with longer and longer pauses, which a further call for the same name ends.
 * @template Result
 * @param {string} name
 * @param {(attempt: number) => Promise<Result>} attempt gets 0, 1, 2, …
 * @returns {Promise<Result>}
 */
export function once(name, attempt) {
  let part = parts.get(name);
  if (!part) {
    part = { loaded: keepTrying(), hurry() {} };
    parts.set(name, part);
  }
  part.hurry();
  return part.loaded;

  async function keepTrying() {
    for (let number = 0; ; number += 1) {
      try {
        return await attempt(number);
      } catch {
        await pause(number);
      }
    }
  }

  /** @param {number} number */
  function pause(number) {
    return new Promise((resolve) => {
      setTimeout(resolve, Math.min(FIRST_PAUSE_MS * 2 ** number, LONGEST_PAUSE_MS));
      const entry = parts.get(name);
      if (entry) entry.hurry = () => resolve(undefined);
    });
  }
}
