/**
 * The log on the page: an unbroken stretch of the room's messages and, below, what is still to be sent. It follows the
 * end while the reader is there.
 */

import { clock, continues, dayName, full, sameDay } from './days.js';
import { newer, takenAt } from './text.js';

export const CAP = 500; // lines on the page
const NEAR_END = 80; // pixels that still count as the end

export class Log {
  tail = true; // the last message here is the room's last
  begun = false; // the first message here is the room's first
  following = false;
  said = new WeakMap(); // what each line says
  gaps = {}; // lines.js has more
  parts = (text) => [text];
  #newer;
  #missed = 0;
  #away = false;
  #read;
  #top = 0;
  #frame = 0;

  /** `host` tells whose a message is, and is told what was `seen` and `heard`. */
  constructor(scroller, newer, host) {
    Object.assign(this, { scroller, host, lines: scroller.querySelector('.lines') });
    this.#newer = newer;
    this.messages.forEach((line) => this.#adopt(line));
    scroller.onscroll = () => this.#scrolled();
    newer.onclick = () => {
      scroller.focus({ preventScroll: true }); // the button goes away under the finger
      this.follow();
    };
    document.addEventListener('visibilitychange', () => this.#look());
    onhashchange = () => this.open();
    new ResizeObserver(() => this.settle()).observe(scroller);
    if (!this.open()) this.follow();
  }

  get messages() {
    return [...this.lines.querySelectorAll('[data-id]')];
  }

  /** A live message. A foreign one has the id null. */
  add(message) {
    const { id, mine } = message;
    if (id && document.getElementById(id)) return;
    this.host.heard();
    if (!this.following) {
      this.#missed += 1;
      this.away(this.tail && this.lines.childElementCount < CAP);
    }
    if (!this.tail) return;
    const line = this.put(message);
    if (!mine && !this.#seen && !this.#away) {
      this.#away = true;
      this.read('mark', line);
    }
    if (this.lines.childElementCount > CAP) this.shorten();
    this.settle();
    this.#look();
  }

  /** Takes lines away at the top. */
  shorten() {
    while (this.lines.childElementCount >= CAP) this.lines.firstElementChild.remove();
    this.#fit(this.messages[0]);
    this.begun = false;
    this.scroller.firstElementChild.textContent = '';
  }

  /** Told again, with nothing in between, it is one gap. */
  gap({ asked, reason }) {
    const end = this.end;
    const last = end ? end.previousElementSibling : this.lines.lastElementChild;
    if (last?.dataset.asked === `${asked}`) return;
    const line = element('p', 'gap', `Messages are missing here${this.gaps[reason] ?? ''}.`);
    Object.assign(line.dataset, { reason, asked });
    this.lines.insertBefore(line, end);
    this.settle();
  }

  /** A message's line, new or given, in its place: a sender may have an answer before what came earlier is here. */
  put(message, line) {
    const { id } = message;
    let before = this.end;
    let above = before ? before.previousElementSibling : this.lines.lastElementChild;
    for (; id && above && !above.dataset.asked; above = above.previousElementSibling) {
      if (above.id && !newer(above.id, id)) break;
      if (above.id) before = above;
    }
    return this.insert(message, before, line);
  }

  insert(message, before, line = element('div')) {
    if (!line.isConnected || line.nextElementSibling !== before) this.lines.insertBefore(line, before);
    this.draw(line, message);
    let next = line;
    do next = next.nextElementSibling;
    while (next && !this.said.has(next));
    this.#fit(next);
    return line;
  }

  /** The same shape as in page.html; only the time is a link, too. */
  draw(line, message) {
    const { id, sender, mine, at } = message;
    const body = element('p', 'text');
    body.dir = 'auto';
    const time = element('time', '', clock(at));
    time.dateTime = at.toISOString();
    time.title = full(at);
    const when = element(id ? 'a' : 'span', 'when');
    when.append(time);
    line.className = mine ? 'message mine' : 'message';
    if (id) {
      line.id = line.dataset.id = id;
      when.href = `${this.host.path}#${id}`;
    }
    line.replaceChildren(element('bdi', 'sender', sender), body, when);
    this.said.set(line, message);
    this.word(line);
    this.#fit(line);
  }

  word(line) {
    const { text, mine } = this.said.get(line);
    const body = line.querySelector('.text');
    body.replaceChildren(...this.parts(text, mine));
    line.classList.toggle('mention', !!body.querySelector('mark'));
  }

  follow() {
    this.heed(true);
    if (!this.tail) this.read('latest');
    this.settle();
  }

  heed(following) {
    this.following = following;
    this.scroller.classList.toggle('following', following);
    if (!following) return;
    this.#missed = 0;
    this.#newer.hidden = true;
    this.#look();
  }

  /** The reader is not at the end; this page may be. */
  away(tail = false) {
    this.tail = tail;
    this.#newer.textContent = this.#missed ? `${this.#missed} new ↓` : 'To the newest ↓';
    this.#newer.hidden = false;
  }

  /** Once a frame, however many lines came. */
  settle() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (!this.following) return;
      this.scroller.scrollTop = this.scroller.scrollHeight;
      this.#top = this.scroller.scrollTop;
    });
  }

  async read(what, ...about) {
    return (await import('./reading.js'))[what](this, ...about);
  }

  #adopt(line) {
    const { id } = line.dataset;
    const text = (name) => line.querySelector(name).textContent;
    this.draw(line, { id, sender: text('.sender'), text: text('.text'), at: takenAt(id), mine: this.host.mine(id) });
  }

  /** The message that the address names. */
  open() {
    const id = location.hash.slice(1);
    if (!/^\d+-\d+$/.test(id)) return false;
    this.heed(false);
    this.read('open', id);
    return true;
  }

  get end() {
    return this.lines.querySelector('[data-key]');
  }

  /** A line begins a day, goes on with its sender, or does neither. */
  #fit(line) {
    const message = this.said.get(line);
    if (!message) return;
    let day = null;
    let apart = false;
    let above = line.previousElementSibling;
    for (; above && !this.said.has(above); above = above.previousElementSibling) {
      if (above.className === 'day') day = above;
      else apart = true;
    }
    const before = this.said.get(above);
    const begins = !before || !sameDay(before.at, message.at);
    if (begins && !day) line.before((day = element('h2', 'day')));
    if (begins) day.textContent = dayName(message.at);
    else day?.remove();
    line.classList.toggle('again', !apart && continues(before, message));
  }

  get #seen() {
    return this.following && !document.hidden;
  }

  #look() {
    const last = this.messages.at(-1);
    if (!this.#seen) return;
    this.#away = false;
    if (last && last.id !== this.#read) this.host.seen((this.#read = last.id));
  }

  /** Only going up leaves the end; lines that came since the last frame do not. */
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const below = scrollHeight - scrollTop - clientHeight;
    const up = scrollTop < this.#top;
    this.#top = scrollTop;
    if (below < NEAR_END && this.tail) this.heed(true);
    else if (up) this.heed(false);
    if (up && scrollTop < clientHeight) this.read('older');
    if (!this.tail && below < clientHeight) this.read('newer');
  }
}

export function element(name, className = '', text = '') {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}
