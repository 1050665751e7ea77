/**
 * Reading: older messages and newer ones, a message by its address, the line at the first unread one, the names of days.
 * Each function has the log as its first argument. The log's lines stay an unbroken stretch of at most CAP.
 */

import { dayName, midnight } from './days.js';
import { history } from './history.js';
import { CAP, element } from './log.js';
import { newer as isAfter, takenAt } from './text.js';

const SOME = 100; // messages at a time
const FEW = 50;

let busy = null;
let boundary = null;
let line = null;

/** One reading at a time; who asks meanwhile gets the same. */
function alone(read) {
  busy ??= read().finally(() => (busy = null));
  return busy;
}

async function ask(log, query) {
  const { room, mine } = log.host;
  const { messages } = await history(globalThis, room, query);
  return messages?.map((message) => ({ ...message, at: takenAt(message.id), mine: mine(message.id) }));
}

/** Changes the log around the line that the reader looks at, which stays where it is; nothing of it is read out. */
export function still(log, change) {
  const { scroller, messages } = log;
  const edge = scroller.getBoundingClientRect().top;
  const top = (kept) => kept.getBoundingClientRect().top;
  const kept = messages.find((each) => top(each) >= edge) ?? messages.at(-1);
  const before = kept && top(kept);
  scroller.classList.add('held');
  scroller.ariaLive = 'off';
  change();
  if (kept?.isConnected) scroller.scrollTop += top(kept) - before;
  setTimeout(() => {
    scroller.classList.remove('held');
    if (log.host.tell) scroller.ariaLive = 'polite'; // the page reads out by then
  }, 100);
}

function begin(log, sentence) {
  log.scroller.firstElementChild.textContent = sentence;
}

/** Whether there was something older. */
export function older(log, limit = SOME) {
  return alone(async () => {
    const [first] = log.messages;
    if (!first || log.begun) return false;
    begin(log, 'Reading older messages…');
    const found = await ask(log, { before: first.id, limit });
    begin(log, found ? '' : 'Older messages cannot be read now.');
    if (!found) return false;
    still(log, () => {
      let above = log.lines.firstElementChild;
      for (const message of found) {
        log.insert(message, above);
        if (!above.isConnected) above = first; // the day that it named began earlier
      }
      while (log.lines.childElementCount > CAP) cut(log);
      if (boundary && isAfter(first.id, boundary)) unread(log, boundary);
    });
    log.begun = found.length < limit;
    const { n } = /-(?<n>\d+)/.exec(log.messages[0].id).groups;
    if (log.begun) begin(log, n === '1' ? 'This is where the room begins.' : 'What came before is no longer kept.');
    return found.length > 0;
  });
}

/** Takes the lowest line away: the log does not reach the room's end any more. */
function cut(log) {
  const last = log.end ? log.end.previousElementSibling : log.lines.lastElementChild;
  last.remove();
  if (log.tail) log.away();
}

/** Reads on below. When the end is reached, what came during the last reading is read, too. */
export function newer(log) {
  return alone(async () => {
    const found = await ask(log, { after: log.messages.at(-1).id, limit: SOME });
    if (!found) return;
    still(log, () => {
      for (const message of found) add(log, message);
      if (log.lines.childElementCount > CAP) log.shorten();
    });
    if (found.length < SOME) await join(log);
  });
}

function add(log, message) {
  if (!document.getElementById(message.id)) log.put(message);
}

async function join(log) {
  log.tail = true;
  const last = log.messages.at(-1);
  const missed = last && (await ask(log, { after: last.id, limit: 200 }));
  for (const message of missed ?? []) add(log, message);
  log.settle();
}

/** Leaps to the room's end. */
export async function latest(log) {
  await busy;
  if (log.tail) return;
  await alone(async () => {
    const found = await ask(log, { limit: FEW });
    if (!found) return log.away();
    const end = log.end;
    while (log.lines.firstChild && log.lines.firstChild !== end) log.lines.firstChild.remove();
    log.begun = false;
    begin(log, '');
    for (const message of found) add(log, message);
    await join(log);
    log.follow();
  });
}

/** Shows a message, and reads back to it. */
export async function open(log, id) {
  const reached = () => document.getElementById(id);
  const last = log.messages.at(-1);
  if (!reached() && !log.tail && last && isAfter(id, last.id)) await latest(log);
  while (!reached() && log.messages[0] && isAfter(log.messages[0].id, id)) {
    if (!(await older(log, 200))) break;
  }
  log.heed(false);
  document.querySelector('.lost')?.remove();
  if (reached()) location.replace(`#${id}`); // marks it as the :target, and scrolls
  else {
    const lost = element('p', 'gap lost', 'The message of this link is no longer kept.');
    const below = log.messages.find((each) => isAfter(each.id, id)) ?? log.end;
    log.lines.insertBefore(lost, below);
    lost.scrollIntoView({ block: 'center' });
    log.host.tell?.(lost.textContent);
  }
}

/** The line above the first message that is new. */
export function mark(log, first) {
  line?.remove();
  line = element('p', 'unread', 'New');
  first.before(line);
  log.settle();
}

export function unread(log, id) {
  boundary = id;
  const first = log.messages.find((each) => isAfter(each.id, id) && !each.classList.contains('mine'));
  if (first) mark(log, first);
}

/** One of the messages' addresses is in the order of the tabulator; the arrows lead from one to the next. */
export function walk(log) {
  const all = () => [...log.lines.querySelectorAll('a.when')];
  const stop = (here) => all().forEach((each) => (each.tabIndex = each === here ? 0 : -1));
  const near = (target) => target.closest('.message')?.querySelector('a.when');
  log.scroller.addEventListener('focusin', ({ target }) => stop(near(target) ?? all().at(-1)));
  log.scroller.addEventListener('keydown', (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const at = event.target.matches('.when, .more') ? all().indexOf(near(event.target)) : -1;
    if (!step || at < 0) return;
    event.preventDefault();
    all()[at + step]?.focus();
  });
  stop(near(document.activeElement) ?? all().at(-1));
}

/** Milliseconds until the day is over; some days have 23 hours, some 25. */
export const untilMidnight = (now) => midnight(now, 1) - now;

/** The days' names, now and whenever a day is over. */
export function nights(log) {
  for (const day of log.lines.querySelectorAll('.day')) {
    let next = day;
    while (next && !log.said.has(next)) next = next.nextElementSibling;
    if (next) day.textContent = dayName(log.said.get(next).at);
  }
  setTimeout(() => nights(log), untilMidnight(new Date()) + 50);
}
