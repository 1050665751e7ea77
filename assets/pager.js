/**
 * The pager: reads older and newer messages into the log, finds a message by its address, and marks the first unread one.
 * The log's lines stay an unbroken stretch of at most MAX_LINES. Loaded when there is something to read or to mark.
 */

import { element, find } from './dom.js';
import { fetchHistory } from './history.js';
import { load } from './load.js';
import { MAX_LINES } from './log.js';
import { backoff } from './stream.js';
import { UnreadLine } from './unread-line.js';
import { isAfter, timeOf } from './wire.js';

/** @import { MessageLog } from './log.js' */
/** @import { Message } from './wire.js' */

const PAGE_SIZE = 100; // messages in a request
const LATEST_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 200;

/**
 * @typedef {object} PagerHooks
 * @property {string} room
 * @property {(id: string, mark?: string) => boolean} isOwn
 * @property {(id: string) => boolean} isDeleted
 * @property {(message: Pick<Message, 'mine' | 'sender'>) => boolean} isNews whether a message counts as unread: it is of another client
 * @property {(change: () => void) => void} holdStill makes a change of the log's layout
 * @property {(sentence: string) => void} announce
 */

export class Pager {
  #log;
  #hooks;
  /** @type {Promise<any> | null} */
  #reading = null;
  #firstUnread = ''; // its id, if the line is shown
  /** @type {'' | 'soon' | 'now'} */
  #counting = ''; // whether what arrives is unread; it is counted a moment later
  #unreadLine;
  #failures = 0; // in a row, to read older messages
  #retry = 0; // the timer after which they are asked for again
  #goesBack = false; // whether the user was led to the first unread message, and has not returned

  /** @param {MessageLog} log @param {PagerHooks} hooks */
  constructor(log, hooks) {
    this.#log = log;
    this.#hooks = hooks;
    this.#unreadLine = new UnreadLine(log, () => this.#jumpToUnread());
  }

  /** Reads older messages; resolves to whether there were any. */
  readOlder(limit = PAGE_SIZE) {
    return this.#alone(async () => {
      const log = this.#log;
      const [first] = log.lines;
      if (!first || log.reachesStart) return false;
      this.#showAtStart('Reading older messages…');
      const older = await this.#fetchFrom('before', first.id, limit);
      this.#showAtStart(older ? '' : 'Older messages cannot be read now.');
      this.#planRetry(!older);
      if (!older) return false;
      this.#hooks.holdStill(() => {
        let below = log.list.firstElementChild;
        for (const message of older) {
          log.insert(message, below);
          if (!below?.isConnected) below = first; // it was the heading of a day that turns out to begin earlier
        }
        while (log.list.childElementCount > MAX_LINES) this.#removeLast();
        this.#placeUnread();
      });
      log.reachesStart = older.length < limit;
      const isFirst = log.lines[0].id.endsWith('-1'); // the server numbers the messages of a room from 1
      const sentence = isFirst ? 'This is where the room begins.' : 'What came before is no longer kept.';
      if (log.reachesStart) this.#showAtStart(sentence);
      return older.length > 0;
    });
  }

  /** Asks again for older messages where the log's start is near: a log that is not scrolled would never ask again. */
  #readOlderAgain() {
    if (this.#log.isNearStart) this.readOlder();
  }

  /** Plans to ask again after a failure, and no more after a success. @param {boolean} hasFailed */
  #planRetry(hasFailed) {
    clearTimeout(this.#retry);
    if (hasFailed) this.#retry = setTimeout(() => this.#readOlderAgain(), 1000 * backoff(this.#failures));
    this.#failures = hasFailed ? this.#failures + 1 : 0;
  }

  /** The connection is back. */
  onLive() {
    if (this.#failures) this.#readOlderAgain();
  }

  /** Reads newer messages. */
  readNewer() {
    return this.#alone(async () => {
      const newer = await this.#fetchFrom('after', this.#log.lines.at(-1)?.id, PAGE_SIZE);
      if (!newer) return;
      this.#hooks.holdStill(() => {
        for (const message of newer) this.#add(message);
        if (this.#log.list.childElementCount > MAX_LINES) this.#log.trimTop();
      });
      if (newer.length < PAGE_SIZE) await this.#reachEnd();
    });
  }

  /** Replaces the log's messages by the room's latest. */
  async jumpToEnd() {
    await this.#reading;
    const log = this.#log;
    if (log.reachesEnd) return;
    await this.#alone(async () => {
      const { messages: latest } = await this.#fetch({ limit: LATEST_PAGE_SIZE });
      if (!latest) return log.offerEnd(false);
      const end = log.firstPending;
      while (log.list.firstChild && log.list.firstChild !== end) log.list.firstChild.remove();
      log.reachesStart = false;
      this.#showAtStart('');
      for (const message of latest) this.#add(message);
      await this.#reachEnd();
      log.follow();
    });
  }

  /** Scrolls to a message, and reads until it is here. @param {string} id */
  async showMessage(id) {
    const log = this.#log;
    const found = () => document.getElementById(id);
    const last = log.lines.at(-1);
    if (!found() && !log.reachesEnd && last && isAfter(id, last.id)) await this.jumpToEnd();
    await this.#readBackTo(id);
    log.setFollowing(false);
    document.querySelector('.lost')?.remove();
    if (found()) return location.replace(`#${id}`); // makes it the :target, and scrolls
    const sentence = 'The message of this link is no longer kept.';
    const lost = element('p', 'gap lost', sentence);
    const below = log.lines.find((line) => isAfter(line.id, id)) ?? log.firstPending;
    log.list.insertBefore(lost, below);
    lost.scrollIntoView({ block: 'center' });
    this.#hooks.announce(sentence);
  }

  /** Shows that the messages from this line on are new, of which there may be more soon. @param {HTMLElement} line */
  markUnread(line) {
    if (this.#goesBack) return;
    this.#counting = 'soon';
    this.#firstUnread = line.id;
    this.#unreadLine.show(line, timeOf(line.id), 1);
  }

  /** Shows how many messages are unread by now. @param {number} count */
  countUnread(count) {
    if (this.#log.following) this.#goesBack = false;
    if (!count && this.#counting === 'now') this.#counting = ''; // they are read
    if (!count || !this.#counting) return;
    this.#counting = 'now';
    this.#unreadLine.setCount(count);
  }

  /** Marks the first unread message after the last one that was read, wherever it is. @param {string} lastRead */
  async markUnreadAfter(lastRead) {
    const { room, isDeleted, isOwn, isNews } = this.#hooks;
    const lines = this.#newsAfter(lastRead);
    const top = this.#log.lines[0]?.id;
    if (!lines.length || this.#counting) return;
    const reachesBack = this.#log.reachesStart || !isAfter(top, lastRead);
    const { messages } = reachesBack ? { messages: [] } : await (await load('lookups')).fetchAllAfter(window, room, lastRead);
    const earlier = messages?.filter(({ id, mark, sender }) => {
      return isAfter(top, id) && !isDeleted(id) && isNews({ mine: isOwn(id, mark), sender });
    });
    this.#firstUnread = earlier?.[0]?.id ?? lines[0].id;
    this.#unreadLine.show(lines[0], timeOf(this.#firstUnread), earlier ? earlier.length + lines.length : 0);
    this.#placeUnread();
  }

  /** Moves the unread line above the first unread message that is on the page now. */
  #placeUnread() {
    const line = this.#firstUnread && this.#newsAfter('').find(({ id }) => !isAfter(this.#firstUnread, id));
    if (line) this.#unreadLine.place(line);
  }

  /** Returns the lines of messages that count as unread after an id. @param {string} id */
  #newsAfter(id) {
    return this.#log.lines.filter((line) => {
      const message = this.#log.messageOf(line);
      return message && isAfter(line.id, id) && this.#hooks.isNews(message);
    });
  }

  /** Leads to the first unread message. */
  async #jumpToUnread() {
    const log = this.#log;
    log.setFollowing(false);
    this.#goesBack = true;
    await this.#readBackTo(this.#firstUnread);
    log.scroller.focus({ preventScroll: true }); // the button disappears, and must not take the focus along
    this.#unreadLine.scrollTo();
  }

  /** Reads older messages until the log reaches back to an id. @param {string} id */
  async #readBackTo(id) {
    const { lines } = this.#log;
    if (lines[0] && isAfter(lines[0].id, id) && (await this.readOlder(MAX_PAGE_SIZE))) await this.#readBackTo(id);
  }

  /**
   * Runs one reading at a time; a caller meanwhile gets the result of the one that runs.
   * @template T
   * @param {() => Promise<T>} read
   * @returns {Promise<T>}
   */
  #alone(read) {
    return (this.#reading ??= read().finally(() => (this.#reading = null)));
  }

  /**
   * Fetches messages before or after an id, in as many requests as it takes: the server lists fewer than it is asked for
   * where there is much between them. Undefined if it cannot say.
   * @param {'before' | 'after'} direction
   * @param {string | undefined} from
   * @param {number} limit
   */
  async #fetchFrom(direction, from, limit) {
    /** @type {Message[]} */
    const all = [];
    for (let id = from; ; ) {
      const { messages, first, last } = await this.#fetch({ [direction]: id, limit: limit - all.length });
      if (!messages) return;
      if (direction === 'before') all.unshift(...messages);
      else all.push(...messages);
      const next = direction === 'before' ? first : last;
      if (all.length >= limit || !next || next === id) return all;
      id = next;
    }
  }

  /** Fetches messages; there are none if the server cannot say. @param {{ before?: string, after?: string, limit: number }} query */
  async #fetch(query) {
    const { room, isOwn } = this.#hooks;
    const page = await fetchHistory(window, room, query);
    const kept = page.messages?.filter(({ id }) => !this.#hooks.isDeleted(id));
    const messages = kept?.map((message) => ({ ...message, at: timeOf(message.id), mine: isOwn(message.id, message.mark) }));
    return { ...page, messages };
  }

  /** Adds what arrived while the last page was read: the log reaches the room's end now. */
  async #reachEnd() {
    this.#log.reachesEnd = true;
    const last = this.#log.lines.at(-1);
    const missed = last && (await this.#fetchFrom('after', last.id, MAX_PAGE_SIZE));
    for (const message of missed ?? []) this.#add(message);
    this.#log.scrollToEnd();
  }

  /** @param {Message} message */
  #add(message) {
    if (!document.getElementById(`${message.id}`)) this.#log.insertInOrder(message);
  }

  /** Removes the last line: the log does not reach the room's end any more. */
  #removeLast() {
    this.#log.lastLine?.remove();
    if (this.#log.reachesEnd) this.#log.offerEnd(false);
  }

  /** @param {string} sentence */
  #showAtStart(sentence) {
    find('.start', this.#log.scroller).textContent = sentence;
  }
}
