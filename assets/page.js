/**
 * The chat page: connects the tab to the log, the status line and the message box. This is the first view; the rest is
 * loaded a moment later, or when it is needed. templates/theme.js runs before the first paint.
 *
 *   page.js                  first view: calls the modules below, and hands each the hooks that lead to the others
 *     tab.js                 what this tab shares with others; sends requests to the leader, receives its events
 *       leader-election.js   which tab leads
 *       open-tabs.js         which tabs are open
 *       leader-hub.js        in the leading tab only: what it does for all
 *         outbox.js          sends messages in order, until the log has them
 *           lookups.js       loaded when it is not known whether it has one
 *         stream.js          the EventSource, its watchdog and its cursors
 *         unread.js          unread counts
 *     log.js                 the lines of the log, and whether its end is followed
 *       dates.js             times, names of days, groups
 *       hue.js               the colour and the initial of a name
 *     status.js              the connection in a sentence
 *     composer.js            the message box
 *       drafts.js            loaded when there are drafts: a tab has its own again
 *     secret.js              the secret of this browser's messages, and links that bring one
 *     enhancements.js        loaded soon: starts the modules below
 *       faces.js             what tells two of one name apart, and hides who is muted
 *         mark.js            letters and patterns of marks
 *       deletions.js         what is deleted leaves the log and the unread counts
 *       edits.js             what is edited changes in the log and the unread mentions
 *       hold-still.js        changes of the log that move nothing in view
 *       pager.js             loaded when there is something to read or to mark: older and newer messages, permalinks
 *         unread-line.js     the line above the first unread one
 *       markup.js            links, rooms, code and mentions as nodes
 *         emoji.js           whether a text is nothing but emoji
 *         mentions.js        where a text names the user; fold-case.js compares, common-words.js is loaded on demand
 *           tokens.js        addresses, rooms and code in a text
 *             addresses.js   where an address ends, and its host
 *         quotes.js          quotes of replies
 *       presence.js, rooms.js, announcer.js, day-headings.js
 *       mute.js              muted names, and notifications of each room
 *       leak.js              keeps the secret out of messages
 *       more-button.js       opens the menu of a message
 *       touch.js             loaded when the page is touched, or something is still to be sent: starts these
 *         pending.js           lines that are still to be sent
 *         composer-aids.js     counter, recall, growing box
 *           completion.js      completion of names
 *         controls.js          the head's buttons and menu, the drawer, keys
 *           drawer.js, shortcuts.js, theme-button.js
 *           head-menu.js, icons.js  loaded when the menu is opened
 *         jump.js              loaded when asked for: the box that leads to a room
 *         copy-code.js         loaded when a message with code is pointed at or has the focus
 *         menu.js              loaded when the log is touched: what can be done with a message
 *           muting.js          mutes a name
 *           details.js         which node took it, and how long it took
 *           editor.js          edits an own message in its line, or deletes it
 *           changes.js         the requests for that
 *         search.js            loaded when asked for: search, jump to a date, transcript.js; walk.js reads backwards
 *         help.js              loaded when asked for
 *         clipboard.js         copies text, on plain http too
 *         share.js             links to rooms and messages, with QR codes (uqr/)
 *         identity.js          who the user is here, and the link that brings that to another browser
 *           identities.js      the secrets that this browser holds
 *         dialogs.js           what these two open
 *         settings.js          identity, notifications and muted names, in the help window
 *         notifications.js     loaded when something is unread: title, icon, desktop notifications
 *
 * All may use dom.js, wire.js (ids and the data of events), history.js, storage.js, and load.js for what comes later. The
 * build (build/chunks.rs) makes one script of this module and what it imports, and one for each that is passed to load. No
 * two modules import each other, directly or in a circle: to call back, a module is given hooks.
 */

import { Composer, saveDraft } from './composer.js';
import { find } from './dom.js';
import { lazily } from './load.js';
import { MessageLog } from './log.js';
import { isMuted } from './mute.js';
import { takeIdentity } from './secret.js';
import { StatusLine } from './status.js';
import { storage, tabStorage } from './storage.js';
import { Tab } from './tab.js';
import { wellFormed } from './wire.js';

/** @import { Enhancements } from './enhancements.js' */

const KEPT_AFTER_MS = 500; // a message that waits so long is spoken of
const KEPT = 'The server cannot be reached. Your message is kept, and will be sent when it can be.';

const linked = takeIdentity(window); // first, before anything reads the address
addEventListener('hashchange', () => offer(takeIdentity(window)));

const form = /** @type {HTMLFormElement} */ (find('.composer'));
const sender = /** @type {HTMLInputElement} */ (find('#sender'));
const error = find('#send-error');
const messages = find('.messages');
const room = /** @type {string} */ (messages.dataset.room);
const links = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('nav a'));
const offered = [...links].map(({ dataset }) => /** @type {string} */ (dataset.room));
const name = () => wellFormed(sender.value);

sender.value ||= tabStorage.get('name') || storage.get('name'); // two people may share a browser

/** @type {Enhancements | undefined} */
let enhancements; // once they are loaded
let unseen = false; // whether messages are kept that the page does not show yet
/** @type {KeyboardEvent | undefined} */
let pressed; // the last key before that
/** @type {HTMLElement | null} */
let clicked = null; // the last button of the head before that
/** @type {Map<string, number>} */
const delays = new Map(); // milliseconds from Send to screen, by id

const enhance = lazily('enhancements', ({ Enhancements }) => {
  enhancements = new Enhancements({ room, name, log, composer, tab, delays, pressed: () => pressed });
  enhancements.start();
});
const openDrafts = lazily('drafts', ({ Drafts }) => new Drafts(window, storage, tabStorage, room, tab.id));

const tab = new Tab(
  { room, offered, name, cursor: messages.dataset.cursor },
  {
    onMessage: (message) => log.add(message),
    onGap(gap) {
      log.showGap(gap);
      enhancements?.onGap();
    },
    onDeletion: (deletion) => enhance().then(() => enhancements?.delete(deletion)),
    onEdit: (edit) => enhance().then(() => enhancements?.edit(edit)),
    onState(connection) {
      status.show(connection);
      if (connection.state !== 'live') return;
      document.querySelector('.empty')?.classList.remove('storeless');
      enhance();
      enhancements?.onLive();
    },
    onNotice: (sentence) => enhance().then(() => enhancements?.notice(sentence)),
    async onChange() {
      if (tab.outbox.length) await Promise.race([touch(), new Promise((resolve) => setTimeout(resolve, KEPT_AFTER_MS))]);
      const invisible = tab.outbox.length > 0 && !enhancements?.touch; // the network went before they were loaded
      if (invisible || unseen) error.textContent = invisible ? KEPT : '';
      unseen = invisible;
      enhancements?.update();
    },
    onConfirmed(key, message, sentAt) {
      if (enhancements?.touch) enhancements.touch.pending.confirm(key, message);
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
  isOwn: (id, mark) => tab.isOwn(id, mark),
  isMuted: (name) => isMuted(storage, name),
  onSeen: (id) => tab.markRead(id),
  onMessage: () => enhancements?.announcer.onMessage(),
  render: (text, mine) => enhancements?.render(text, mine) ?? [text],
  isEmoji: (text) => enhancements?.isEmoji(text) ?? false,
  latest: (message) => enhancements?.edits.latest(message) ?? message,
  onDrawn: (line) => enhancements?.faces.show(line),
  explainGap: (reason) => enhancements?.explainGap(reason) ?? '',
  async pager() {
    await enhance();
    return enhancements?.pager();
  },
});

const composer = new Composer(form, error, {
  check: (text) => enhancements?.check(text) ?? '',
  save(text) {
    saveDraft(storage, { tab: tab.id, room, text, at: Date.now() });
    if (text) openDrafts().then((drafts) => drafts.forgetOldest());
  },
  send(text) {
    tab.send(text);
    log.follow();
  },
});

find('#elsewhere').onsubmit = async (event) => {
  event.preventDefault();
  await touch();
  enhancements?.touch?.goToRoom();
};
sender.oninput = () => {
  for (const kept of [storage, tabStorage]) kept.set('name', name());
  tab.rename();
};

/** Takes over the draft of a tab that is gone, unless something is in the box. */
async function takeDraft() {
  const { box } = composer;
  const found = await openDrafts();
  const text = (!box.value && found.take()) || (!box.value && (await found.takeAbandoned()));
  if (text) composer.setText(box.value + text);
}

/** Loads what the page needs once it is touched. @param {Event} [event] */
async function touch(event) {
  if (enhancements?.touch) return;
  if (event?.type === 'keydown') pressed = /** @type {KeyboardEvent} */ (event);
  if (event?.type === 'click') clicked = /** @type {Element} */ (event.target).closest('.tools button:not([popovertarget])');
  await enhance();
  await enhancements?.touched();
  clicked?.click();
  clicked = null;
}

/** Asks about the identity of a link. @param {ReturnType<typeof takeIdentity>} identity */
async function offer(identity) {
  if (!identity) return;
  await enhance();
  enhancements?.offerIdentity(identity);
}
offer(linked);

if (storage.records('draft:').length) takeDraft();

for (const type of ['keydown', 'pointermove', 'pointerdown', 'focusin', 'click']) addEventListener(type, touch);
setTimeout(enhance, 1500);
