/**
 * Faces: each mark's pattern on the tile, letters where two of one name are in the log, and the lines of muted names.
 */

import { button, element } from './dom.js';
import { drawPattern, lettersOf } from './mark.js';
import { isMuted } from './mute.js';
import { storage } from './storage.js';

/** @import { MessageLog } from './log.js' */
/** @import { Message } from './wire.js' */

/** Names that look the same have the same key. @param {string} name */
const nameKey = (name) => name.trim().normalize('NFKC').toLowerCase();

/**
 * Returns the names that people with different marks have. One without a mark is another person, too.
 * @param {Pick<Message, 'sender' | 'mark'>[]} messages
 */
export function sharedNames(messages) {
  /** @type {Map<string, string>} */
  const marks = new Map(); // by name
  /** @type {Set<string>} */
  const shared = new Set();
  for (const { sender, mark = '' } of messages) {
    const key = nameKey(sender);
    if ((marks.get(key) ?? mark) !== mark) shared.add(key);
    marks.set(key, mark);
  }
  return shared;
}

export class Faces {
  #log;
  /** @type {WeakSet<HTMLElement>} */
  #revealed = new WeakSet(); // lines of muted names that the user wants to see
  #frame = 0;

  /** @param {MessageLog} log */
  constructor(log) {
    this.#log = log;
  }

  /** Shows all faces again. */
  showAll() {
    for (const line of /** @type {NodeListOf<HTMLElement>} */ (this.#log.list.querySelectorAll('.message'))) this.show(line);
  }

  /** Completes a line that was drawn. @param {HTMLElement} line */
  show(line) {
    const message = this.#log.messageOf(line);
    if (!message) return;
    const tile = line.querySelector('.tile');
    if (message.mark && tile && !tile.querySelector('svg')) tile.append(drawPattern(message.mark));
    this.#mute(line, message);
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#showLetters();
    });
  }

  /** @param {HTMLElement} line @param {Message} message */
  #mute(line, { sender, mine }) {
    const hidden = !mine && !this.#revealed.has(line) && isMuted(storage, sender);
    line.classList.toggle('muted', hidden);
    const existing = line.querySelector('.reveal');
    if (!hidden) return existing?.remove();
    if (existing) return;
    const reveal = button('muted · show', () => {
      this.#revealed.add(line);
      this.show(line);
      /** @type {HTMLElement | null} */ (line.querySelector('a.when'))?.focus({ preventScroll: true });
    });
    reveal.className = 'reveal';
    line.append(reveal);
  }

  #showLetters() {
    const log = this.#log;
    const lines = /** @type {HTMLElement[]} */ ([...log.list.querySelectorAll('.message[data-id]')]);
    const messages = lines.map((line) => /** @type {Message} */ (log.messageOf(line)));
    const shared = sharedNames(messages);
    for (const [at, line] of lines.entries()) {
      const { sender, mark } = messages[at];
      const existing = line.querySelector('.letters');
      if (!shared.has(nameKey(sender))) existing?.remove();
      else if (!existing) {
        const letters = element('span', 'letters', mark ? lettersOf(mark) : 'no mark');
        letters.translate = false;
        letters.title = 'Tells people of one name apart';
        line.querySelector('.sender')?.after(letters);
      }
    }
  }
}
