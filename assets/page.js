/**
 * The chat page: joins the session to the log, the status line and the box. The rest of it comes when somebody is
 * there, or soon: when it is needed, the page may be offline.
 */

import { Composer } from './compose.js';
import { Log } from './log.js';
import { recall, remember } from './memory.js';
import { openSession } from './session.js';
import { Status } from './status.js';

const KEPT = 'The server cannot be reached. Your message is kept, and will be sent when it can.';

const one = (selector) => document.querySelector(selector);
const [form, messages, sender, line] = ['.composer', '.messages', '#sender', '.status'].map(one);
const room = one('h1').textContent;
const offered = [...document.querySelectorAll('nav bdi')].map(({ textContent }) => textContent);
const name = () => sender.value;

sender.value ||= recall('name');

/** What the rest needs to know, and what it changes. */
const page = { one, name, who: {}, rooms: [], items: [], took: new Map(), heard() {}, changed() {}, goTo() {} };
page.settle = (key, message) => log.add(message);

const session = openSession(
  { room, offered, name, cursor: messages.dataset.cursor, node: line.dataset.node },
  {
    message: (message) => log.add(message),
    gap: (gap) => log.gap(gap),
    state(now, details) {
      status.show(now, details);
      if (now !== 'live') return;
      one('.empty')?.classList.remove('storeless');
      rest();
    },
    presence: (who) => page.changed((page.who = who)),
    rooms: (rooms) => page.changed((page.rooms = rooms)),
    async outbox(items) {
      page.items = items;
      if (items.length) await rest();
      const error = one('#send-error');
      if (items.length && !coming) error.textContent = KEPT; // the network went before the rest came
      else if (error.textContent === KEPT) error.textContent = '';
      page.changed();
    },
    settled(key, message, sent) {
      page.settle(key, message); // at once: the pending line goes next
      const { id } = message;
      const shown = () => document.getElementById(id) && page.took.set(id, performance.now() - sent);
      if (sent && !document.hidden) requestAnimationFrame(shown);
    },
    mine(id) {
      const line = document.getElementById(id);
      if (line) log.draw(line, { ...log.said.get(line), mine: true });
    },
  },
);

const status = new Status(line, () => session.reconnect());
const log = new Log(messages, one('.newer'), {
  name,
  room,
  path: form.getAttribute('action'),
  mine: (id) => session.mine(id),
  seen: (id) => session.read(id),
  heard: () => page.heard(),
});
const composer = new Composer(form, one('#send-error'), room, (text) => {
  session.send(text);
  log.follow();
});

one('#elsewhere').onsubmit = async (event) => {
  event.preventDefault();
  await rest();
  page.goTo();
};
sender.oninput = () => {
  remember('name', sender.value);
  session.renamed();
};

Object.assign(page, { session, log, composer });

let coming;
let pressed; // the last key before the rest was here
function rest(event) {
  if (event?.type === 'keydown') pressed = event;
  coming ??= import('./rest.js').then(
    ({ open }) => open(page, pressed),
    () => (coming = null),
  );
  return coming;
}
for (const sign of ['keydown', 'pointermove', 'focusin']) addEventListener(sign, rest);
setTimeout(rest, 1500);
