/**
 * Days: what a time is called, and who goes on. Pure.
 */

const FIVE_MINUTES = 300_000;

const format = (options) => new Intl.DateTimeFormat(undefined, options).format;

export const clock = format({ timeStyle: 'short' });
export const full = format({ dateStyle: 'full', timeStyle: 'medium' });
const near = format({ weekday: 'long', day: 'numeric', month: 'long' });
const far = format({ dateStyle: 'long' });

export const midnight = (now, days) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + days);

export const sameDay = (one, other) => one.toDateString() === other.toDateString();

export function dayName(date, now = new Date()) {
  if (sameDay(date, now)) return 'Today';
  if (sameDay(date, midnight(now, -1))) return 'Yesterday';
  return (date.getFullYear() === now.getFullYear() ? near : far)(date);
}

/** Whether `next` goes on with what `previous` said. */
export function continues(previous, next) {
  const same = previous?.sender === next.sender && previous.mine === next.mine;
  return same && sameDay(previous.at, next.at) && next.at - previous.at < FIVE_MINUTES;
}
