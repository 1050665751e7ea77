/**
 * The log's headings of days, which change at midnight: Today becomes Yesterday.
 */

import { dayName, midnight } from './dates.js';

/** @import { MessageLog } from './log.js' */

/** Returns the milliseconds until the day is over; some days have 23 hours, some 25. @param {Date} now */
export const untilMidnight = (now) => +midnight(now, 1) - +now;

/** Renames the headings, now and after each midnight. @param {MessageLog} log */
export function keepDayHeadings(log) {
  for (const heading of log.list.querySelectorAll('.day')) {
    /** @type {Element | null} */
    let next = heading;
    while (next && !log.messageOf(next)) next = next.nextElementSibling;
    const message = log.messageOf(next);
    if (message) heading.textContent = dayName(message.at);
  }
  setTimeout(() => keepDayHeadings(log), untilMidnight(new Date()) + 50);
}
