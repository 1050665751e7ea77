/**
 * What the page needs once it is touched, or when something is still to be sent: keys, buttons and menus, aids for the message
 * box, pending lines. A visit without a touch does not load it.
 */

import { addAids, lengthProblem, nameProblem } from './composer-aids.js';
import { enableControls } from './controls.js';
import { find } from './dom.js';
import { lazily, load, loadStyle } from './load.js';
import { PendingLines } from './pending.js';
import { goToRoom } from './rooms.js';
import { addArrowKeys } from './shortcuts.js';
import { roomPath } from './tokens.js';

/** @import { Composer } from './composer.js' */
/** @import { MessageMenu } from './menu.js' */
/** @import { MessageLog } from './log.js' */
/** @import { RoomState } from './rooms.js' */
/** @import { Tab } from './tab.js' */
/** @import { Edit } from './wire.js' */

/**
 * The parts of the page.
 * @typedef {object} Page
 * @property {string} room
 * @property {() => string} name of the user
 * @property {MessageLog} log
 * @property {Composer} composer
 * @property {Tab} tab
 * @property {Map<string, number>} delays milliseconds from Send to screen, by id
 * @property {() => KeyboardEvent | undefined} pressed returns the last key that was pressed before the page could handle it
 */

/**
 * @typedef {object} TouchHooks
 * @property {(sentence: string) => void} announce says a sentence to screen readers
 * @property {(sentence: string) => void} notice shows what the user should know about this browser
 * @property {(id: string) => Promise<unknown> | void} showMessage
 * @property {(change: () => void) => void} holdStill makes a change of the log's layout
 * @property {() => RoomState[]} roomStates
 * @property {(edit: Pick<Edit, 'id' | 'text'>) => void} onEdited
 * @property {(id: string) => void} onDeleted
 * @property {() => void} onMuted
 * @property {() => void} onIdentity
 */

export class Touch {
  #page;
  #hooks;
  /** @type {MessageMenu | undefined} */
  #menu; // once the log is touched

  /** @param {Page} page @param {TouchHooks} hooks */
  constructor(page, hooks) {
    const { log, tab, composer } = page;
    this.#page = page;
    this.#hooks = hooks;
    this.pending = new PendingLines(log, {
      retry: (key) => tab.retry(key),
      discard: (key) => tab.discard(key),
      edit(key) {
        composer.setText([tab.discard(key), composer.box.value].filter(Boolean).join('\n'));
        composer.box.focus();
      },
    });
  }

  start() {
    const { log, composer, tab, name } = this.#page;
    const { box } = composer;
    loadStyle('touch');
    this.#addTouchIcon();
    addArrowKeys(log);
    const messages = (/** @type {string} */ selector) =>
      [...log.list.querySelectorAll(selector)].flatMap((line) => log.messageOf(line) ?? []);
    const onKey = addAids(composer, find('#count'), {
      sentTexts: () => messages('.mine').map(({ text }) => text),
      names: () => {
        const senders = messages('[data-id]').map(({ sender }) => sender);
        return [...(tab.presence.names ?? []), ...senders.reverse()].filter((each) => each !== name());
      },
    });
    const onShortcut = enableControls({
      composer,
      showHelp: () => this.#showHelp(),
      showSearch: () => this.#showSearch(),
      share: async () => (await load('share')).shareRoom(this.#page.room),
      showIdentity: () => this.#showIdentity(),
      jump: async () => (await load('jump')).jump(this.#hooks.roomStates(), roomPath),
      holdStill: this.#hooks.holdStill,
      edit: async (line) => (await this.#loadMenu()).edit(line),
      remove: async (line) => (await this.#loadMenu()).delete(line),
    });
    const pressed = this.#page.pressed();
    if (!pressed) return;
    if (pressed.target === box) onKey(pressed);
    onShortcut(pressed, true);
  }

  /** Names the icon for a phone's home screen, which browsers load at once. */
  #addTouchIcon() {
    const icon = document.createElement('link');
    const { href } = /** @type {HTMLLinkElement} */ (find('link[rel=stylesheet]'));
    document.head.append(Object.assign(icon, { rel: 'apple-touch-icon', href: new URL('./icon-180.png', href).href }));
  }

  /** Handles an event in the log. @param {Event} event */
  async handle(event) {
    if (['pointerover', 'focusin'].includes(event.type)) this.#offerCopy(event.target);
    (await this.#loadMenu()).handle(event);
  }

  /** Goes on with an edit that was begun before a reload. @param {{ id: string, text: string }} kept */
  async continueEdit(kept) {
    (await this.#loadMenu()).continueEdit(kept);
  }

  /** The connection is back. */
  onLive() {
    this.#menu?.onLive();
  }

  /** Returns why a text cannot be sent, or an empty string. @param {string} text */
  check(text) {
    return lengthProblem(text) || nameProblem(this.#page.name());
  }

  goToRoom() {
    goToRoom(/** @type {HTMLInputElement} */ (find('#room')), find('#room-error'));
  }

  /** Loads the menu of messages. */
  #loadMenu = lazily('menu', ({ MessageMenu }) => {
    const { room, log, composer, delays } = this.#page;
    const { announce, notice, onEdited, onDeleted, onMuted } = this.#hooks;
    this.#menu = new MessageMenu(log, {
      room,
      composer,
      delayOf: (id) => delays.get(id),
      check: (text) => this.check(text),
      announce,
      notice,
      onEdited,
      onDeleted,
      onMuted,
    });
    return this.#menu;
  });

  /** Offers to copy the code of a message that is pointed at or has the focus. @param {EventTarget | null} target */
  async #offerCopy(target) {
    const line = /** @type {HTMLElement | null} */ (/** @type {Element} */ (target).closest('.message'));
    const message = this.#page.log.messageOf(line);
    if (!line || !message || !line.querySelector('.fence')) return;
    const { addCopyButtons } = await load('copy-code');
    addCopyButtons(line, message.text, this.#hooks.announce);
  }

  async #showHelp() {
    const [help, settings, notices] = await Promise.all([load('help'), load('settings'), load('notifications')]);
    const { room } = this.#page;
    const { onMuted } = this.#hooks;
    help.showHelp(settings.showSettings({ room, notices, onMuted, showIdentity: () => this.#showIdentity() }));
  }

  async #showSearch() {
    (await load('search')).openSearch(this.#page.room, this.#hooks.showMessage);
  }

  async #showIdentity() {
    (await load('identity')).showIdentity(this.#hooks.onIdentity);
  }
}
