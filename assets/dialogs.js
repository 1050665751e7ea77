/**
 * Dialogs that are made when they are opened, and removed when they are closed.
 */

import { element } from './dom.js';

/**
 * Opens a modal dialog with a heading and a button that closes it, and returns it.
 * @param {string} title
 * @param {string} className
 * @param {(string | Node)[]} content
 */
export function openDialog(title, className, ...content) {
  const dialog = element('dialog', className);
  const form = element('form'); // first, so that opening the dialog focuses its button and scrolls nothing
  form.method = 'dialog';
  form.append(element('h2', '', title), element('button', '', 'Close'));
  dialog.ariaLabel = title;
  dialog.append(form, ...content);
  showDialog(dialog);
  return dialog;
}

/** Shows a modal dialog until it is closed, as by a click beside it. @param {HTMLDialogElement} dialog */
export function showDialog(dialog) {
  dialog.onclick = ({ target }) => void (target === dialog && dialog.close()); // the backdrop; false would prevent what a click does
  dialog.onclose = () => dialog.remove();
  document.body.append(dialog);
  dialog.showModal();
}
