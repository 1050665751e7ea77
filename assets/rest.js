/**
 * The rest of the page: what comes after the first view.
 */

import { Details, asker } from './details.js';
import { GAPS, parts } from './lines.js';
import { element } from './log.js';
import { recall, remember } from './memory.js';
import { settle, showPending } from './pending.js';
import { showPeople } from './people.js';
import { nights, older, still, unread, walk } from './reading.js';
import { goTo, showRooms } from './rooms.js';
import { writeOn } from './writing.js';

const BURST = 4; // messages a second that are read out one by one

/** `event` is the key that was pressed before, if any. */
export function open(page, event) {
  const { one, log, composer, session } = page;
  const { box } = composer;
  const nav = one('nav ul');
  const sender = one('#sender');

  const style = element('link');
  style.rel = 'stylesheet';
  style.href = new URL('rest.css', import.meta.url);
  document.head.append(style);
  const word = () => still(log, () => log.messages.forEach((line) => log.word(line)));
  log.gaps = GAPS;
  log.parts = (text, mine) => parts(text, mine ? '' : page.name());
  word();

  const ways = {
    retry: (key) => session.retry(key),
    discard: (key) => session.discard(key),
    edit(key) {
      composer.put([session.discard(key), box.value].filter(Boolean).join('\n'));
      box.focus();
    },
  };

  page.settle = (key, message) => settle(log, key, message);
  page.changed = () => {
    showPending(log, page.items, ways);
    showPeople(one('.people'), page.who, (name) => composer.put(`${box.value}@${name} `));
    showRooms(nav, page.rooms);
  };
  page.changed();
  nav.querySelector('[aria-current]').scrollIntoView({ block: 'nearest', inline: 'nearest' }); // on a phone it may lie outside

  const read = session.unread();
  if (read) unread(log, read);
  nights(log);
  walk(log);
  if (log.scroller.scrollHeight <= log.scroller.clientHeight) older(log);

  readOut(page);
  new Details(log, asker(globalThis, log.host.room), page.took);
  const writing = writeOn(composer, one('#count'), {
    said: () => [...log.lines.querySelectorAll('.mine')].map((line) => log.said.get(line).text),
    names: () => [...(page.who.names ?? []), ...senders(log)].filter((name) => name !== page.name()),
  });
  sender.onchange = word;

  page.goTo = () => goTo(one('#room'), one('#room-error'));
  one('.ask').onclick = help;
  shades(one('.theme'));
  document.addEventListener('keydown', (pressed) => press(pressed, nav, box));
  if (event) {
    if (event.target === box) writing.pressed(event);
    press(event, nav, box);
  }
}

const senders = (log) => log.messages.map((line) => log.said.get(line).sender).reverse();

const help = async () => (await import('./help.js')).help();

function press(event, nav, box) {
  const { key, altKey, ctrlKey, metaKey, target } = event;
  if (ctrlKey || metaKey || event.isComposing) return;
  const step = altKey && { ArrowUp: -1, ArrowDown: 1 }[key];
  if (step) {
    const links = [...nav.querySelectorAll('a')];
    const at = links.findIndex((link) => link.ariaCurrent);
    links.at((at + step) % links.length).click();
  } else if (altKey || target.closest('input, textarea, select, dialog')) return;
  else if (key === '/') box.focus();
  else if (key === '?') help();
  else return;
  event.preventDefault();
}

/** The log is polite as soon as it stands `still`: history is not read out. Many messages at once are told by their number. */
function readOut(page) {
  const { one, log } = page;
  const tell = (sentence) => (one('#said').textContent = sentence);
  let burst = 0;
  log.host.tell = tell;
  page.heard = () => {
    burst += 1;
    if (burst > BURST) log.scroller.ariaLive = 'off';
    if (burst > 1) return;
    setTimeout(() => {
      if (burst > BURST) tell(`${burst} new messages`);
      burst = 0;
      log.scroller.ariaLive = 'polite';
    }, 1000);
  };
}

/** The button goes from the system's colours to light, to dark, and back. */
function shades(button) {
  const root = document.documentElement;
  const next = { system: 'light', light: 'dark', dark: 'system' };
  const show = (now) => {
    root.dataset.theme = now;
    button.ariaLabel = button.title = `Colours: ${now}`;
  };
  show(recall('theme') || 'system');
  button.onclick = () => {
    show(next[root.dataset.theme]);
    remember('theme', root.dataset.theme);
  };
  addEventListener('storage', ({ key, newValue }) => key === 'tiny-chat:theme' && show(newValue ?? 'system'));
}
