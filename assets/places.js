/** Places: where a reader stands in a room. An id is `<ms>-<n>`; it orders the room's messages. */

/** The place before the first message. */
export const START = '0-0';

/** Whether `id` comes after `place`. Where no place is known, every id does. */
export function newer(id, place) {
  const [ms, n] = id.split('-');
  const [placeMs, placeN] = (place || '-1-0').split(/(?!^)-/);
  return ms - placeMs > 0 || (ms === placeMs && n - placeN > 0);
}
