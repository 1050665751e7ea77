/**
 * The chat page: connects the tab to the log, the status line and the message box. This is the first view; the rest is
 * loaded a moment later, or when it is needed, because then the page may be offline.
 *
 *   theme.js                 before the first paint: the chosen colours
 *   page.js                  first view: calls the modules below, and hands each the hooks that lead to the others
 *     tab.js                 what this tab shares with others; sends requests to the leader, receives its events
 *       leader-election.js   which tab leads
 *       leader-hub.js        in the leading tab only: what it does for all
 *         outbox.js          loaded a moment later: sends messages in order, until the log has them
 *         stream.js          the EventSource, its watchdog and its cursors
 *         unread.js          unread counts
 *     log.js                 the lines of the log, and whether its end is followed
 *       dates.js             times, names of days, groups
 *     status.js              the connection in a sentence
 *     composer.js            the message box and its draft
 *     enhancements.js        loaded soon: starts the modules below
 *       deletions.js         what is deleted leaves the log and the unread counts
 *       pager.js             older and newer messages, permalinks, the mark at the first unread one
 *       markup.js            links, rooms, code and mentions as nodes
 *         mentions.js        where a text names the user; fold-case.js compares, common-words.js is loaded on demand
 *           tokens.js        addresses, rooms and code in a text
 *             addresses.js   where an address ends, and its host
 *       pending.js           lines that are still to be sent
 *       details.js           which node took a message, and how long it took
 *       composer-aids.js     counter, recall, growing box
 *         completion.js      completion of names
 *       presence.js, rooms.js, announcer.js, day-headings.js, shortcuts.js, theme-button.js
 *       help.js              loaded when asked for
 *       notifications.js     loaded when something is unread: title, icon, desktop notifications
 *
 * All may use dom.js, wire.js (ids and the data of events), history.js and storage.js. No two modules import each other,
 * directly or in a circle: to call back, a module is given hooks.
 */

import { Composer, toWellFormed } from './composer.js';
import { find } from './dom.js';
import { MessageLog } from './log.js';
import { StatusLine } from './status.js';
import { storage } from './storage.js';
import { Tab } from './tab.js';

/** @import { Enhancements } from './enhancements.js' */

const KEPT = 'The server cannot be reached. Your message is kept, and will be sent when it can be.';

const form = /** @type {HTMLFormElement} */ (find('.composer'));
const sender = /** @type {HTMLInputElement} */ (find('#sender'));
const error = find('#send-error');
const messages = find('.messages');
const room = /** @type {string} */ (find('h1').textContent);
const offered = [...document.querySelectorAll('nav bdi')].map(({ textContent }) => /** @type {string} */ (textContent));
const name = () => toWellFormed(sender.value);

sender.value ||= storage.get('name');

/** @type {Enhancements | undefined} */
let enhancements; // once they are loaded
/** @type {Promise<void> | undefined} */
let enhancing;
/** @type {KeyboardEvent | undefined} */
let pressed; // the last key before they were loaded
/** @type {Map<string, number>} */
const delays = new Map(); // milliseconds from Send to screen, by id

const tab = new Tab(
  { room, offered, name, cursor: messages.dataset.cursor },
  {
    onMessage: (message) => log.add(message),
    onGap: (gap) => log.showGap(gap),
    onDeletion: (deletion) => enhance().then(() => enhancements?.delete(deletion)),
    onState(connection) {
      status.show(connection);
      if (connection.state !== 'live') return;
      document.querySelector('.empty')?.classList.remove('storeless');
      enhance();
    },
    async onChange() {
      if (tab.outbox.length) await enhance();
      if (tab.outbox.length && !enhancements) error.textContent = KEPT; // the network went before they were loaded
      else if (error.textContent === KEPT) error.textContent = '';
      enhancements?.update();
    },
    onConfirmed(key, message, sentAt) {
      if (enhancements) enhancements.confirm(key, message);
      else log.add(message);
      const id = /** @type {string} */ (message.id);
      const onShown = () => document.getElementById(id) && delays.set(id, performance.now() - /** @type {number} */ (sentAt));
      if (sentAt && !document.hidden) requestAnimationFrame(onShown);
    },
    onOwn(id) {
      const line = document.getElementById(id);
      const message = log.messageOf(line);
      if (line && message) log.draw(line, { ...message, mine: true });
    },
  },
);

const status = new StatusLine(find('.status'), () => tab.reconnect());

/** @type {MessageLog} */
const log = new MessageLog(messages, find('.newer'), {
  path: /** @type {string} */ (form.getAttribute('action')),
  isOwn: (id) => tab.isOwn(id),
  onSeen: (id) => tab.markRead(id),
  onMessage: () => enhancements?.announcer.onMessage(),
  render: (text, mine) => enhancements?.render(text, mine) ?? [text],
  explainGap: (reason) => enhancements?.explainGap(reason) ?? '',
  async pager() {
    await enhance();
    return enhancements?.pager;
  },
});

const composer = new Composer(form, error, room, {
  check: (text) => enhancements?.check(text) ?? '',
  send(text) {
    tab.send(text);
    log.follow();
  },
});

find('#elsewhere').onsubmit = async (event) => {
  event.preventDefault();
  await enhance();
  enhancements?.goToRoom();
};
sender.oninput = () => {
  storage.set('name', name());
  tab.rename();
};

/** Loads the enhancements, unless they are here. @param {Event} [event] */
function enhance(event) {
  if (event?.type === 'keydown') pressed = /** @type {KeyboardEvent} */ (event);
  enhancing ??= import('./enhancements.js').then(
    ({ Enhancements }) => {
      enhancements = new Enhancements({ room, name, log, composer, tab, delays });
      enhancements.start(pressed);
    },
    () => (enhancing = undefined), // offline; the next call tries again
  );
  return enhancing;
}
for (const type of ['keydown', 'pointermove', 'focusin']) addEventListener(type, enhance);
setTimeout(enhance, 1500);
