/**
 * Enhancements: everything on the page that may come a moment after the first view. page.js loads them and calls their
 * methods from then on.
 */

import { Announcer } from './announcer.js';
import { keepDayHeadings } from './day-headings.js';
import { Deletions } from './deletions.js';
import { button, find } from './dom.js';
import { showTotal } from './drawer.js';
import { Edits, keptEdit } from './edits.js';
import { isEmojiOnly } from './emoji.js';
import { Faces } from './faces.js';
import { holdStill } from './hold-still.js';
import { leakProblem } from './leak.js';
import { lazily, load, loadStyle } from './load.js';
import { renderMarkup } from './markup.js';
import { loadCommonWords } from './mentions.js';
import { isMuted } from './mute.js';
import { addMoreButton, lineOf } from './more-button.js';
import { showPresence } from './presence.js';
import { roomStates, showRooms } from './rooms.js';
import { storage } from './storage.js';
import { roomPath } from './tokens.js';
import { isAfter } from './wire.js';

/** @import { Identity } from './identities.js' */
/** @import { Pager } from './pager.js' */
/** @import { Page, Touch } from './touch.js' */
/** @import { Deletion, Edit, Message } from './wire.js' */

/** @type {Record<string, string>} */
const GAP_REASONS = {
  trimmed: ': they are older than what the server keeps',
  reset: ': the server lost its log and began a new one',
  invalid: ': the server did not know the last message on this page',
};

export class Enhancements {
  #page;
  #rooms = find('nav ul');
  #deletions;
  #marked = false; // something was unread
  /** @type {Touch | undefined} */
  touch; // once the page was touched, or something is still to be sent
  /** @type {Pager | undefined} */
  #pager; // once there was something to read or to mark
  #checking = false; // whether the name is a common word

  /** @param {Page} page */
  constructor(page) {
    const { log } = page;
    this.#page = page;
    this.announcer = new Announcer(log.scroller, find('#said'));
    this.#deletions = new Deletions(log);
    this.edits = new Edits(log);
    this.faces = new Faces(log);
  }

  /** Enhances what the first view shows. */
  start() {
    const { log, tab } = this.#page;
    loadStyle('enhancements');
    const redraw = () => this.#holdStill(() => log.redraw());
    redraw();
    this.faces.showAll();
    addEventListener('storage', ({ key }) => {
      if (key === 'tiny-chat:muted') this.faces.showAll();
      if (key === 'tiny-chat:mark') this.#onIdentity();
    });
    this.update();
    // On a phone the current room may be out of view.
    this.#rooms.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });

    const { lastRead } = tab;
    const last = log.lines.at(-1);
    if (lastRead && last && isAfter(last.id, lastRead)) this.pager().then((pager) => pager.markUnreadAfter(lastRead));
    keepDayHeadings(log);
    if (last && log.scroller.scrollHeight <= log.scroller.clientHeight) this.pager().then((pager) => pager.readOlder());

    for (const type of ['pointerover', 'pointerdown', 'focusin', 'click']) {
      log.scroller.addEventListener(type, async (event) => {
        addMoreButton(lineOf(event.target)); // at once: the next key may be Tab
        (await this.touched()).handle(event);
      });
    }
    this.#continueEdit();
    find('#sender').onchange = redraw; // mentions of the new name

    const share = async () => (await load('share')).shareRoom(this.#page.room);
    document.querySelector('.empty p:nth-of-type(2)')?.after(button('Share this room', share, 'share-room'));
  }

  /** Takes a room off the list; this tab goes on to another if it was its own. @param {string} name */
  #leave(name) {
    const { room, tab } = this.#page;
    const next = tab.rooms.find((each) => each !== name);
    tab.leaveRoom(name);
    this.update();
    if (name === room) location.assign(next ? `${roomPath(next)}` : '/');
  }

  #roomStates() {
    const { room, tab } = this.#page;
    return roomStates(tab.rooms, tab.counts, room);
  }

  /** Shows a new state of the page. */
  update() {
    const { composer, tab } = this.#page;
    const rooms = this.#roomStates();
    if (tab.outbox.length) this.touched();
    this.touch?.pending.show(tab.outbox);
    this.#pager?.countUnread(rooms.find(({ current }) => current)?.unread ?? 0);
    showPresence(find('.people'), tab.presence, (name) => {
      composer.setText(`${composer.box.value}@${name} `);
      composer.box.focus();
    });
    showRooms(this.#rooms, rooms, (name) => this.#leave(name));
    showTotal(find('.drawer'), rooms);
    this.#marked ||= rooms.some(({ unread }) => unread);
    if (this.#marked) load('notifications').then(({ markPage }) => markPage(rooms));
  }

  /** Removes what is deleted. @param {Deletion} deletion */
  delete(deletion) {
    this.#deletions.apply(deletion, (change) => this.#holdStill(change));
  }

  /** Shows what is edited. @param {Pick<Edit, 'id' | 'text'>} edit */
  edit(edit) {
    this.edits.apply(edit, (change) => this.#holdStill(change));
  }

  /** The connection is back. */
  onLive() {
    this.touch?.onLive();
    this.#pager?.onLive();
  }

  /** Messages are missing, and edits may be. */
  onGap() {
    this.edits.forget();
  }

  /** Loads what a visit without a touch does not need. */
  touched = lazily('touch', ({ Touch }) => {
    const { announcer, faces } = this;
    this.touch = new Touch(this.#page, {
      announce: (sentence) => announcer.announce(sentence),
      notice: (sentence) => this.notice(sentence),
      showMessage: async (id) => (await this.pager()).showMessage(id),
      holdStill: (change) => this.#holdStill(change),
      roomStates: () => this.#roomStates(),
      onEdited: (edit) => this.edit(edit),
      onDeleted: (id) => this.delete({ id }),
      onMuted: () => faces.showAll(),
      onIdentity: () => this.#onIdentity(),
    });
    this.touch.start();
    this.pager(); // who touches the page may scroll up next
    this.update();
    return this.touch;
  });

  /** Loads what reads messages into the log. */
  pager = lazily('pager', ({ Pager }) => {
    const { room, log, tab } = this.#page;
    this.#pager = new Pager(log, {
      room,
      isOwn: (id, mark) => tab.isOwn(id, mark),
      isDeleted: (id) => this.#deletions.has(id),
      isNews: ({ mine, sender }) => !mine && !isMuted(storage, sender),
      holdStill: (change) => this.#holdStill(change),
      announce: (sentence) => this.announcer.announce(sentence),
    });
    setTimeout(() => this.update()); // once it marks what was unread before it was here
    return this.#pager;
  });

  /** Makes a change of the log's layout. @param {() => void} change */
  #holdStill(change) {
    holdStill(this.#page.log, this.announcer, change);
  }

  /** Opens the editor again that a reload has closed. If its message is gone, what was typed goes to the message box. */
  async #continueEdit() {
    const kept = keptEdit(this.#page.room);
    if (kept) (await this.touched()).continueEdit(kept);
  }

  /** Shows what the user should know about this browser. @param {string} sentence */
  notice(sentence) {
    find('#notice').textContent = sentence;
  }

  /** Renders a text. In the user's own messages their name is no mention. @param {string} text @param {boolean} mine */
  render(text, mine) {
    const name = mine ? '' : this.#page.name();
    const nodes = renderMarkup(text, name);
    if (nodes.some((node) => node instanceof HTMLElement && node.localName === 'mark')) this.#checkName(name);
    return nodes;
  }

  /** Returns true if a text is to be shown large. @param {string} text */
  isEmoji(text) {
    return isEmojiOnly(text);
  }

  /** Draws again if the name, which is marked now, turns out to be a common word. @param {string} name */
  async #checkName(name) {
    if (this.#checking) return;
    this.#checking = true;
    const changes = await loadCommonWords(name);
    this.#checking = false;
    if (changes) this.#holdStill(() => this.#page.log.redraw());
  }

  /** Returns why a text cannot be sent, or an empty string. @param {string} text */
  check(text) {
    return leakProblem(storage, text) || (this.touch?.check(text) ?? '');
  }

  /** Returns what is known of a gap's cause. @param {string} reason */
  explainGap(reason) {
    return GAP_REASONS[reason] ?? '';
  }

  /** Asks whether the identity of a link is to be used. @param {Identity} identity */
  async offerIdentity(identity) {
    (await load('identity')).offerIdentity(identity, () => this.#onIdentity());
  }

  /** Draws again what is the user's own. */
  #onIdentity() {
    const { log, tab } = this.#page;
    for (const line of log.lines) {
      const message = /** @type {Message} */ (log.messageOf(line));
      log.draw(line, { ...message, mine: tab.isOwn(line.id, message.mark) });
    }
  }
}
