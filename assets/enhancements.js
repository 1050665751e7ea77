/**
 * Enhancements: everything on the page that may come a moment after the first view. page.js loads them and calls their
 * methods from then on.
 */

import { Announcer } from './announcer.js';
import { addAids, lengthProblem, nameProblem } from './composer-aids.js';
import { keepDayHeadings } from './day-headings.js';
import { Deletions } from './deletions.js';
import { Details, nodeLookup } from './details.js';
import { element, find } from './dom.js';
import { renderMarkup } from './markup.js';
import { loadCommonWords } from './mentions.js';
import { Pager } from './pager.js';
import { PendingLines } from './pending.js';
import { showPresence } from './presence.js';
import { goToRoom, roomStates, showRooms } from './rooms.js';
import { addArrowKeys, onShortcut } from './shortcuts.js';
import { enableThemeButton } from './theme-button.js';

/** @import { Composer } from './composer.js' */
/** @import { MessageLog } from './log.js' */
/** @import { Tab } from './tab.js' */
/** @import { Deletion, Message } from './wire.js' */

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

const showHelp = async () => (await import('./help.js')).showHelp();

export class Enhancements {
  #page;
  #rooms = find('nav ul');
  #pending;
  #deletions;
  #marked = false; // something was unread
  #checking = false; // whether the name is a common word

  /** @param {Page} page */
  constructor(page) {
    const { room, log, tab, composer } = page;
    this.#page = page;
    this.announcer = new Announcer(log.scroller, find('#said'));
    const { announcer } = this;
    this.#deletions = new Deletions(log);
    this.pager = new Pager(log, {
      room,
      isOwn: (id) => tab.isOwn(id),
      isDeleted: (id) => this.#deletions.has(id),
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
    const { log, composer, tab, delays, room, name } = this.#page;
    const { pager, announcer } = this;
    const { box } = composer;
    addStyleSheet('enhancements.css');
    const redraw = () => pager.holdStill(() => log.redraw());
    redraw();
    this.update();
    // On a phone the current room may be out of view.
    this.#rooms.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });

    if (tab.lastRead) pager.markUnreadAfter(tab.lastRead);
    keepDayHeadings(log);
    addArrowKeys(log);
    if (log.scroller.scrollHeight <= log.scroller.clientHeight) pager.readOlder();

    new Details(log, {
      lookUpNode: nodeLookup(window, room),
      delayOf: (id) => delays.get(id),
      announce: (sentence) => announcer.announce(sentence),
    });
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

    find('.ask').onclick = showHelp;
    enableThemeButton(find('.theme'));
    const parts = { rooms: this.#rooms, box, showHelp };
    document.addEventListener('keydown', (event) => onShortcut(event, parts));
    if (!pressed) return;
    if (pressed.target === box) onKey(pressed);
    onShortcut(pressed, parts);
  }

  /** Shows a new state of the page. */
  update() {
    const { room, composer, tab } = this.#page;
    const rooms = roomStates(tab.rooms, tab.counts, room);
    this.#pending.show(tab.outbox);
    showPresence(find('.people'), tab.presence, (name) => composer.setText(`${composer.box.value}@${name} `));
    showRooms(this.#rooms, rooms);
    this.#marked ||= rooms.some(({ unread }) => unread);
    if (this.#marked) import('./notifications.js').then(({ markPage }) => markPage(rooms));
  }

  /** Turns a pending line into the message. @param {string} key @param {Message} message */
  confirm(key, message) {
    this.#pending.confirm(key, message);
  }

  /** Removes what is deleted. @param {Deletion} deletion */
  delete(deletion) {
    this.#deletions.apply(deletion, (change) => this.pager.holdStill(change));
  }

  /** Renders a text. In the user's own messages their name is no mention. @param {string} text @param {boolean} mine */
  render(text, mine) {
    const name = mine ? '' : this.#page.name();
    const nodes = renderMarkup(text, name);
    if (nodes.some((node) => node instanceof HTMLElement && node.localName === 'mark')) this.#checkName(name);
    return nodes;
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
    return lengthProblem(text) || nameProblem(this.#page.name());
  }

  /** Returns what is known of a gap's cause. @param {string} reason */
  explainGap(reason) {
    return GAP_REASONS[reason] ?? '';
  }

  goToRoom() {
    goToRoom(/** @type {HTMLInputElement} */ (find('#room')), find('#room-error'));
  }
}

/** @param {string} file */
function addStyleSheet(file) {
  const link = element('link');
  link.rel = 'stylesheet';
  link.href = new URL(file, import.meta.url).href;
  document.head.append(link);
}
