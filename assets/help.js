/**
 * Help: the keys, what a message can hold, and of what one wants to be notified.
 */

import { element } from './log.js';
import { CHOICES, choose, chosen, offered } from './notice.js';

const KEYS = [
  ['Enter', 'send; on a touch screen, the button sends'],
  ['Shift+Enter', 'break the line'],
  ['↑', 'in the empty box: what you said last, and before that'],
  ['@ or Tab', 'complete a name'],
  ['/', 'go to the message box'],
  ['Alt+↑ or Alt+↓', 'go to the room above or below'],
  ['Esc', 'close a list, details or this window; what you typed stays'],
  ['?', 'this help'],
];

const FORMS = [
  ['`code`', 'code; ``` on lines of their own frame more of it'],
  ['#room', 'a link to that room'],
  ['@name', 'calls somebody'],
  ['the time', 'a link to its message'],
  ['the i by it', 'which node took it, and how long yours was on its way; on a touch screen, tap the message'],
];

let dialog;

/** What names a key looks like one. */
const keys = (term) => term.split(/( or )/).map((part) => (part === ' or ' ? part : element('kbd', '', part)));

function table(rows, of) {
  const list = element('dl');
  for (const [term, meaning] of rows) {
    const name = element('dt');
    name.append(...of(term));
    list.append(name, element('dd', '', meaning));
  }
  return list;
}

/** Nothing where the browser has no notifications. */
function notices() {
  if (!offered()) return '';
  const label = element('label', 'notices', 'Desktop notifications ');
  const select = element('select');
  for (const [value, text] of Object.entries(CHOICES)) select.append(new Option(text, value));
  select.value = chosen();
  select.onchange = async () => (select.value = await choose(select.value));
  label.append(select);
  return label;
}

export function help() {
  if (!dialog) {
    dialog = element('dialog', 'help');
    dialog.ariaLabel = 'Help';
    const form = element('form'); // first, so that opening it scrolls nothing
    form.method = 'dialog';
    form.append(element('h2', '', 'Help'), element('button', '', 'Close'));
    const about = 'A room is its address: share it, and whoever opens it is in. Names are free; nobody signs in.';
    dialog.append(
      form,
      element('h3', '', 'Keys'),
      table(KEYS, keys),
      element('h3', '', 'In a message'),
      table(FORMS, (term) => [term]),
      element('p', '', about),
      notices(),
    );
    dialog.onclick = ({ target }) => target === dialog && dialog.close();
    document.body.append(dialog);
  }
  if (!dialog.open) dialog.showModal();
}
