/**
 * The help window: keys, what a message can contain, and what the user can set.
 */

import { openDialog } from './dialogs.js';
import { element } from './dom.js';

const KEYS = [
  ['Enter', 'send'],
  ['Shift+Enter', 'break the line'],
  ['↑', 'in the empty box: your last message, then earlier ones'],
  ['@ or Tab', 'complete a name'],
  ['Ctrl+K', 'go to a room by its name'],
  ['E', 'edit your message, on which the focus is; Delete deletes it'],
  ['any letter', 'what you type anywhere goes to the message box, as does /'],
  ['Alt+↑ or Alt+↓', 'go to the room above or below'],
  ['Ctrl+Shift+F', 'search this room, go to a date, save a transcript'],
  ['Esc', 'close a list, details or this window; what you typed stays'],
  ['?', 'this help'],
];

const SYNTAX = [
  ['`code`', 'code; ``` on lines of their own enclose more of it'],
  ['#room', 'a link to that room'],
  ['@name', 'mentions that person'],
  ['> text', 'a quote'],
];

const MENU = 'reply, copy, share, edit, delete, mute, and which node took the message';
const MOUSE = [
  ['the time', 'a link to its message'],
  ['the dots', MENU],
];
const TOUCH = [
  ['tap a message', MENU],
  ['tap its time', 'a link to it'],
  ['Send', 'sends; Enter breaks the line'],
];

const ABOUT = 'A room is its address: share it, and anyone who opens it is in. Names are free; there are no accounts.';

/** @param {HTMLElement} settings as they are now */
export function showHelp(settings) {
  const touch = matchMedia('(pointer: coarse)').matches; // keys are of no use there
  const heading = (/** @type {string} */ text) => element('h3', '', text);
  const plain = (/** @type {string} */ term) => [term];
  const controls = touch
    ? [heading('By touch'), definitions(TOUCH, plain)]
    : [heading('Keys'), definitions(KEYS, keyCaps), heading('By each message'), definitions(MOUSE, plain)];
  openDialog('Help', 'help', element('p', '', ABOUT), ...controls, heading('In a message'), definitions(SYNTAX, plain), settings);
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
