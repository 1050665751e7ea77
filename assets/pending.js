/**
 * What is still to be sent: a line for each message, below all others, that says how it stands and what can be done.
 */

import { element } from './log.js';

const PATIENCE = 1000; // milliseconds

const lines = new Map(); // by key
let timer;

/** What a line says of its message, and what it offers. */
export function standing({ state, reason, until }, now = Date.now()) {
  const left = Math.max(1, Math.ceil((until - now) / 1000));
  const soon = until ? `in ${left} s` : 'soon';
  switch (state) {
    case 'failed':
      return { says: `Not sent. ${reason || 'The server did not take it.'}`, offers: ['Retry', 'Edit', 'Discard'] };
    case 'unsure':
      return { says: 'Messages are missing here, and this may be among them.', offers: ['Send again', 'Edit', 'Discard'] };
    case 'waiting':
      return { says: `A little too fast; goes out ${soon}`, offers: ['Edit', 'Discard'] };
    case 'queued':
      return { says: 'Waits to be sent', offers: ['Edit', 'Discard'] };
    default:
      return { says: 'Sending…', offers: [] };
  }
}

/** Shows `items`, oldest first. `host` has `retry(key)`, `edit(key)` and `discard(key)`. */
export function showPending(log, items, host) {
  const keys = new Set(items.map(({ key }) => key));
  for (const [key, line] of lines) {
    if (!keys.has(key)) take(key, line);
  }
  for (const item of items) tell(lines.get(item.key) ?? begin(log, item), item, host);
  clearTimeout(timer);
  const early = items.some(({ at }) => Date.now() - at < PATIENCE);
  if (early || items.some(({ until }) => until)) timer = setTimeout(showPending, 500, log, items, host);
  log.settle();
}

/** The line becomes the message; another page may show it already. */
export function settle(log, key, message) {
  const line = lines.get(key);
  if (!line) return log.add(message);
  lines.delete(key);
  delete line.dataset.key;
  line.querySelector('.note')?.remove();
  if (document.getElementById(message.id) || !log.tail) line.remove();
  else log.put(message, line);
  log.settle();
}

function begin(log, { key, sender, text, at }) {
  const line = element('div');
  line.dataset.key = key;
  lines.set(key, line);
  log.insert({ sender: sender.trim() || 'Anonymous', text, mine: true, at: new Date(at) }, null, line);
  return line;
}

function take(key, line) {
  const had = line.contains(document.activeElement);
  line.remove();
  lines.delete(key);
  if (had) document.querySelector('#message').focus();
}

/** Touched only where it changes: the log is read out. What is sent in a moment needs no words. */
function tell(line, item, host) {
  const { says, offers } = standing(item);
  const failed = offers.length > 2;
  line.classList.toggle('failed', failed);
  line.classList.toggle('pending', !failed);
  let note = line.querySelector('.note');
  if (note?.dataset.state !== item.state) {
    note?.remove();
    note = element('div', 'note');
    note.dataset.state = item.state;
    const sentence = element('span', 'says');
    if (failed) sentence.role = 'alert';
    else sentence.ariaLive = 'off';
    note.append(sentence, ...offers.map((offer) => button(offer, item.key, host)));
    line.append(note);
  }
  note.hidden = !failed && Date.now() - item.at < PATIENCE;
  if (note.firstChild.textContent !== says) note.firstChild.textContent = says;
}

function button(offer, key, host) {
  const made = element('button', '', offer);
  made.type = 'button';
  made.onclick = () => {
    if (offer === 'Edit') host.edit(key);
    else if (offer === 'Discard') host.discard(key);
    else host.retry(key);
  };
  return made;
}
