/**
 * Notices outside the page: the count in the title, a dot on the icon, and desktop notifications for who wants them.
 */

import { recall, remember } from './memory.js';

export const CHOICES = { '': 'Off', mentions: 'When I am mentioned', all: 'For every message' };

let title;

/** Shows what is unread: in this tab's room in the title, in any room on the icon. */
export function mark(rooms, document = globalThis.document) {
  title ??= document.title;
  const here = rooms.find(({ current }) => current)?.unread;
  const text = here ? `(${here > 99 ? '99+' : here}) ${title}` : title;
  if (document.title !== text) document.title = text;
  const icon = document.querySelector('link[rel=icon]');
  const file = new URL(`./${iconFor(rooms)}.svg`, import.meta.url).href;
  if (icon && icon.href !== file) icon.href = file;
}

export function iconFor(rooms) {
  if (rooms.some(({ mention }) => mention)) return 'icon-mention';
  return rooms.some(({ unread }) => unread) ? 'icon-unread' : 'icon';
}

/** Browsers have notifications on https and localhost only. */
export function offered() {
  return 'Notification' in globalThis && isSecureContext;
}

/** What the user chose; off when the browser does not permit it (any more). */
export function chosen() {
  return offered() && Notification.permission === 'granted' ? recall('notify') : '';
}

/** Chooses; asks the browser's permission if it takes that. Resolves to what holds then. */
export async function choose(choice) {
  const permitted = choice === '' || (await Notification.requestPermission()) === 'granted';
  remember('notify', permitted ? choice : '');
  return chosen();
}

/** A message came in a room that no visible tab shows. */
export function notify({ room, sender, text, mention }) {
  const choice = chosen();
  if (choice !== 'all' && !(choice === 'mentions' && mention)) return;
  try {
    const notice = new Notification(`${sender} in ${room}`, { body: text.slice(0, 200), tag: `tiny-chat:${room}`, renotify: true });
    notice.onclick = () => {
      focus();
      notice.close();
      const path = `/${encodeURIComponent(room)}`;
      if (location.pathname !== path) location.assign(path);
    };
  } catch {
    // Chromium on Android has the name, but not the thing.
  }
}
