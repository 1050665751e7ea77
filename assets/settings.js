/**
 * What the user can set, in the help window: their identity, notifications, and muted names.
 */

import { button, element } from './dom.js';
import { mutedNames } from './mute.js';
import { setMuted } from './muting.js';
import { storage } from './storage.js';

/** @typedef {Pick<typeof import('./notifications.js'), 'CHOICES' | 'areSupported' | 'choice' | 'choose'>} Notices */

/**
 * @typedef {object} SettingsHooks
 * @property {string} room
 * @property {Notices} notices
 * @property {() => void} showIdentity
 * @property {() => void} onMuted
 */

/** For a room; the empty choice is that for all rooms. @type {Record<string, string>} */
const ROOM_CHOICES = { '': 'As in all rooms', none: 'Off', mentions: 'When I am mentioned', all: 'For every message' };

/** Returns the settings. @param {SettingsHooks} hooks */
export function showSettings(hooks) {
  const section = element('div', 'settings');
  const { showIdentity } = hooks;
  section.append(element('h3', '', 'You'), button('Your identity…', showIdentity), ...notices(hooks), ...muted(hooks));
  return section;
}

/** Returns the choices of notifications, or nothing where the browser has none. @param {SettingsHooks} hooks */
function notices({ room, notices: { CHOICES, areSupported, choice, choose } }) {
  if (!areSupported()) return [];
  const key = `notify:${room}`;
  const problem = element('p', 'error');
  problem.role = 'alert';
  const explain = (/** @type {boolean} */ denied) => {
    problem.textContent = denied ? 'The browser does not permit notifications for this site. Its settings can change that.' : '';
  };
  const everywhere = choiceOf(CHOICES, 'Desktop notifications', choice(), async (wanted) => {
    const chosen = await choose(wanted);
    explain(chosen !== wanted);
    return chosen;
  });
  const here = choiceOf(ROOM_CHOICES, 'In this room', storage.get(key), async (wanted) => {
    const permitted = !/^(mentions|all)$/.test(wanted) || (await Notification.requestPermission()) === 'granted';
    explain(!permitted);
    if (permitted && wanted) storage.set(key, wanted);
    else if (permitted) storage.remove(key);
    return storage.get(key);
  });
  return [everywhere, here, problem];
}

/**
 * Returns a labelled list of choices. What `choose` resolves to is selected then.
 * @param {Record<string, string>} options
 * @param {string} name
 * @param {string} value
 * @param {(wanted: string) => Promise<string>} choose
 */
function choiceOf(options, name, value, choose) {
  const label = element('label', 'notices', `${name} `);
  const select = element('select');
  for (const [each, text] of Object.entries(options)) select.append(new Option(text, each));
  select.value = value;
  select.onchange = async () => (select.value = await choose(select.value));
  label.append(select);
  return label;
}

/** Returns the muted names, each with a button that ends that. @param {SettingsHooks} hooks */
function muted({ onMuted }) {
  const list = element('ul', 'earlier');
  const title = element('h3', '', 'Muted names');
  const show = () => {
    const names = mutedNames(storage);
    title.hidden = list.hidden = !names.length;
    list.replaceChildren(...names.map(item));
  };
  const item = (/** @type {string} */ name) => {
    const shown = element('bdi', '', name);
    const row = element('li');
    shown.translate = false;
    const unmute = button('Unmute', () => {
      setMuted(storage, name, false);
      show();
      onMuted();
      /** @type {HTMLElement | null} */ (list.querySelector('button') ?? list.closest('dialog'))?.focus();
    });
    unmute.ariaLabel = `Unmute ${name}`;
    row.append(shown, unmute);
    return row;
  };
  show();
  return [title, list];
}
