/**
 * Looking back in a room: the search through what is kept, a jump to a date, and the transcript. Loaded when asked for.
 */

import { formatFull } from './dates.js';
import { openDialog } from './dialogs.js';
import { button, element } from './dom.js';
import { foldCase } from './fold-case.js';
import { fetchHistory } from './history.js';
import { fold } from './mentions.js';
import { MAX_MESSAGES, download, transcriptText } from './transcript.js';
import { Walk, walkOn } from './walk.js';
import { timeOf } from './wire.js';

/** @import { HistoryMessage } from './history.js' */

const MAX_RESULTS = 50; // until the user wants more
const BEFORE_CHARS = 40; // of a text, before what was found
const SNIPPET_CHARS = 160;

/**
 * Returns where a text has a word of a search, and an empty list unless it or the sender has all of them.
 * @param {{ sender: string, text: string }} message
 * @param {string[]} words folded
 * @returns {[start: number, end: number][]}
 */
export function findWords({ sender, text }, words) {
  const { folded, starts } = fold(text);
  const name = foldCase(sender);
  /** @type {[number, number][]} */
  const found = [];
  for (const word of words) {
    let at = folded.indexOf(word);
    if (at < 0 && !name.includes(word)) return [];
    for (; at >= 0; at = folded.indexOf(word, at + word.length)) {
      const [start, end] = [starts[at], starts[at + word.length]];
      if (start !== undefined && end !== undefined) found.push([start, end]);
    }
  }
  found.sort(([one], [other]) => one - other);
  const apart = found.filter(([start], index) => index === 0 || start >= found[index - 1][1]);
  return apart.length ? apart : [[0, 0]]; // only the sender has them
}

/**
 * Returns the part of a text around the first place that was found, as pieces: `[text, found]`.
 * @param {string} text
 * @param {[start: number, end: number][]} places
 * @returns {[text: string, found: boolean][]}
 */
export function snippet(text, places) {
  const from = places[0][0] > BEFORE_CHARS ? places[0][0] - BEFORE_CHARS : 0;
  const to = Math.min(text.length, from + SNIPPET_CHARS);
  /** @type {[string, boolean][]} */
  const pieces = [[from > 0 ? '…' : '', false]];
  let done = from;
  for (const [start, end] of places.filter(([start, end]) => end > start && end <= to)) {
    pieces.push([text.slice(done, start), false], [text.slice(start, end), true]);
    done = end;
  }
  pieces.push([`${text.slice(done, to)}${to < text.length ? '…' : ''}`, false]);
  return pieces.filter(([piece]) => piece);
}

/** @param {number} count @param {string} noun */
const amount = (count, noun) => `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;

/**
 * Opens the window.
 * @param {string} room
 * @param {(id: string) => unknown} showMessage
 */
export function openSearch(room, showMessage) {
  if (document.querySelector('dialog[open]')) return;
  const search = new Search(room, (id) => {
    dialog.close();
    showMessage(id);
  });
  const dialog = openDialog('Search this room', 'search', ...search.parts);
  dialog.addEventListener('close', () => search.stop());
  search.box.focus();
}

class Search {
  box = element('input');
  #room;
  #show;
  #status = element('p', 'result');
  #results = element('ol', 'found');
  #stopButton = button('Stop', () => this.stop());
  #moreButton = button('Search further', () => this.#searchOn());
  #date = element('input');
  /** @type {Walk | undefined} */
  #walk;
  /** @type {string[]} */
  #words = [];
  #limit = MAX_RESULTS;

  /** @param {string} room @param {(id: string) => void} show */
  constructor(room, show) {
    this.#room = room;
    this.#show = show;
    Object.assign(this.box, { type: 'search', ariaLabel: 'Words to find', placeholder: 'Words to find', dir: 'auto', enterKeyHint: 'search' });
    Object.assign(this.#date, { type: 'datetime-local', ariaLabel: 'Date and time', required: true, max: '9999-12-31T23:59' });
    this.#results.ariaLabel = 'Found, newest first';
    this.#status.role = 'status';
    this.#setRunning(false);
    this.#moreButton.hidden = true;
  }

  get parts() {
    const progress = element('div', 'row');
    progress.append(this.#status, this.#stopButton, this.#moreButton);
    return [
      this.#form('Search', () => this.#search(), this.box),
      progress,
      this.#results,
      element('h3', '', 'Go to a date'),
      this.#form('Go', () => this.#goTo(), this.#date),
      element('h3', '', 'Transcript'),
      button('Save what is kept as text', () => this.#save()),
    ];
  }

  /**
   * Returns a row of a field and a button, in a form: Enter presses the button.
   * @param {string} label
   * @param {() => void} act
   * @param {HTMLInputElement} field
   */
  #form(label, act, field) {
    const form = element('form', 'row look');
    form.append(field, element('button', '', label));
    form.onsubmit = (event) => {
      event.preventDefault();
      act();
    };
    return form;
  }

  stop() {
    if (this.#walk) this.#walk.stopped = true;
  }

  /** @param {boolean} running */
  #setRunning(running) {
    if (!running && this.#stopButton === document.activeElement) this.box.focus();
    this.#stopButton.hidden = !running;
  }

  /** Begins a walk, which ends the one before. */
  #begin() {
    this.stop();
    this.#walk = new Walk(window, this.#room);
    this.#moreButton.hidden = true;
    this.#setRunning(true);
    return this.#walk;
  }

  #search() {
    this.#words = foldCase(this.box.value).split(/\s+/).filter(Boolean);
    this.#results.replaceChildren();
    this.#limit = MAX_RESULTS;
    if (!this.#words.length) return void (this.#status.textContent = 'Type what is to be found.');
    this.#begin();
    this.#searchOn();
  }

  async #searchOn() {
    const walk = /** @type {Walk} */ (this.#walk);
    this.#moreButton.hidden = true;
    this.#setRunning(true);
    const takes = (/** @type {HistoryMessage[]} */ page) => {
      if (walk !== this.#walk) return false;
      for (const message of page) this.#add(message);
      this.#say(`${this.#progress(walk)}${page.length ? `, back to ${formatFull(timeOf(page[page.length - 1].id))}` : ''}…`);
      return this.#results.childElementCount < this.#limit;
    };
    const answered = await walkOn(walk, takes);
    if (walk !== this.#walk) return;
    this.#setRunning(false);
    this.#moreButton.hidden = walk.ended;
    this.#limit = this.#results.childElementCount + MAX_RESULTS;
    const end = !answered ? ' The server cannot say now what else there is.' : walk.ended ? '' : ' There are older messages.';
    this.#say(`${this.#progress(walk)}.${end}`);
  }

  /** @param {Walk} walk */
  #progress({ read }) {
    return `${this.#results.childElementCount.toLocaleString('en')} found in ${amount(read, 'message')}`;
  }

  /** @param {HistoryMessage} message */
  #add(message) {
    const places = findWords(message, this.#words);
    if (!places.length) return;
    const { id, sender, text } = message;
    const open = button('', () => this.#show(id));
    const name = element('bdi', 'sender', sender);
    const body = element('span', 'text');
    body.dir = 'auto';
    name.translate = false;
    body.append(...snippet(text, places).map(([piece, found]) => (found ? element('mark', '', piece) : piece)));
    open.append(name, ' ', element('time', '', formatFull(timeOf(id))), body);
    const item = element('li');
    item.append(open);
    this.#results.append(item);
  }

  /** @param {string} sentence */
  #say(sentence) {
    this.#status.textContent = sentence;
  }

  /** Shows the first message at a time or after it: ids are times. */
  async #goTo() {
    const time = new Date(this.#date.value).getTime();
    if (Number.isNaN(time)) return this.#say('Choose a date and a time.');
    const { messages } = await fetchHistory(window, this.#room, { after: `${Math.max(0, time)}-0`, limit: 1 });
    if (!messages) return this.#say('The server cannot say now what was written then.');
    if (!messages.length) return this.#say('Nothing was written at that time or later.');
    this.#show(messages[0].id);
  }

  /** Saves what is kept. */
  async #save() {
    const walk = this.#begin();
    this.#results.replaceChildren();
    /** @type {HistoryMessage[]} */
    const all = [];
    const takes = (/** @type {HistoryMessage[]} */ page) => {
      all.push(...page);
      this.#say(`${amount(all.length, 'message')} read…`);
      return walk === this.#walk && all.length < MAX_MESSAGES;
    };
    const answered = await walkOn(walk, takes);
    if (walk !== this.#walk) return;
    this.#setRunning(false);
    if (walk.stopped) return this.#say('Stopped: nothing was saved.');
    if (!answered) return this.#say('The server cannot be read now: nothing was saved.');
    const now = new Date();
    const text = transcriptText(this.#room, all.reverse(), { now, origin: location.origin, cut: !walk.ended });
    download(`${this.#room}-${now.toISOString().slice(0, 10)}.txt`, text);
    this.#say(`${amount(all.length, 'message')} saved.`);
  }
}
