/**
 * The button that switches from the system's colours to light, to dark, and back. theme.js applies the choice on load.
 */

import { storage } from './storage.js';

/** @type {Record<string, string>} */
const NEXT = { system: 'light', light: 'dark', dark: 'system' };

/** @param {HTMLElement} button */
export function enableThemeButton(button) {
  const { dataset } = document.documentElement;
  const show = (/** @type {string} */ theme) => {
    dataset.theme = theme;
    button.ariaLabel = button.title = `Colours: ${theme}`;
  };
  show(storage.get('theme') || 'system');
  button.onclick = () => {
    const theme = NEXT[dataset.theme ?? 'system'];
    show(theme);
    storage.set('theme', theme);
  };
  addEventListener('storage', ({ key, newValue }) => key === 'tiny-chat:theme' && show(newValue ?? 'system'));
}
