import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isMuted, mutedNames, noticesOf } from '../../assets/mute.js';
import { MAX_MUTED, setMuted } from '../../assets/muting.js';
import { openStorage } from '../../assets/storage.js';
import { clock } from './clock.js';
import { Browser, Server, open, pass, stopTheClock } from './world.js';

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

test('messages of a muted name are not counted, nor mentions in them', async () => {
  stopTheClock();
  const server = new Server();
  const browser = new Browser(server);
  setMuted(openStorage({ localStorage: browser.storageOf(null) }), 'mason', true);
  const page = await open(browser);
  server.say('random', '@ada unheard', 'mason');
  server.say('random', 'heard', 'zoe');
  await pass(200);
  assert.deepEqual(page.badge('random'), { name: 'random', unread: 1, mention: false, current: false });
  page.close();
  clock.release();
});

test('an edit of an unread message is counted as a mention, or no longer', async () => {
  stopTheClock();
  const server = new Server();
  const page = await open(new Browser(server));
  const id = server.say('random', 'who?');
  await pass(200);
  assert.equal(page.badge('random').mention, false);
  for (const [message, mention] of [['@ada?', true], ['never mind', false]]) {
    server.send('random', 'edit', { id, sender: 'mason', message });
    await pass(300);
    assert.deepEqual([page.badge('random').unread, page.badge('random').mention], [1, mention], message);
  }
  page.close();
  clock.release();
});
