/**
 * The controls around the log: the menu and the buttons in the head, the drawer with the rooms, and the keys.
 */

import { enableDrawer } from './drawer.js';
import { find } from './dom.js';
import { load } from './load.js';
import { onShortcut } from './shortcuts.js';
import { storage } from './storage.js';
import { enableThemeButton } from './theme-button.js';

/** @import { MenuItem } from './head-menu.js' */
/** @import { ShortcutParts } from './shortcuts.js' */

/**
 * @typedef {object} ControlHooks
 * @property {ShortcutParts['composer']} composer
 * @property {() => void} showHelp
 * @property {() => void} showSearch
 * @property {() => void} share
 * @property {() => void} showIdentity
 * @property {() => void} jump opens the box that leads to a room
 * @property {(change: () => void) => void} holdStill makes a change of the log's layout
 * @property {ShortcutParts['edit']} edit
 * @property {ShortcutParts['remove']} remove
 */

/** Enables the controls, and returns the handler of keys. @param {ControlHooks} hooks */
export function enableControls({ composer, showHelp, showSearch, share, showIdentity, jump, holdStill, edit, remove }) {
  const theme = find('.theme');
  const { dataset } = document.documentElement;
  const isCompact = () => dataset.lines === 'compact';
  const setCompact = (/** @type {boolean} */ on) => {
    storage.set('lines', (dataset.lines = on ? 'compact' : ''));
  };
  /** @type {MenuItem[]} */
  const items = [
    { icon: 'jump', label: () => 'Go to a room', keys: 'Ctrl K', run: jump },
    { icon: 'search', label: () => 'Search this room', keys: 'Ctrl Shift F', run: showSearch },
    { icon: 'share', label: () => 'Share this room', run: share },
    { icon: 'person', label: () => 'Your identity', run: showIdentity },
    { icon: 'lines', label: () => 'Compact lines', isOn: isCompact, stays: true, run: () => holdStill(() => setCompact(!isCompact())) },
    { icon: 'theme', label: () => `${theme.ariaLabel}`, stays: true, run: () => theme.click() },
    { icon: 'help', label: () => 'Help and settings', keys: '?', run: showHelp },
  ];
  const menu = find('#menu');
  const fill = async () => {
    if (!menu.matches(':popover-open')) return;
    const { fillMenu } = await load('head-menu');
    fillMenu(menu, items);
  };
  menu.addEventListener('toggle', fill);
  fill(); // it may be open already
  find('.ask').onclick = showHelp;
  enableThemeButton(theme);
  enableDrawer(find('.side'));
  const parts = { rooms: find('nav ul'), composer, showHelp, showSearch, jump, edit, remove };
  const onKey = (/** @type {KeyboardEvent} */ event, late = false) => onShortcut(event, parts, late);
  document.addEventListener('keydown', (event) => onKey(event));
  return onKey;
}
