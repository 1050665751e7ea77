/**
 * The message log: an unbroken stretch of the room's messages and, below them, those still to be sent. It follows the end
 * until the user scrolls up.
 */

import { dayName, formatFull, formatTime, isContinuation, isSameDay } from './dates.js';
import { element, find } from './dom.js';
import { hueOf, initialOf } from './hue.js';
import { isAfter, timeOf } from './wire.js';

/** @import { Gap, Message } from './wire.js' */

export const MAX_LINES = 500; // on the page
const NEAR_END_PX = 80; // this far from the end still counts as there

/**
 * Reads what the log does not hold.
 * @typedef {object} LogPager
 * @property {() => Promise<unknown>} readOlder
 * @property {() => Promise<unknown>} readNewer
 * @property {() => Promise<unknown>} jumpToEnd
 * @property {(id: string) => Promise<unknown>} showMessage
 * @property {(line: HTMLElement) => void} markUnread shows that messages from this line on are new
 */

/**
 * @typedef {object} LogHooks
 * @property {string} path of the room
 * @property {(id: string, mark?: string) => boolean} isOwn whether a message was sent from this browser
 * @property {(sender: string) => boolean} isMuted
 * @property {(id: string) => void} onSeen the room's last message is in view
 * @property {() => void} onMessage a message arrived
 * @property {(text: string, mine: boolean) => (string | Node)[]} render
 * @property {(text: string) => boolean} isEmoji whether a text is to be shown large
 * @property {(message: Message) => Message} latest returns a message as it was edited since it was read
 * @property {(line: HTMLElement) => void} onDrawn a line was drawn
 * @property {(reason: string) => string} explainGap returns what follows "Messages are missing here"
 * @property {() => Promise<LogPager | undefined>} pager undefined if it cannot be loaded now
 */

export class MessageLog {
  reachesEnd = true; // the last message here is the room's last
  reachesStart = false; // the first message here is the room's first
  following = false;
  missed = 0; // messages that arrived while the end was not followed
  /** @type {string | undefined} */
  seen; // the last message that was in view
  #hooks;
  /** @type {WeakMap<Node, Message>} */
  #messages = new WeakMap(); // by line
  #button; // leads to the end
  #marked = false; // the first message that the user missed
  #top = 0; // scroll position after the last scroll
  #frame = 0;

  /** @param {HTMLElement} scroller @param {HTMLElement} button @param {LogHooks} hooks */
  constructor(scroller, button, hooks) {
    this.scroller = scroller;
    this.list = find('.lines', scroller);
    this.#button = button;
    this.#hooks = hooks;
    this.lines.forEach((line) => this.#adopt(line));
    scroller.onscroll = () => this.#onScroll();
    button.onclick = () => {
      scroller.focus({ preventScroll: true }); // the button disappears, and must not take the focus along
      this.follow();
    };
    document.addEventListener('visibilitychange', () => this.#markSeen());
    onhashchange = () => this.#showLinked();
    const resized = new ResizeObserver(() => this.scrollToEnd());
    for (const each of [scroller, this.list]) resized.observe(each); // lines grow when style sheets and fonts arrive
    if (!this.#showLinked()) this.follow();
  }

  /** The lines of messages that are in the room's log. */
  get lines() {
    return /** @type {HTMLElement[]} */ ([...this.list.querySelectorAll('[data-id]')]);
  }

  /** The first line that is still to be sent. */
  get firstPending() {
    return this.list.querySelector('[data-key]');
  }

  /** The line above those that are still to be sent. */
  get lastLine() {
    const end = this.firstPending;
    return /** @type {HTMLElement | null} */ (end ? end.previousElementSibling : this.list.lastElementChild);
  }

  /** Returns the message of a line; other elements have none. @param {Node | null | undefined} line */
  messageOf(line) {
    return this.#messages.get(/** @type {Node} */ (line));
  }

  /** Adds a message that arrived on the stream. @param {Message} message */
  add(message) {
    const { id, mine, sender } = message;
    if (id && document.getElementById(id)) return;
    this.#hooks.onMessage();
    const counts = mine || !this.#hooks.isMuted(sender);
    if (!this.following) {
      if (counts) this.missed += 1;
      this.offerEnd(this.reachesEnd && this.list.childElementCount < MAX_LINES);
    }
    if (!this.reachesEnd) return;
    const line = this.insertInOrder(message);
    if (!mine && counts && !this.#inView && !this.#marked) {
      this.#marked = true;
      this.#hooks.pager().then((pager) => pager?.markUnread(line));
    }
    if (this.list.childElementCount > MAX_LINES) this.trimTop();
    this.scrollToEnd();
    this.#markSeen();
  }

  /** Removes lines at the top. */
  trimTop() {
    while (this.list.childElementCount >= MAX_LINES) this.list.firstElementChild?.remove();
    this.group(this.lines[0]);
    this.reachesStart = false;
    find('.start', this.scroller).textContent = '';
  }

  /** Shows that messages are missing at the end, once if it is reported again. @param {Gap} gap */
  showGap({ asked, reason }) {
    if (this.lastLine?.dataset.asked === `${asked}`) return;
    const line = element('p', 'gap', `Messages are missing here${this.#hooks.explainGap(reason)}.`);
    Object.assign(line.dataset, { reason, asked });
    this.list.insertBefore(line, this.firstPending);
    this.scrollToEnd();
  }

  /**
   * Inserts a message in the order of ids, in a new line or a given one: the response to a publish may arrive before
   * earlier messages do.
   * @param {Message} message
   * @param {HTMLElement} [line]
   */
  insertInOrder(message, line) {
    const { id } = message;
    let before = this.firstPending;
    /** @type {Element | null} */
    let above = this.lastLine;
    for (; id && above && !above.matches('[data-asked]'); above = above.previousElementSibling) {
      if (above.id && !isAfter(above.id, id)) break;
      if (above.id) before = above;
    }
    return this.insert(message, before, line);
  }

  /**
   * Inserts a message before an element, or at the very end.
   * @param {Message} message
   * @param {Element | null} before
   * @param {HTMLElement} line
   */
  insert(message, before, line = element('div')) {
    if (!line.isConnected || line.nextElementSibling !== before) this.list.insertBefore(line, before);
    this.draw(line, message);
    /** @type {Element | null} */
    let next = line;
    do next = next.nextElementSibling;
    while (next && !this.messageOf(next));
    this.group(next);
    return line;
  }

  /**
   * Draws a message in the markup of page.html, with its time as a link.
   * @param {HTMLElement} line
   * @param {Message} message
   */
  draw(line, message) {
    message = this.#hooks.latest(message);
    const { id, sender, mine, at, mark, edited } = message;
    const tile = element('span', 'tile', initialOf(sender));
    const name = element('bdi', 'sender', sender);
    const body = element('p', 'text');
    tile.ariaHidden = 'true';
    tile.translate = name.translate = false;
    body.dir = 'auto';
    const time = element('time', '', formatTime(at));
    time.dateTime = at.toISOString();
    time.title = formatFull(at);
    const when = element(id ? 'a' : 'span', 'when');
    when.append(time);
    line.className = `message h${hueOf(sender)}`;
    line.classList.toggle('mine', mine);
    line.dataset.sender = sender;
    if (mark) line.dataset.mark = mark;
    delete line.dataset.edited; // which CSS shows while there is no script
    if (id) {
      line.id = line.dataset.id = id;
      /** @type {HTMLAnchorElement} */ (when).href = `${this.#hooks.path}#${id}`;
    }
    line.replaceChildren(tile, name, when, body);
    if (edited) when.after(element('span', 'edited', 'edited'));
    this.#messages.set(line, message);
    this.#drawText(line, message);
    this.group(line);
    this.#hooks.onDrawn(line);
  }

  /** Draws all texts again. */
  redraw() {
    for (const line of this.lines) this.#drawText(line, /** @type {Message} */ (this.messageOf(line)));
  }

  /** @param {HTMLElement} line @param {Message} message */
  #drawText(line, { text, mine }) {
    const body = find('.text', line);
    body.replaceChildren(...this.#hooks.render(text, mine));
    body.classList.toggle('emoji', this.#hooks.isEmoji(text));
    line.classList.toggle('mention', !!body.querySelector('mark'));
  }

  /** Follows the end, and reads up to it if the log does not reach there. */
  follow() {
    this.setFollowing(true);
    if (!this.reachesEnd) this.#hooks.pager().then((pager) => pager?.jumpToEnd());
    this.scrollToEnd();
  }

  /** @param {boolean} following */
  setFollowing(following) {
    this.following = following;
    this.scroller.classList.toggle('following', following);
    if (!following) return;
    this.missed = 0;
    this.#button.hidden = true;
    this.#markSeen();
  }

  /** Shows the button that leads to the end. @param {boolean} reachesEnd whether the log, if not the user, is there */
  offerEnd(reachesEnd) {
    this.reachesEnd = reachesEnd;
    this.#button.textContent = this.missed ? `${this.missed} new` : 'To the newest';
    this.#button.hidden = false;
  }

  /** Scrolls to the end, if it is followed: once in a frame, however many lines were added. */
  scrollToEnd() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (!this.following) return;
      this.scroller.scrollTop = this.scroller.scrollHeight;
      this.#top = this.scroller.scrollTop;
    });
  }

  /** Takes over a line of the page's HTML. @param {HTMLElement} line */
  #adopt(line) {
    const { id = '', sender = '', mark, edited } = line.dataset;
    const text = `${find('.text', line).textContent}`;
    const mine = this.#hooks.isOwn(id, mark);
    this.draw(line, { id, sender, text, at: timeOf(id), mine, mark, edited: edited !== undefined });
  }

  /** Shows the message that the address names, if it names one. */
  #showLinked() {
    const id = location.hash.slice(1);
    if (!/^\d+-\d+$/.test(id)) return false;
    this.setFollowing(false);
    this.#hooks.pager().then((pager) => pager?.showMessage(id));
    return true;
  }

  /** Puts a heading above a line that begins a day, and groups one that continues its sender's. @param {Element | null | undefined} line */
  group(line) {
    const message = this.messageOf(line);
    if (!line || !message) return;
    let day = null;
    let apart = false;
    let above = line.previousElementSibling;
    for (; above && !this.messageOf(above); above = above.previousElementSibling) {
      if (above.className === 'day') day = above;
      else apart = true;
    }
    const previous = this.messageOf(above);
    const begins = !previous || !isSameDay(previous.at, message.at);
    if (begins && !day) line.before((day = element('h2', 'day')));
    if (begins && day) day.textContent = dayName(message.at);
    else day?.remove();
    line.classList.toggle('again', !apart && isContinuation(previous, message));
  }

  /** Whether less than a window's height is above what the user sees. */
  get isNearStart() {
    return this.scroller.scrollTop < this.scroller.clientHeight;
  }

  /** Whether the user sees the end. */
  get #inView() {
    return this.following && !document.hidden;
  }

  #markSeen() {
    if (!this.#inView) return;
    this.#marked = false;
    const last = this.lines.at(-1);
    if (last && last.id !== this.seen) this.#hooks.onSeen((this.seen = last.id));
  }

  #onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const below = scrollHeight - scrollTop - clientHeight;
    const up = scrollTop < this.#top;
    this.#top = scrollTop;
    if (below < NEAR_END_PX && this.reachesEnd) this.setFollowing(true);
    else if (up) this.setFollowing(false); // new lines below leave the end, too, but do not scroll up
    if (up && this.isNearStart) this.#hooks.pager().then((pager) => pager?.readOlder());
    if (!this.reachesEnd && below < clientHeight) this.#hooks.pager().then((pager) => pager?.readNewer());
  }
}
