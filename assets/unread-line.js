/**
 * The line above the first unread message: how many there are, and since when. While it is out of view it stays at the top of
 * the log, and leads there.
 */

import { dayName, formatTime, isSameDay } from './dates.js';
import { element } from './dom.js';

/** @import { MessageLog } from './log.js' */

/**
 * Returns the text of the line.
 * @param {number} count zero if it is not known
 * @param {Date} since when the first unread message was taken
 */
export function unreadText(count, since, now = new Date()) {
  const time = isSameDay(since, now) ? formatTime(since) : `${dayName(since, now)}, ${formatTime(since)}`;
  return `${count || 'Messages'} new since ${time}`;
}

export class UnreadLine {
  #log;
  #line = element('p', 'unread');
  #text = element('span');
  #jump = element('button', '', 'jump');
  #since = new Date();
  #count = 0;
  #observer;

  /** @param {MessageLog} log @param {() => void} onJump */
  constructor(log, onJump) {
    this.#log = log;
    this.#line.append(this.#text);
    this.#jump.type = 'button';
    this.#jump.onclick = onJump;
    this.#observer = new IntersectionObserver((entries) => this.#onView(!!entries.at(-1)?.isIntersecting), { root: log.scroller });
  }

  /**
   * Shows the line above a message.
   * @param {HTMLElement} below the line of the first unread message that is on the page
   * @param {Date} since when the first one was taken
   * @param {number} count
   */
  show(below, since, count) {
    this.#since = since;
    this.setCount(count);
    this.place(below);
    this.#log.scrollToEnd();
  }

  /** Moves the line: an earlier unread message is on the page now. @param {HTMLElement} below */
  place(below) {
    if (this.#line.nextElementSibling === below) return;
    const former = this.#line.nextElementSibling;
    below.before(this.#line);
    for (const line of [former, below]) this.#log.group(line);
    this.#observer.disconnect();
    this.#observer.observe(below);
  }

  /** @param {number} count */
  setCount(count) {
    if (count && count === this.#count) return;
    this.#count = count;
    this.#text.textContent = unreadText(count, this.#since);
  }

  scrollTo() {
    this.#onView(true);
    this.#line.scrollIntoView({ block: 'center' });
  }

  /** @param {boolean} inView whether the message below is */
  #onView(inView) {
    if (inView) this.#observer.disconnect(); // from now on the user knows where it is
    this.#line.classList.toggle('ahead', !inView);
    if (inView) this.#line.replaceChildren(this.#text);
    else this.#line.replaceChildren(this.#text, ' · ', this.#jump);
  }
}
