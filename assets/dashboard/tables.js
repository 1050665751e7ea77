/**
 * The tables: nodes, keys, rooms.
 */

import { element, find } from '../dom.js';
import { duration, number, text } from './format.js';

/** @typedef {Record<string, number | null>} Values */
/** @typedef {{ process: string, node: string, alive: boolean, leaving: boolean, seen: number, started: number | null, version: string, current: Values }} Node */
/** @typedef {{ key: string, current: Values, events: number, deliveries: number, sockets: number, refusals: number }} Key */
/** @typedef {{ room: string, streams: number, frames: number }} Room */

/** Returns the cell of a number. @param {string} shown */
const numeric = (shown, className = '') => element('td', `n ${className}`, shown);

/** Returns a cell with a button. @param {string} label @param {() => void} onclick */
function choosable(label, onclick, className = '') {
  const cell = element('th', 'name');
  cell.scope = 'row';
  const button = element('button', className);
  button.type = 'button';
  button.append(element('bdi', '', label));
  button.onclick = onclick;
  cell.append(button);
  return cell;
}

/** Shows rows in the table of a section, or that there are none. @param {string} section @param {HTMLElement[][]} rows */
function show(section, rows) {
  const root = find(section);
  const body = find('tbody', root);
  // The rows are made anew: the focus stays on the same name.
  const focused = body.contains(document.activeElement) ? document.activeElement?.textContent : null;
  body.replaceChildren(...rows.map((cells) => {
    const row = element('tr');
    row.append(...cells);
    return row;
  }));
  if (focused != null) [...body.querySelectorAll('button')].find((button) => button.textContent === focused)?.focus();
  find('.scroller', root).hidden = rows.length === 0;
  find('.none', root).hidden = rows.length > 0;
}

/** Returns names for processes: that of the node, with a number where several have the same. @param {Node[]} nodes */
export function nodeNames(nodes) {
  return nodes.map(({ process, node }) => {
    const same = nodes.filter((other) => other.node === node);
    return same.length > 1 ? `${node} ·${process.slice(-4)}` : node;
  });
}

/** @param {Node[]} nodes @param {number} now @param {(process: string) => void} choose */
export function showNodes(nodes, now, choose) {
  const names = nodeNames(nodes);
  const order = nodes.map((_, index) => index).sort((a, b) => Number(nodes[b].alive) - Number(nodes[a].alive) || names[a].localeCompare(names[b]));
  show('.nodes', order.map((index) => {
    const { process, alive, leaving, seen, started, version, current } = nodes[index];
    const state = alive ? (leaving ? 'leaving' : 'running') : `ended ${duration(now - seen)} ago`;
    const values = alive
      ? [text(current.streams, 'count'), text(current.rooms, 'count'), text(current.messages, 'rate'), text(current.deliveries, 'rate'), text(current.p99, 'ms'), text(current.roundTrip, 'ms'), text(current.memory, 'bytes')]
      : Array(7).fill('–');
    return [
      choosable(names[index], () => choose(process)),
      element('td', `state ${alive ? (leaving ? 'leaving' : 'alive') : 'ended'}`, state),
      ...values.map((value) => numeric(value)),
      element('td', '', alive && started ? duration(now - started) : '–'),
      element('td', '', version || '–'),
    ];
  }));
}

/** @param {Key[]} keys @param {(key: string) => void} choose */
export function showKeys(keys, choose) {
  show('.keys', keys.map(({ key, current, events, deliveries, sockets, refusals }) => {
    const name = key ? choosable(key, () => choose(key), 'mono') : element('td', 'others', 'all others');
    const refusing = refusals > 0 && (current.refusals ?? 0) > 0;
    return [
      name,
      numeric(text(current.streams ?? 0, 'count')),
      numeric(number(events)),
      numeric(number(deliveries)),
      numeric(number(sockets)),
      numeric(refusing ? `${number(refusals)} (${text(current.refusals, 'rate')})` : number(refusals), refusals > 0 ? 'bad' : ''),
    ];
  }));
}

/** @param {Room[]} rooms @param {(room: string) => void} watch */
export function showRooms(rooms, watch) {
  show('.rooms', rooms.map(({ room, streams, frames }) => [
    choosable(room, () => watch(room)),
    numeric(text(streams, 'count')),
    numeric(number(frames)),
  ]));
}
