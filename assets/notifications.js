/**
 * Signs of unread messages outside the log: the count in the title, a dot on the icon, and desktop notifications if the user
 * chose them.
 */

import { noticesOf } from './mute.js';
import { storage } from './storage.js';
import { timeOf } from './wire.js';

/** @import { RoomState } from './rooms.js' */

/** @type {Record<string, string>} */
export const CHOICES = { '': 'Off', mentions: 'When I am mentioned', all: 'For every message' };

const MAX_AGE_MS = 60_000; // an older message raises no notification
const MAX_CLOCK_AGE_MS = 10_000; // then the server is asked for the time again

/** @type {string | undefined} */
let title; // of the page, without a count

/** @type {{ at: number, time: Promise<number> } | undefined} */
let clock; // of the server, and when it was asked, on the clock of `performance`

/** Shows how many messages are unread, in all rooms: in the title, and on the icon. @param {RoomState[]} rooms */
export function markPage(rooms) {
  title ??= document.title;
  const unread = rooms.reduce((sum, room) => sum + room.unread, 0);
  const text = unread ? `(${unread > 99 ? '99+' : unread}) ${title}` : title;
  if (document.title !== text) document.title = text;
  globalThis.navigator?.setAppBadge?.(unread).catch(() => {}); // on the icon of the installed page; without a permission nowhere
  /** @type {HTMLLinkElement | null} */
  const icon = document.querySelector('link[rel=icon]');
  const file = new URL(`./${iconFor(rooms)}.svg`, import.meta.url).href;
  if (icon && icon.href !== file) icon.href = file;
}

/** Returns the name of the icon. @param {Pick<RoomState, 'unread' | 'mention'>[]} rooms */
export function iconFor(rooms) {
  if (rooms.some(({ mention }) => mention)) return 'icon-mention';
  return rooms.some(({ unread }) => unread) ? 'icon-unread' : 'icon';
}

/** Returns true if notifications can be had: browsers have them on https and localhost only. */
export function areSupported() {
  return 'Notification' in globalThis && isSecureContext;
}

/** Returns what the user chose; off if the browser does not permit it, or no longer. */
export function choice() {
  return permitted() ? storage.get('notify') : '';
}

const permitted = () => areSupported() && Notification.permission === 'granted';

/**
 * Stores a choice, asks the browser's permission if it needs that, and resolves to the resulting choice.
 * @param {string} wanted
 */
export async function choose(wanted) {
  const permitted = wanted === '' || (await Notification.requestPermission()) === 'granted';
  storage.set('notify', permitted ? wanted : '');
  return choice();
}

/** Returns the server's time, in Unix milliseconds; this computer's clock may be wrong. */
async function serverTime() {
  const now = performance.now();
  if (!clock || now - clock.at > MAX_CLOCK_AGE_MS) {
    const time = fetch('/healthz', { cache: 'no-store' }).then(({ headers }) => Date.parse(`${headers.get('Date')}`));
    clock = { at: now, time: time.catch(() => NaN) };
  }
  const { at, time } = clock;
  return (await time) + performance.now() - at || Date.now();
}

/**
 * Notifies the user of a message in a room that no visible tab shows, if they chose so. What the stream replays may be old.
 * @param {{ room: string, id: string, sender: string, text: string, mention: boolean, replayed: boolean }} message
 */
export async function notify({ room, id, sender, text, mention, replayed }) {
  const chosen = permitted() ? noticesOf(storage, room) : '';
  if (chosen !== 'all' && !(chosen === 'mentions' && mention)) return;
  if (replayed && (await serverTime()) - +timeOf(id) > MAX_AGE_MS) return;
  try {
    const options = { body: text.slice(0, 200), tag: `tiny-chat:${room}`, renotify: true };
    const notification = new Notification(`${sender} in ${room}`, options);
    notification.onclick = () => {
      focus();
      notification.close();
      const path = `/${encodeURIComponent(room)}`;
      if (location.pathname !== path) location.assign(path);
    };
  } catch {
    // Chromium on Android has the constructor, and throws.
  }
}
