/**
 * The log on the page: appends lines, never one twice, and follows the end while the reader is there.
 */

import { continues, fullTime, shortTime, takenAt } from './text.js';

const CAP = 500; // lines kept on the page
const CAP_READING_BACK = 2 * CAP; // a reader who looks back keeps what they read a while longer
const NEAR_END = 80; // pixels that still count as the end

const GAPS = {
  trimmed: 'Messages are missing here: they are older than what the server keeps.',
  reset: 'Messages are missing here: the server’s log was lost and began anew.',
  invalid: 'Messages are missing here: the server did not know this page’s place.',
};
const GAP = 'Messages are missing here.';
const EMPTY = 'Nobody has said anything here yet.';

export class Log {
  #scroller;
  #lines;
  #newer;
  #ids = new Set();
  #last = null;
  #following = true;
  #top = 0;
  #frame = 0;

  constructor(scroller, newer) {
    this.#scroller = scroller;
    this.#lines = scroller.querySelector('.lines');
    this.#newer = newer;
    for (const line of this.#lines.querySelectorAll('.message')) this.#adopt(line);
    scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    newer.addEventListener('click', () => this.#jump());
    new ResizeObserver(() => this.#settleSoon()).observe(scroller);
    this.follow();
  }

  /** Adds a message, unless its id is here already. A foreign one has the id null. */
  append({ sender, text, id }) {
    if (this.#ids.has(id)) return;
    const line = messageLine(sender, text, id);
    this.#adopt(line);
    this.#add(line);
  }

  /** Marks a place where messages are missing. A gap told again, with nothing in between, is one gap. */
  gap({ asked, reason }) {
    if (this.#lines.lastElementChild?.dataset.asked === String(asked)) return;
    const line = element('p', 'gap', Object.hasOwn(GAPS, reason) ? GAPS[reason] : GAP);
    Object.assign(line.dataset, { reason, asked });
    this.#last = null;
    this.#add(line);
  }

  /** The server has its store again: a log without lines is an empty room now, not an unread one. */
  readable() {
    const empty = this.#lines.querySelector('.empty');
    if (empty) empty.textContent = EMPTY;
  }

  follow() {
    this.#heed(true);
    this.#settleSoon();
  }

  #adopt(line) {
    const { id } = line.dataset;
    const sender = line.querySelector('.sender').textContent;
    const at = takenAt(id);
    showTime(line.querySelector('time'), at);
    line.classList.toggle('again', continues(this.#last, { sender, at }));
    this.#last = { sender, at };
    if (id) this.#ids.add(id);
  }

  #add(line) {
    this.#lines.append(line);
    this.#trim();
    this.#newer.hidden = this.#following;
    this.#settleSoon();
  }

  #trim() {
    const cap = this.#following ? CAP : CAP_READING_BACK;
    while (this.#lines.childElementCount > cap) {
      const oldest = this.#lines.firstElementChild;
      this.#ids.delete(oldest.dataset.id);
      oldest.remove();
    }
  }

  /** Only going up leaves the end; lines that came since the last frame do not. */
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    if (scrollHeight - scrollTop - clientHeight < NEAR_END) this.#heed(true);
    else if (scrollTop < this.#top) this.#heed(false);
    this.#top = scrollTop;
  }

  #heed(following) {
    this.#following = following;
    this.#scroller.classList.toggle('following', following);
    if (following) this.#newer.hidden = true;
  }

  /** The button goes away under the finger, so the focus goes to what it brought up. */
  #jump() {
    this.#scroller.focus({ preventScroll: true });
    this.follow();
  }

  /** Once a frame, however many lines came. */
  #settleSoon() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (!this.#following) return;
      this.#scroller.scrollTop = this.#scroller.scrollHeight;
      this.#top = this.#scroller.scrollTop;
    });
  }
}

/** The same shape as in page.html. */
function messageLine(sender, text, id) {
  const line = element('div', 'message');
  if (id) line.dataset.id = id;
  const body = element('p', 'text', text);
  body.dir = 'auto';
  line.append(element('bdi', 'sender', sender), body, element('time'));
  return line;
}

function showTime(time, at) {
  time.dateTime = at.toISOString();
  time.textContent = shortTime(at);
  time.title = fullTime(at);
}

function element(name, className = '', text = '') {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}
