import assert from 'node:assert/strict';
import { test } from 'node:test';

import { delaySentence, nodeLookup } from '../../assets/details.js';
import { answer } from './world.js';

const ID = '1361572294000-42';

/** Returns a lookup and the paths that it fetched; each fetch gets the next of the answers. */
function lookup(room, ...answers) {
  const paths = [];
  const fetch = async (path) => {
    paths.push(path);
    const next = answers.shift();
    if (next instanceof Error) throw next;
    return next;
  };
  return { lookUp: nodeLookup({ fetch }, room), paths };
}

const takenBy = (node) => answer(200, { id: ID, sender: 'ada', message: 'hi', node });

test('a node is looked up once, also for concurrent lookups', async () => {
  const { lookUp, paths } = lookup('café', takenBy('chat-2'));
  assert.deepEqual(await Promise.all([lookUp(ID), lookUp(ID)]), ['Taken by chat-2', 'Taken by chat-2']);
  assert.equal(await lookUp(ID), 'Taken by chat-2');
  assert.deepEqual(paths, [`/history/caf%C3%A9/${ID}?all=1`]);
});

test('each message has a node of its own', async () => {
  const { lookUp } = lookup('lobby', takenBy('chat-2'), takenBy('chat-1'));
  assert.deepEqual([await lookUp('1-1'), await lookUp('2-2'), await lookUp('1-1')], ['Taken by chat-2', 'Taken by chat-1', 'Taken by chat-2']);
});

test('a node without a name is reported as such', async () => {
  for (const node of ['', undefined]) assert.match(await lookup('lobby', takenBy(node)).lookUp(ID), /without a name/);
});

test('a deleted message is not looked up again', async () => {
  const { lookUp, paths } = lookup('lobby', answer(404, {}));
  for (let time = 0; time < 2; time += 1) assert.match(await lookUp(ID), /^No longer kept/);
  assert.equal(paths.length, 1);
});

test('a failed lookup is repeated, after a 503 and offline', async () => {
  const { lookUp, paths } = lookup('lobby', answer(503, {}), new TypeError('network'), takenBy('chat-1'));
  assert.match(await lookUp(ID), /^The server cannot say now/);
  assert.match(await lookUp(ID), /^Offline/);
  assert.deepEqual([await lookUp(ID), await lookUp(ID)], ['Taken by chat-1', 'Taken by chat-1']);
  assert.equal(paths.length, 3);
});

test('a response that is not JSON counts as none', async () => {
  const broken = { ok: true, status: 200, json: async () => JSON.parse('<html>') };
  assert.match(await lookup('lobby', broken).lookUp(ID), /cannot be looked up/);
});

test('a delay is in milliseconds, seconds or minutes, never zero', () => {
  const durations = [0.2, 22.6, 999.4, 999.5, 1240, 59_940, 59_960, 300_000].map((ms) => delaySentence(ms).split(' from Send')[0]);
  assert.deepEqual(durations, ['1 ms', '23 ms', '999 ms', '1 s', '1.2 s', '59.9 s', '1 min', '5 min']);
});
