/**
 * The rooms on a phone: a drawer, which is a popover. This keeps the focus in it and counts what is unread on its button.
 */

import { element } from './dom.js';

/** @import { RoomState } from './rooms.js' */

/** @param {HTMLElement} drawer */
export function enableDrawer(drawer) {
  // The page keeps its landmark and its heading, which take no focus.
  const others = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('.skip, main > :not(.head), .head > :not(.title)')]);
  drawer.addEventListener('beforetoggle', (event) => {
    const opens = /** @type {ToggleEvent} */ (event).newState === 'open';
    for (const each of others) each.inert = opens; // no longer before it is hidden, so that its button gets the focus back
  });
  drawer.addEventListener('toggle', () => {
    if (!drawer.matches(':popover-open')) return;
    const current = /** @type {HTMLElement | null} */ (drawer.querySelector('[aria-current]'));
    current?.focus();
  });
  matchMedia('(max-width: 44rem)').addEventListener('change', () => drawer.hidePopover());
}

/** Shows on the button how much is unread in the other rooms. @param {HTMLElement} button @param {RoomState[]} rooms */
export function showTotal(button, rooms) {
  const others = rooms.filter(({ current, unread }) => !current && unread);
  const total = others.reduce((sum, { unread }) => sum + unread, 0);
  const mention = others.some((room) => room.mention);
  button.querySelector('.badge')?.remove();
  button.ariaLabel = total ? `Rooms: ${total} unread${mention ? ', you are mentioned' : ''}` : 'Rooms';
  if (!total) return;
  const badge = element('span', mention ? 'badge call' : 'badge', total > 99 ? '99+' : `${total}`);
  button.append(badge);
}
