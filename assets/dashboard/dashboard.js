/**
 * The page of the dashboard. Loaded by it:
 *
 *   plots.js       plots with a common crosshair, drawn by uPlot (uplot.min.js, uplot.css; MIT, uplot.LICENSE)
 *   tables.js      nodes, keys and rooms
 *   wire-view.js   a room's frames as they are sent; frames.js cuts them out of the stream
 *   format.js      numbers, times and units
 *
 * It is live over a stream of our own, which says when a node has written a summary; the numbers are asked for then.
 */

import { find } from '../dom.js';
import { enableThemeButton } from '../theme-button.js';
import { clock } from './format.js';
import { KEY_PLOTS, NODE_PLOTS, showPlots } from './plots.js';
import { nodeNames, showKeys, showNodes, showRooms } from './tables.js';
import { enableWireView } from './wire-view.js';

/** How long to wait for further nodes, which write at the same time, in milliseconds. */
const TOGETHER = 200;

/** The pause before a stream that the browser has given up is opened again, in milliseconds. */
const RETRY = 5000;

const form = /** @type {HTMLFormElement} */ (find('.choice'));
const [status, trouble, container] = [find('.status'), find('.trouble'), find('.plots')];
const { node: nodeChoice, key: keyChoice } = /** @type {Record<string, HTMLSelectElement>} */ (/** @type {unknown} */ (form.elements));
const wire = enableWireView(find('.wire'));

let plots = showPlots(container, NODE_PLOTS);
let plotted = NODE_PLOTS;
let updated = 0;
/** The number of the last request, so that a late answer does not replace a later one. */
let requests = 0;

/** Returns what is chosen, as a query. */
function chosen() {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) query.set(name, String(value));
  return query;
}

/** Restores what was chosen before the page was loaded anew. */
function restore() {
  const query = new URLSearchParams(location.search);
  const range = form.querySelector(`input[value="${CSS.escape(query.get('range') ?? '')}"]`);
  if (range instanceof HTMLInputElement) range.checked = true;
  for (const select of [nodeChoice, keyChoice]) {
    const value = query.get(select.name);
    if (value) select.append(new Option(value, value, false, true));
  }
}

async function load() {
  const request = ++requests;
  let problem = '';
  try {
    const response = await fetch(new URL(`/dashboard/data?${chosen()}`, location.origin), { headers: { Accept: 'application/json' } });
    const answer = await response.json();
    if (request !== requests) return;
    if (response.ok) show(answer);
    else problem = answer.detail;
  } catch {
    problem = 'The node does not answer.';
  }
  if (request !== requests) return;
  trouble.hidden = !problem;
  const since = updated ? ` What is shown is of ${clock(updated / 1000, 10)}.` : '';
  trouble.textContent = problem && `${problem}${since}`;
}

/** @param {any} data */
function show(data) {
  updated = data.now;
  const specs = keyChoice.value ? KEY_PLOTS : NODE_PLOTS;
  if (specs !== plotted) {
    plots.destroy();
    plots = showPlots(container, (plotted = specs));
  }
  plots.update(data);
  const names = nodeNames(data.nodes);
  offer(nodeChoice, data.nodes.map((/** @type {any} */ node, /** @type {number} */ index) =>
    [node.process, node.alive ? names[index] : `${names[index]} (ended)`]));
  offer(keyChoice, data.keys.filter((/** @type {any} */ { key }) => key).map((/** @type {any} */ { key }) => [key, key]));
  showNodes(data.nodes, data.now, (process) => choose(nodeChoice, process));
  showKeys(data.keys, (key) => choose(keyChoice, key));
  showRooms(data.rooms, (room) => {
    wire.watch(room);
    find('.wire').scrollIntoView({ block: 'start' });
  });
}

/** Offers values in a list. What is chosen stays, whether it is offered or not. @param {HTMLSelectElement} select @param {[string, string][]} values */
function offer(select, values) {
  const { value } = select;
  const all = values.some(([known]) => known === value) || !value ? values : [...values, [value, value]];
  const options = all.map(([known, name]) => new Option(name, known, false, known === value));
  const same = [...select.options].slice(1).map((option) => option.value + option.text).join('\n') === options.map((option) => option.value + option.text).join('\n');
  if (!same) select.replaceChildren(select.options[0], ...options);
}

/** @param {HTMLSelectElement} select @param {string} value */
function choose(select, value) {
  if (![...select.options].some((option) => option.value === value)) select.append(new Option(value, value));
  select.value = value;
  onChosen();
  scrollTo({ top: 0 });
}

function onChosen() {
  history.replaceState(null, '', `${location.pathname}?${chosen()}`);
  load();
}

/** @param {string} state as the chat page has it @param {string} text */
function showStatus(state, text) {
  status.dataset.state = state;
  status.textContent = text;
}

function listen() {
  const events = new EventSource(new URL('/dashboard/events', location.origin));
  let due = 0;
  events.onmessage = () => {
    clearTimeout(due);
    due = setTimeout(load, TOGETHER);
  };
  events.addEventListener('status', ({ data }) => {
    const { live, node } = JSON.parse(data);
    if (live) showStatus('live', `Live on ${node}`);
    else showStatus('storeless', `${node} has lost Redis`);
    load();
  });
  events.onerror = () => {
    showStatus('reconnecting', 'Connection lost. Reconnecting…');
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, RETRY);
  };
}

enableThemeButton(find('.theme'));
const redraw = () => plots.redraw();
new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ['data-theme'] });
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
form.onchange = onChosen;
form.onsubmit = (/** @type {Event} */ event) => event.preventDefault();
restore();
showStatus('connecting', 'Connecting…');
load();
listen();
