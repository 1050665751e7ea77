/**
 * The help window: keys, what a message can contain, and the choice of desktop notifications.
 */

import { element } from './dom.js';

/** @typedef {typeof import('./notifications.js')} Notices */

const KEYS = [
  ['Enter', 'send; on a touch screen, the button sends'],
  ['Shift+Enter', 'break the line'],
  ['↑', 'in the empty box: your last message, then earlier ones'],
  ['@ or Tab', 'complete a name'],
  ['/', 'go to the message box'],
  ['Alt+↑ or Alt+↓', 'go to the room above or below'],
  ['Esc', 'close a list, details or this window; what you typed stays'],
  ['?', 'this help'],
];

const SYNTAX = [
  ['`code`', 'code; ``` on lines of their own enclose more of it'],
  ['#room', 'a link to that room'],
  ['@name', 'mentions that person'],
  ['the time', 'a link to its message'],
  ['the i by it', 'which node took the message, and how long yours took to be shown; on a touch screen, tap the message'],
];

const ABOUT = 'A room is its address: share it, and anyone who opens it is in. Names are free; there are no accounts.';

/** @type {HTMLDialogElement | undefined} */
let dialog;

/** @param {Notices} notices */
export function showHelp(notices) {
  dialog ??= createDialog(notices);
  if (!dialog.open) dialog.showModal();
}

/** @param {Notices} notices */
function createDialog(notices) {
  const made = element('dialog', 'help');
  made.ariaLabel = 'Help';
  const form = element('form'); // first, so that opening the dialog focuses its button and scrolls nothing
  form.method = 'dialog';
  form.append(element('h2', '', 'Help'), element('button', '', 'Close'));
  made.append(
    form,
    element('h3', '', 'Keys'),
    definitions(KEYS, keyCaps),
    element('h3', '', 'In a message'),
    definitions(SYNTAX, (term) => [term]),
    element('p', '', ABOUT),
    notificationChoice(notices),
  );
  made.onclick = ({ target }) => target === made && made.close(); // the backdrop
  document.body.append(made);
  return made;
}

/** @param {string[][]} rows @param {(term: string) => (string | Node)[]} renderTerm */
function definitions(rows, renderTerm) {
  const list = element('dl');
  for (const [term, meaning] of rows) {
    const name = element('dt');
    name.append(...renderTerm(term));
    list.append(name, element('dd', '', meaning));
  }
  return list;
}

/** Renders the names of keys as keys. @param {string} term */
const keyCaps = (term) => term.split(/( or )/).map((part) => (part === ' or ' ? part : element('kbd', '', part)));

/** Returns the select for notifications, or nothing where the browser has none. @param {Notices} notices */
function notificationChoice({ CHOICES, areSupported, choice, choose }) {
  if (!areSupported()) return '';
  const label = element('label', 'notices', 'Desktop notifications ');
  const select = element('select');
  for (const [value, text] of Object.entries(CHOICES)) select.append(new Option(text, value));
  select.value = choice();
  select.onchange = async () => (select.value = await choose(select.value));
  label.append(select);
  return label;
}
