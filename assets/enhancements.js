/**
 * Enhancements: everything on the page that may come a moment after the first view. page.js loads them and calls their
 * methods from then on.
 */

import { Announcer } from './announcer.js';
import { addAids, lengthProblem, nameProblem } from './composer-aids.js';
import { enableControls } from './controls.js';
import { keepDayHeadings } from './day-headings.js';
import { Deletions } from './deletions.js';
import { button } from './dialogs.js';
import { find } from './dom.js';
import { showTotal } from './drawer.js';
import { Edits, keptEdit } from './edits.js';
import { isEmojiOnly } from './emoji.js';
import { Faces } from './faces.js';
import { load, loadStyle } from './load.js';
import { renderMarkup } from './markup.js';
import { loadCommonWords } from './mentions.js';
import { isMuted } from './mute.js';
import { addMoreButton, lineOf } from './more-button.js';
import { Pager } from './pager.js';
import { PendingLines } from './pending.js';
import { showPresence } from './presence.js';
import { goToRoom, roomStates, showRooms } from './rooms.js';
import { leakProblem } from './secret.js';
import { addArrowKeys } from './shortcuts.js';
import { storage } from './storage.js';
import { roomPath } from './tokens.js';

/** @import { Identity } from './identities.js' */
/** @import { Composer } from './composer.js' */
/** @import { MessageMenu } from './menu.js' */
/** @import { MessageLog } from './log.js' */
/** @import { Tab } from './tab.js' */
/** @import { Deletion, Edit, Message } from './wire.js' */

/** @type {Record<string, string>} */
const GAP_REASONS = {
  trimmed: ': they are older than what the server keeps',
  reset: ': the server lost its log and began a new one',
  invalid: ': the server did not know the last message on this page',
};

/**
 * The parts of the page.
 * @typedef {object} Page
 * @property {string} room
 * @property {() => string} name of the user
 * @property {MessageLog} log
 * @property {Composer} composer
 * @property {Tab} tab
 * @property {Map<string, number>} delays milliseconds from Send to screen, by id
 */

export class Enhancements {
  #page;
  #rooms = find('nav ul');
  #pending;
  #deletions;
  #marked = false; // something was unread
  /** @type {Promise<MessageMenu> | undefined} */
  #menu; // once the log is touched
  #checking = false; // whether the name is a common word

  /** @param {Page} page */
  constructor(page) {
    const { room, log, tab, composer } = page;
    this.#page = page;
    this.announcer = new Announcer(log.scroller, find('#said'));
    const { announcer } = this;
    this.#deletions = new Deletions(log);
    this.edits = new Edits(log);
    this.faces = new Faces(log);
    this.pager = new Pager(log, {
      room,
      isOwn: (id, mark) => tab.isOwn(id, mark),
      isDeleted: (id) => this.#deletions.has(id),
      isNews: ({ mine, sender }) => !mine && !isMuted(storage, sender),
      announcer,
    });
    this.#pending = new PendingLines(log, {
      retry: (key) => tab.retry(key),
      discard: (key) => tab.discard(key),
      edit(key) {
        composer.setText([tab.discard(key), composer.box.value].filter(Boolean).join('\n'));
        composer.box.focus();
      },
    });
  }

  /** Enhances what the first view shows. @param {KeyboardEvent} [pressed] the key that was pressed before, if any */
  start(pressed) {
    const { log, composer, tab, name } = this.#page;
    const { pager } = this;
    const { box } = composer;
    loadStyle('enhancements');
    const redraw = () => pager.holdStill(() => log.redraw());
    redraw();
    this.faces.showAll();
    addEventListener('storage', ({ key }) => {
      if (key === 'tiny-chat:muted') this.faces.showAll();
      if (key === 'tiny-chat:mark') this.#onIdentity();
    });
    this.update();
    // On a phone the current room may be out of view.
    this.#rooms.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });

    if (tab.lastRead) pager.markUnreadAfter(tab.lastRead);
    keepDayHeadings(log);
    addArrowKeys(log);
    if (log.scroller.scrollHeight <= log.scroller.clientHeight) pager.readOlder();

    for (const type of ['pointerover', 'pointerdown', 'focusin', 'click']) {
      log.scroller.addEventListener(type, async (event) => {
        addMoreButton(lineOf(event.target)); // at once: the next key may be Tab
        (await this.#loadMenu())?.handle(event);
      });
    }
    for (const type of ['pointerover', 'focusin']) {
      log.scroller.addEventListener(type, ({ target }) => this.#offerCopy(target));
    }
    this.#continueEdit();
    const messages = (/** @type {string} */ selector) =>
      [...log.list.querySelectorAll(selector)].flatMap((line) => log.messageOf(line) ?? []);
    const onKey = addAids(composer, find('#count'), {
      sentTexts: () => messages('.mine').map(({ text }) => text),
      names: () => {
        const senders = messages('[data-id]').map(({ sender }) => sender);
        return [...(tab.presence.names ?? []), ...senders.reverse()].filter((each) => each !== name());
      },
    });
    find('#sender').onchange = redraw; // mentions of the new name

    const share = async () => (await load('share')).shareRoom(this.#page.room);
    document.querySelector('.empty p:nth-of-type(2)')?.after(button('Share this room', share, 'share-room'));
    const onShortcut = enableControls({
      composer,
      showHelp: () => this.#showHelp(),
      showSearch: () => this.#showSearch(),
      share,
      showIdentity: () => this.#showIdentity(),
      jump: async () => (await load('jump')).jump(this.#roomStates(), roomPath),
      holdStill: (change) => pager.holdStill(change),
      edit: async (line) => (await this.#loadMenu())?.edit(line),
      remove: async (line) => (await this.#loadMenu())?.delete(line),
    });
    if (!pressed) return;
    if (pressed.target === box) onKey(pressed);
    onShortcut(pressed, true);
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
    this.#pending.show(tab.outbox);
    this.pager.countUnread(rooms.find(({ current }) => current)?.unread ?? 0);
    showPresence(find('.people'), tab.presence, (name) => {
      composer.setText(`${composer.box.value}@${name} `);
      composer.box.focus();
    });
    showRooms(this.#rooms, rooms, (name) => this.#leave(name));
    showTotal(find('.drawer'), rooms);
    this.#marked ||= rooms.some(({ unread }) => unread);
    if (this.#marked) load('notifications').then(({ markPage }) => markPage(rooms));
  }

  /** Turns a pending line into the message. @param {string} key @param {Message} message */
  confirm(key, message) {
    this.#pending.confirm(key, message);
  }

  /** Removes what is deleted. @param {Deletion} deletion */
  delete(deletion) {
    this.#deletions.apply(deletion, (change) => this.pager.holdStill(change));
  }

  /** Shows what is edited. @param {Pick<Edit, 'id' | 'text'>} edit */
  edit(edit) {
    this.edits.apply(edit, (change) => this.pager.holdStill(change));
  }

  /** The connection is back. */
  async onLive() {
    (await this.#menu)?.onLive();
  }

  /** Messages are missing, and edits may be. */
  onGap() {
    this.edits.forget();
  }

  /** Loads the menu of messages, which a visit without a touch does not need. */
  #loadMenu() {
    const { room, log, composer, delays } = this.#page;
    const hooks = {
      room,
      composer,
      delayOf: (/** @type {string} */ id) => delays.get(id),
      check: (/** @type {string} */ text) => this.check(text),
      announce: (/** @type {string} */ sentence) => this.announcer.announce(sentence),
      notice: (/** @type {string} */ sentence) => this.notice(sentence),
      onEdited: (/** @type {Pick<Edit, 'id' | 'text'>} */ edit) => this.edit(edit),
      onDeleted: (/** @type {string} */ id) => this.delete({ id }),
      onMuted: () => this.faces.showAll(),
    };
    const loaded = load('menu'); // each time, which is what makes another attempt
    this.#menu ??= loaded.then(({ MessageMenu }) => new MessageMenu(log, hooks));
    return this.#menu;
  }

  /** Opens the editor again that a reload has closed. If its message is gone, what was typed goes to the message box. */
  async #continueEdit() {
    const kept = keptEdit(this.#page.room);
    if (kept) (await this.#loadMenu())?.continueEdit(kept);
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

  /** Offers to copy the code of a message that is pointed at or has the focus. @param {EventTarget | null} target */
  async #offerCopy(target) {
    const line = /** @type {HTMLElement | null} */ (/** @type {Element} */ (target).closest('.message'));
    const message = this.#page.log.messageOf(line);
    if (!line || !message || !line.querySelector('.fence')) return;
    const { addCopyButtons } = await load('copy-code');
    addCopyButtons(line, message.text, (sentence) => this.announcer.announce(sentence));
  }

  /** Draws again if the name, which is marked now, turns out to be a common word. @param {string} name */
  async #checkName(name) {
    if (this.#checking) return;
    this.#checking = true;
    const changes = await loadCommonWords(name);
    this.#checking = false;
    if (changes) this.pager.holdStill(() => this.#page.log.redraw());
  }

  /** Returns why a text cannot be sent, or an empty string. @param {string} text */
  check(text) {
    return leakProblem(storage, text) || lengthProblem(text) || nameProblem(this.#page.name());
  }

  /** Returns what is known of a gap's cause. @param {string} reason */
  explainGap(reason) {
    return GAP_REASONS[reason] ?? '';
  }

  async #showHelp() {
    const [help, settings, notices] = await Promise.all([load('help'), load('settings'), load('notifications')]);
    const { room } = this.#page;
    const onMuted = () => this.faces.showAll();
    help.showHelp(settings.showSettings({ room, notices, onMuted, showIdentity: () => this.#showIdentity() }));
  }

  async #showSearch() {
    (await load('search')).openSearch(this.#page.room, (id) => this.pager.showMessage(id));
  }

  async #showIdentity() {
    (await load('identity')).showIdentity(() => this.#onIdentity());
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

  goToRoom() {
    goToRoom(/** @type {HTMLInputElement} */ (find('#room')), find('#room-error'));
  }
}
