/**
 * Details of a message, on demand: which node took it and, if it was sent from this page, how long it took to the screen.
 * A button beside the time opens them, on touch a tap on the message; one at a time. They lie above the log: nothing moves.
 */

import { full } from './days.js';
import { element } from './log.js';

const PATIENCE = 10_000; // milliseconds; an answer later than that counts as none
const LONG = 400; // milliseconds; an answer that comes sooner needs no announcement
const SPACE = 4; // pixels from what they belong to

/** A function that says of an id which node took it. Each is asked for once, unless nobody could say. */
export function asker(world, room) {
  const known = new Map();
  const ask = async (id) => {
    const { says, again } = await taker(world, room, id);
    if (again) known.delete(id);
    return says;
  };
  return (id) => known.get(id) ?? known.set(id, ask(id)).get(id);
}

async function taker(world, room, id) {
  const path = `/history/${encodeURIComponent(room)}/${id}`;
  try {
    const response = await world.fetch(path, { signal: AbortSignal.timeout(PATIENCE) });
    if (response.ok) return { says: taken(await response.json()) };
    if (response.status === 404) return { says: 'No longer kept; who took it is forgotten.' };
    return { says: 'The server cannot say now which node took it.', again: true };
  } catch {
    return { says: 'Offline: nobody can say which node took it.', again: true };
  }
}

const taken = ({ node }) => (node ? `Taken by ${node}` : 'Taken by a node without a name');

/** What a person felt: all waiting is in it. */
export const delay = (ms) => `${duration(ms)} from Send to screen`;

function duration(ms) {
  const whole = Math.max(1, Math.round(ms));
  if (whole < 1000) return `${whole} ms`;
  const tenths = Math.round(ms / 100);
  return tenths < 600 ? `${tenths / 10} s` : `${Math.round(ms / 60_000)} min`;
}

export class Details {
  #log;
  #ask;
  #took;
  #line = null;
  #button;
  #box = element('div', 'details');
  #pointer;

  /** `ask(id)` says who took a message; `took` has the milliseconds of those that were sent from here, by id. */
  constructor(log, ask, took) {
    this.#log = log;
    this.#ask = ask;
    this.#took = took;
    this.#box.ariaLive = 'off'; // the log is read out
    const { scroller } = log;
    for (const sign of ['pointerover', 'focusin']) scroller.addEventListener(sign, ({ target }) => offer(lineOf(target)));
    scroller.addEventListener('pointerdown', ({ pointerType }) => (this.#pointer = pointerType));
    document.addEventListener('click', ({ target }) => this.#clicked(target));
    document.addEventListener('focusin', ({ target }) => this.#left(target) && this.close());
    document.addEventListener('keydown', ({ key }) => key === 'Escape' && this.close());
    new ResizeObserver(() => requestAnimationFrame(() => this.#place())).observe(scroller); // after the log has settled
  }

  async open(line) {
    this.close();
    this.#line = line;
    this.#button = offer(line);
    this.#button.ariaExpanded = 'true';
    const waiting = setTimeout(() => this.#show(line, 'Asking which node took it…'), LONG);
    const says = await this.#ask(line.id);
    clearTimeout(waiting);
    const took = this.#took.get(line.id);
    const told = took ? [says, delay(took)] : [says];
    if (this.#show(line, ...told)) this.#log.host.tell(told.join(', '));
  }

  close() {
    if (!this.#line) return;
    this.#button.ariaExpanded = 'false';
    this.#box.remove();
    this.#line = null;
  }

  /** Unless they were closed meanwhile. */
  #show(line, ...told) {
    if (line !== this.#line) return false;
    const rows = told.map((sentence) => element('p', '', sentence));
    this.#box.replaceChildren(...rows, element('p', 'fact', full(this.#log.said.get(line).at)), element('p', 'fact id', line.id));
    line.append(this.#box);
    this.#place();
    return true;
  }

  /** Below the message; above it where that would not be seen, or make the log longer; over it where it fills the screen. */
  #place() {
    if (!this.#box.isConnected) return;
    const [view, lines, whole] = [this.#log.scroller, this.#log.lines, this.#line].map((each) => each.getBoundingClientRect());
    const height = this.#box.offsetHeight;
    const below = whole.bottom + SPACE;
    const above = Math.max(view.top, whole.top - SPACE - height);
    const fits = below + height <= Math.min(view.bottom, lines.bottom);
    this.#box.style.top = `${(fits ? below : above) - whole.top}px`;
  }

  #clicked(target) {
    if (this.#box.contains(target)) return;
    const line = this.#meant(target) ? lineOf(target) : null;
    if (line && line !== this.#line) this.open(line);
    else this.close();
  }

  #meant(target) {
    return target.closest('.more') || (this.#pointer !== 'mouse' && !target.closest('a, button'));
  }

  /** Whether the focus went elsewhere; the log itself gets it from any click. */
  #left(target) {
    return target !== this.#log.scroller && !this.#line?.contains(target);
  }
}

/** A foreign message has no id, and one that is not sent yet neither: nothing more is known of them. */
const lineOf = (target) => target.closest('.message[data-id]');

/** The button of a line that is pointed at, or has the focus. */
function offer(line) {
  const there = line?.querySelector('.more');
  if (!line || there) return there;
  const button = element('button', 'more');
  Object.assign(button, { type: 'button', title: 'Details', ariaLabel: 'Details', ariaExpanded: 'false', ariaLive: 'off' });
  line.querySelector('.when').after(button);
  return button;
}
