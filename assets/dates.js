/**
 * Dates as the log shows them, and which messages are grouped under one sender. Pure.
 */

/** @import { Message } from './wire.js' */

const GROUP_MS = 300_000; // a sender's messages closer together than this are one group

// Names are in the language of the page; whether the day has 12 or 24 hours is up to the browser's.
const { locale, hourCycle } = new Intl.DateTimeFormat(undefined, { hour: 'numeric' }).resolvedOptions();
const language = locale.startsWith('en') ? locale : 'en-GB';

/** @param {Intl.DateTimeFormatOptions} options */
const formatter = (options) => new Intl.DateTimeFormat(language, options).format;

export const formatTime = formatter({ timeStyle: 'short', hourCycle });
export const formatFull = formatter({ dateStyle: 'full', timeStyle: 'medium', hourCycle });
const formatDay = formatter({ weekday: 'short', day: 'numeric', month: 'long' });
const formatDayAndYear = formatter({ day: 'numeric', month: 'long', year: 'numeric' });

/**
 * Returns the midnight that begins the day `days` after that of `now`.
 * @param {Date} now
 * @param {number} days
 */
export const midnight = (now, days) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + days);

/**
 * Returns true if both dates are on the same local day.
 * @param {Date} one
 * @param {Date} other
 */
export const isSameDay = (one, other) => one.toDateString() === other.toDateString();

/**
 * Returns the heading of a day: Today, Yesterday, or its date, with the year if it is another.
 * @param {Date} date
 */
export function dayName(date, now = new Date()) {
  if (isSameDay(date, now)) return 'Today';
  if (isSameDay(date, midnight(now, -1))) return 'Yesterday';
  return (date.getFullYear() === now.getFullYear() ? formatDay : formatDayAndYear)(date);
}

/**
 * Returns true if `next` belongs to the group of `previous`: same sender and mark, same day, less than five minutes later.
 * One's own messages have no mark while they are pending.
 * @param {Message | undefined} previous
 * @param {Message} next
 */
export function isContinuation(previous, next) {
  if (previous?.sender !== next.sender || previous.mine !== next.mine) return false;
  const pending = next.mine && !(previous.mark && next.mark);
  if (previous.mark !== next.mark && !pending) return false;
  return isSameDay(previous.at, next.at) && +next.at - +previous.at < GROUP_MS;
}
