/**
 * Help: the keys, what a message can hold, and of what one wants to be notified.
 */

import { element } from './log.js';
import { CHOICES, choose, chosen, offered } from './notice.js';

const KEYS = [
  ['Enter', 'send; on a touch screen, the button sends'],
  ['Shift Enter', 'break the line'],
  ['↑', 'in the empty box: what you said last, and before that'],
  ['@ or Tab', 'complete a name'],
  ['/', 'go to the message box'],
  ['Alt ↑ or ↓', 'go to the room above or below'],
  ['Esc', 'close a list or this window; what you typed stays'],
  ['?', 'this help'],
];

const FORMS = [
  ['`code`', 'code; ``` on lines of their own frame more of it'],
  ['#room', 'a link to that room'],
  ['@name', 'calls somebody'],
  ['the time of a message', 'is a link to that message'],
];

let dialog;

function table(rows, of) {
  const list = element('dl');
  for (const [term, meaning] of rows) {
    const name = element('dt');
    name.append(element(of, '', term));
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
    const close = element('button', '', 'Close');
    const form = element('form');
    form.method = 'dialog';
    form.append(close);
    const about = 'A room is its address: share it, and whoever opens it is in. Names are free; nobody signs in.';
    dialog.append(
      element('h2', '', 'Keys'),
      table(KEYS, 'kbd'),
      element('h2', '', 'In a message'),
      table(FORMS, 'span'),
      element('p', '', about),
      notices(),
      form,
    );
    dialog.onclick = ({ target }) => target === dialog && dialog.close();
    document.body.append(dialog);
  }
  if (!dialog.open) dialog.showModal();
}
