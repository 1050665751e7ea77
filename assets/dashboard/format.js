/**
 * Numbers, times and units as the dashboard shows them.
 */

/** @param {number} least @param {number} most */
const digits = (least, most) => new Intl.NumberFormat('en', { minimumFractionDigits: least, maximumFractionDigits: most });
const FIXED = [0, 1, 2, 3].map((count) => digits(count, count));
const SHORT = [0, 1, 2, 3].map((count) => digits(0, count));

/**
 * Returns a number with about three digits that matter; a whole one as it is.
 * @param {number} value
 * @returns {string}
 */
export function number(value, formats = Number.isInteger(value) ? SHORT : FIXED) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${number(value / 1e6)} M`;
  if (size >= 1e4) return `${number(value / 1e3)} k`;
  return formats[size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3].format(value);
}

/** @typedef {'count' | 'rate' | 'ms' | 'bytes'} Unit */

/**
 * Returns a value and its unit. What was not measured is a dash.
 * @param {number | null | undefined} value
 * @param {Unit} unit
 * @returns {[string, string]}
 */
export function parts(value, unit, show = number) {
  if (value == null) return ['–', ''];
  switch (unit) {
    case 'rate': return [show(value), '/s'];
    case 'ms': return value >= 1000 ? [show(value / 1000), 's'] : [show(value), 'ms'];
    case 'bytes': return value >= 1e9 ? [show(value / 1e9), 'GB'] : [show(value / 1e6), 'MB'];
    default: return [show(Math.round(value * 10) / 10), ''];
  }
}

/** Returns a value with its unit in one text. @param {number | null | undefined} value @param {Unit} unit */
export const text = (value, unit, show = number) => parts(value, unit, show).join(' ').trim().replace(' /s', '/s');

/** Returns the value of a mark on an axis, without zeros at its end. @param {number} value @param {Unit} unit */
export const mark = (value, unit) => text(value, unit, (shown) => number(shown, SHORT));

/** Returns a duration in its largest unit. @param {number} ms */
export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  for (const [unit, length] of /** @type {[string, number][]} */ ([['d', 86400], ['h', 3600], ['min', 60]])) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  }
  return `${seconds} s`;
}

const pad = (/** @type {number} */ value) => String(value).padStart(2, '0');
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

/**
 * Returns a local time: with seconds where slots are short, with the day where they are long.
 * @param {number} seconds since 1970
 * @param {number} slot the length of a slot in seconds
 */
export function clock(seconds, slot) {
  const time = new Date(seconds * 1000);
  const minutes = `${pad(time.getHours())}:${pad(time.getMinutes())}`;
  if (slot < 60) return `${minutes}:${pad(time.getSeconds())}`;
  return slot < 7200 ? minutes : `${DAYS[time.getDay()]} ${minutes}`;
}
