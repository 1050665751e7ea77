/**
 * The plots: one for each quantity, with a common crosshair. They are drawn by uPlot (uplot.min.js, MIT).
 */

import { element } from '../dom.js';
import { clock, mark, parts } from './format.js';

/** @typedef {import('./format.js').Unit} Unit */
/** @typedef {{ name: string, label: string, colour?: string }} Line */
/** @typedef {{ title: string, unit: Unit, least: number, lines: Line[], none?: string }} PlotSpec */
/** @typedef {{ times: number[], slotSeconds: number, series: Record<string, (number | null)[]>, current: Record<string, number | null> }} Data */

const uPlot = /** @type {any} */ (window).uPlot;

/** @type {PlotSpec[]} */
export const NODE_PLOTS = [
  { title: 'Streams', unit: 'count', least: 4, lines: [{ name: 'streams', label: 'streams' }, { name: 'rooms', label: 'rooms held', colour: 'second' }] },
  { title: 'Messages', unit: 'rate', least: 1, lines: [{ name: 'messages', label: 'stored' }] },
  { title: 'Deliveries', unit: 'rate', least: 1, lines: [{ name: 'deliveries', label: 'to sockets' }] },
  { title: 'Publish to socket', unit: 'ms', least: 1, lines: [{ name: 'p50', label: 'p50' }, { name: 'p99', label: 'p99', colour: 'second' }], none: 'Nothing was delivered' },
  { title: 'Resumes and gaps', unit: 'rate', least: 1, lines: [{ name: 'resumes', label: 'resumes' }, { name: 'gaps', label: 'gaps', colour: 'bad' }] },
  { title: 'Refusals', unit: 'rate', least: 1, lines: [{ name: 'refusals', label: 'posts, streams, calls', colour: 'bad' }] },
  { title: 'Round trip to Redis', unit: 'ms', least: 1, lines: [{ name: 'roundTrip', label: 'mean' }], none: 'No Redis was asked' },
  { title: 'Memory', unit: 'bytes', least: 1e7, lines: [{ name: 'memory', label: 'resident' }] },
];

/** @type {PlotSpec[]} */
export const KEY_PLOTS = [
  { title: 'Streams', unit: 'count', least: 4, lines: [{ name: 'streams', label: 'streams' }] },
  { title: 'Events', unit: 'rate', least: 1, lines: [{ name: 'events', label: 'stored' }] },
  { title: 'Deliveries', unit: 'rate', least: 1, lines: [{ name: 'deliveries', label: 'to sockets' }] },
  { title: 'Sockets and refusals', unit: 'rate', least: 1, lines: [{ name: 'sockets', label: 'made' }, { name: 'refusals', label: 'refused', colour: 'bad' }] },
];

const HEIGHT = 150;

/** The share of a time axis at each end that has no mark. */
const MARGIN = 0.07;

/** Shows plots in a container. @param {HTMLElement} container @param {PlotSpec[]} specs */
export function showPlots(container, specs) {
  const plots = specs.map((spec) => createPlot(container, spec));
  container.replaceChildren(...plots.map(({ card }) => card));
  const resize = new ResizeObserver(() => plots.forEach((plot) => plot.resize()));
  resize.observe(container);
  return {
    /** @param {Data} data */
    update: (data) => plots.forEach((plot) => plot.update(data)),
    redraw: () => plots.forEach((plot) => plot.redraw()),
    destroy() {
      resize.disconnect();
      plots.forEach((plot) => plot.destroy());
    },
  };
}

/** @param {HTMLElement} container @param {PlotSpec} spec */
function createPlot(container, spec) {
  const card = element('figure', 'plot');
  const head = element('figcaption');
  const when = element('span', 'when', 'now');
  const lines = element('p', 'values');
  const values = spec.lines.map(({ label, colour = 'first' }) => {
    const value = element('span', `value ${colour}`);
    const [amount, unit, name] = [element('b'), element('span', 'unit'), element('span', 'name', label)];
    value.append(amount, unit, name);
    lines.append(value);
    return { amount, unit };
  });
  head.append(element('span', 'title', spec.title), when, lines);
  const canvas = element('div', 'canvas');
  const none = element('p', 'none', spec.none ?? 'Nothing yet');
  // uPlot draws on a canvas, so the colours have to be known as such.
  const inks = { first: element('i', 'ink first'), second: element('i', 'ink second'), bad: element('i', 'ink bad'), faint: element('i', 'ink faint'), line: element('i', 'ink line') };
  card.append(head, canvas, none, ...Object.values(inks));
  const colour = (/** @type {string} */ name) => getComputedStyle(inks[/** @type {keyof inks} */ (name)]).color;

  /** @type {Data} */
  let data = { times: [], slotSeconds: 10, series: {}, current: {} };
  /** @type {any} */
  let plot = null;

  /** Shows the values under the crosshair, or those of now. */
  function showValues() {
    const index = plot?.cursor.idx;
    const time = index == null ? null : data.times[index];
    when.textContent = time == null ? 'now' : clock(time, data.slotSeconds);
    card.classList.toggle('crossed', time != null);
    spec.lines.forEach(({ name }, line) => {
      const value = time == null ? data.current[name] : data.series[name]?.[index];
      [values[line].amount.textContent, values[line].unit.textContent] = parts(value, spec.unit);
    });
  }

  const width = () => canvas.clientWidth || Math.min(container.clientWidth, 320);
  const axis = () => ({
    stroke: () => colour('faint'),
    grid: { stroke: () => colour('line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  });
  const series = spec.lines.map(({ colour: name = 'first' }) => ({
    stroke: () => colour(name),
    fill: spec.lines.length > 1 ? undefined : () => translucent(colour(name)),
    width: 1.5,
    points: { size: 5, fill: () => colour(name), filter: isolated },
  }));

  function create() {
    plot = new uPlot({
      width: width(),
      height: HEIGHT,
      padding: [8, 4, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: 'dashboard' }, drag: { x: false, y: false }, y: false, points: { size: 7 } },
      scales: {
        x: { time: false, range: () => [data.times[0], (data.times.at(-1) ?? 0) + data.slotSeconds] },
        y: { range: (/** @type {any} */ _, /** @type {number | null} */ __, /** @type {number | null} */ most) => [0, Math.max(most ?? 0, spec.least) * 1.1] },
      },
      axes: [
        { ...axis(), size: 24, gap: 4, space: 56, incrs: [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 345600], splits: localSplits, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map((time) => tick(time, data.slotSeconds)) },
        { ...axis(), size: 56, gap: 6, space: 34, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map((value) => mark(value, spec.unit)) },
      ],
      series: [{}, ...series],
      hooks: { setCursor: [showValues] },
    }, columns(), canvas);
    plot.root.querySelector('canvas').ariaLabel = spec.title;
  }
  const columns = () => [data.times, ...spec.lines.map(({ name }) => data.series[name] ?? [])];

  return {
    card,
    /** @param {Data} latest */
    update(latest) {
      data = latest;
      if (plot) plot.setData(columns());
      else create();
      none.hidden = columns().slice(1).some((line) => line.some((value) => value != null));
      showValues();
    },
    resize() {
      if (plot && plot.width !== width()) plot.setSize({ width: width(), height: HEIGHT });
    },
    redraw: () => plot?.redraw(false, true),
    destroy: () => plot?.destroy(),
  };
}

/** @param {string} colour as the browser computes it: `rgb(…)` */
const translucent = (colour) => colour.replace('rgb(', 'rgba(').replace(')', ', 0.12)');

/** Returns the points that no line leads to. @param {any} plot @param {number} line */
function isolated(plot, line) {
  const values = plot.data[line];
  return values.flatMap((/** @type {number | null} */ value, /** @type {number} */ at) =>
    value != null && values[at - 1] == null && values[at + 1] == null ? [at] : []);
}

/**
 * Returns the marks of a time axis, at round local times; not at its ends, where their labels would meet others.
 * @param {any} _plot @param {number} _axis @param {number} from @param {number} to @param {number} step
 */
function localSplits(_plot, _axis, from, to, step) {
  const offset = new Date(from * 1000).getTimezoneOffset() * 60;
  const first = Math.ceil((from - offset) / step) * step + offset;
  const marks = [];
  for (let at = first; at <= to; at += step) {
    const share = (at - from) / (to - from);
    if (share > MARGIN && share < 1 - MARGIN) marks.push(at);
  }
  return marks;
}

/** @param {number} time @param {number} slot */
function tick(time, slot) {
  const label = clock(time, slot < 60 ? 60 : slot);
  return slot < 7200 ? label : label.replace(' 00:00', '');
}
