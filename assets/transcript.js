/**
 * The transcript of a room: what is kept, as a text file that the browser makes.
 */

import { timeOf } from './wire.js';

/** @import { HistoryMessage } from './history.js' */

export const MAX_MESSAGES = 50_000; // in a file
const CONTROL = /(?![\n\t])\p{Cc}/gu;

/** @param {Date} date */
const utc = (date) => date.toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC');

/**
 * Returns the text of a transcript. Further lines of a message are indented: none of them can pass for another message.
 * @param {string} room
 * @param {HistoryMessage[]} messages oldest first
 * @param {{ now: Date, origin: string, cut: boolean }} facts `cut`, if earlier messages are left out
 */
export function transcriptText(room, messages, { now, origin, cut }) {
  const head = `#${room} on ${origin}\n${messages.length.toLocaleString('en')} messages, saved ${utc(now)}\n`;
  const note = cut ? '(Earlier messages are left out.)\n' : '';
  const lines = messages.map(({ id, sender, text }) => {
    const clean = (/** @type {string} */ part) => part.replace(CONTROL, '\ufffd');
    return `[${utc(timeOf(id))}] ${clean(sender).replace(/\n/g, ' ')}: ${clean(text).replace(/\n/g, '\n    ')}\n`;
  });
  return [head, note, '\n', ...lines].join('');
}

/** Hands a text to the user as a file. @param {string} name @param {string} text */
export function download(name, text) {
  const url = URL.createObjectURL(new Blob(['\ufeff', text], { type: 'text/plain;charset=utf-8' }));
  const link = document.createElement('a');
  Object.assign(link, { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
