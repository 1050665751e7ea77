import assert from 'node:assert/strict';
import { test } from 'node:test';

import { MAX_MUTED, isMuted, mutedNames, noticesOf, setMuted } from '../../assets/mute.js';
import { openStorage } from '../../assets/storage.js';

test('names are muted and heard again, whatever they are written with', () => {
  const storage = openStorage({});
  for (const name of ['mason', '  zoe\u0301 ', '__proto__', 'a"b,c']) setMuted(storage, name, true);
  assert.deepEqual(mutedNames(storage), ['mason', 'zo\u00e9', '__proto__', 'a"b,c']);
  assert.deepEqual(['zo\u00e9', 'Mason', 'constructor', 'a"b,c'].map((name) => isMuted(storage, name)), [true, false, false, true]);
  setMuted(storage, 'zo\u00e9', false);
  setMuted(storage, 'mason', true);
  assert.deepEqual(mutedNames(storage), ['__proto__', 'a"b,c', 'mason'], 'once each');
});

test('the list of muted names is bounded, and a broken one is empty', () => {
  const storage = openStorage({});
  for (let count = 0; count <= MAX_MUTED; count += 1) setMuted(storage, `name ${count}`, true);
  assert.deepEqual([mutedNames(storage).length, isMuted(storage, 'name 0'), isMuted(storage, `name ${MAX_MUTED}`)], [MAX_MUTED, false, true]);
  storage.set('muted', '{"names":7}');
  assert.deepEqual(mutedNames(storage), []);
});

test('the choice for a room goes before the one for all', () => {
  const storage = openStorage({});
  storage.set('notify', 'mentions');
  storage.set('notify:lobby', 'all');
  storage.set('notify:attic', 'none');
  assert.deepEqual(['lobby', 'attic', 'garden'].map((room) => noticesOf(storage, room)), ['all', '', 'mentions']);
});
