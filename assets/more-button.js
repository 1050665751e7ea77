/**
 * The button beside the time of a message, which opens its menu.
 */

import { element } from './dom.js';

/**
 * Returns the line around an element. Messages without an id have no menu: foreign ones, and pending ones.
 * @param {EventTarget | null} target
 */
export const lineOf = (target) => /** @type {HTMLElement | null} */ (/** @type {Element} */ (target).closest('.message[data-id]'));

/** Adds the button to a line that is pointed at or focused, and returns it. @param {HTMLElement | null} line */
export function addMoreButton(line) {
  /** @type {HTMLElement | null | undefined} */
  const existing = line?.querySelector('.more');
  if (!line || existing) return existing;
  const button = element('button', 'more');
  Object.assign(button, { type: 'button', title: 'More', ariaLabel: 'More', ariaHasPopup: 'menu', ariaExpanded: 'false', ariaLive: 'off' });
  line.querySelector('.when')?.after(button);
  return button;
}
