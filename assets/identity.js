/**
 * The dialogs about who the user is here: their mark, the link that brings it to another browser, and the question that a
 * page asks which was opened by such a link. Loaded when one of them is opened.
 */

import { openDialog } from './dialogs.js';
import { button, element } from './dom.js';
import { earlierIdentities, identityLink, ownIdentity, useIdentity } from './identities.js';
import { drawPattern, lettersOf } from './mark.js';
import { ownSecret } from './secret.js';
import { linkCard } from './share.js';
import { storage } from './storage.js';

/** @import { Identity } from './identities.js' */

const ABOUT = 'Names are free, so two people may have the same. This pattern and these letters are yours alone: the server makes them of a secret that only this browser holds.';
const MOVE = 'The link below is your key: whoever has it can write as you, and edit and delete your messages. Open it in your own browsers only, and send it to no one.';
const WARNING = 'Say yes only if the link is your own. Whoever gave it to you holds the same key: they could write as you, and edit and delete what you write.';

/**
 * Opens the dialog about this browser's identity.
 * @param {() => void} onChange another identity is used from now on
 */
export function showIdentity(onChange) {
  ownSecret(storage);
  const own = ownIdentity(storage);
  const move = element('details');
  move.append(element('summary', '', 'Use it in another browser'), element('p', 'warning', MOVE));
  // The key is shown only to a user who asks for it.
  move.ontoggle = () => {
    if (move.open && !move.querySelector('.link-card')) move.append(linkCard(identityLink(own, location.origin + location.pathname), 'Your key'));
  };
  const dialog = openDialog('Your identity', 'identity', face(own), element('p', '', ABOUT), move);
  const earlier = earlierIdentities(storage);
  if (!earlier.length) return;
  const list = element('ul', 'earlier');
  for (const identity of earlier) {
    const item = element('li');
    const use = () => {
      useIdentity(storage, identity);
      onChange();
      dialog.close();
    };
    item.append(face(identity), button('Use this again', use));
    list.append(item);
  }
  dialog.append(element('h3', '', 'Before this one'), list);
}

/**
 * Asks whether the identity of a link is to be used. Nothing changes before a yes.
 * @param {Identity} identity
 * @param {() => void} onChange
 */
export function offerIdentity(identity, onChange) {
  const own = ownIdentity(storage);
  if (own.secret === identity.secret) return openDialog('This is your identity already', 'identity', face(own));
  const [question, keep] = own.secret
    ? ['Use this identity here instead of yours?', 'Keep mine']
    : ['Use this identity here?', 'No'];
  const warning = element('p', 'warning', WARNING);
  const answers = element('p', 'row');
  const accept = () => {
    useIdentity(storage, identity);
    onChange();
    dialog.close();
  };
  const refuse = button(keep, () => dialog.close());
  answers.append(refuse, button('Use it', accept));
  const rows = [named('The identity of the link', face(identity))];
  if (own.secret) rows.push(named('Yours, which is kept: you can take it back', face(own)));
  const dialog = openDialog(question, 'identity', ...rows, warning, answers);
  refuse.focus();
  return dialog;
}

/** Returns how an identity looks. @param {Identity} identity */
function face({ mark }) {
  const shown = element('p', 'face');
  if (mark) {
    const letters = element('span', 'letters', lettersOf(mark));
    letters.translate = false;
    shown.append(drawPattern(mark), letters);
  } else shown.append('Its pattern is known after its first message.');
  return shown;
}

/** @param {string} name @param {HTMLElement} shown */
function named(name, shown) {
  const row = element('div', 'named');
  row.append(element('h3', '', name), shown);
  return row;
}
