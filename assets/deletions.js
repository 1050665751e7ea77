/**
 * What is deleted: it leaves the log of this page. Loaded with the enhancements, or when something is deleted.
 */

import { find } from './dom.js';
import { isAfter, isDeleted } from './wire.js';

/** @import { MessageLog } from './log.js' */
/** @import { Deletion } from './wire.js' */

const MAX_DELETIONS = 200; // remembered for messages that are on their way

export class Deletions {
  #log;
  /** @type {Deletion[]} */
  #latest = [];

  /** @param {MessageLog} log */
  constructor(log) {
    this.#log = log;
  }

  /** Returns true if a message is deleted: it may have been on its way. @param {string} id */
  has(id) {
    return this.#latest.some((deletion) => isDeleted(deletion, id));
  }

  /**
   * Removes what is deleted.
   * @param {Deletion} deletion
   * @param {(change: () => void) => void} holdStill changes the log while what the user looks at keeps its position
   */
  apply(deletion, holdStill) {
    this.#latest = [...this.#latest, deletion].slice(-MAX_DELETIONS);
    /** @type {HTMLElement[]} */
    const shown = Array.from(this.#log.list.querySelectorAll('.message:not([data-key])')); // foreign ones have no id
    const deleted = shown.filter(({ id }) => (id ? isDeleted(deletion, id) : deletion.upTo));
    if (deleted.length) holdStill(() => deleted.forEach((line) => this.#remove(line)));
    if (!find('.newer').hidden) this.#log.offerEnd(this.#log.reachesEnd);
    this.#log.scrollToEnd();
  }

  /** Removes a line, and what stands above it for it alone. @param {HTMLElement} line */
  #remove(line) {
    const log = this.#log;
    if (line.contains(document.activeElement)) log.scroller.focus({ preventScroll: true });
    const next = line.nextElementSibling;
    while (!log.messageOf(next) && line.previousElementSibling?.matches('.day, .unread')) line.previousElementSibling.remove();
    if (log.missed && isAfter(line.id, log.seen)) log.missed -= 1;
    line.remove();
    log.group(next);
  }
}
