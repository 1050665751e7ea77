import assert from 'node:assert/strict';
import { test } from 'node:test';

import { asker, delay } from '../../assets/details.js';
import { answer } from './world.js';

const ID = '1361572294000-42';

/** An asker, and the paths that it asked for; each meets the next of the answers. */
function asking(room, ...answers) {
  const paths = [];
  const fetch = async (path) => {
    paths.push(path);
    const next = answers.shift();
    if (next instanceof Error) throw next;
    return next;
  };
  return { ask: asker({ fetch }, room), paths };
}

const by = (node) => answer(200, { id: ID, sender: 'ada', message: 'hi', node });

test('the node that took a message is asked for once, also by two who ask at the same time', async () => {
  const { ask, paths } = asking('café', by('chat-2'));
  assert.deepEqual(await Promise.all([ask(ID), ask(ID)]), ['Taken by chat-2', 'Taken by chat-2']);
  assert.equal(await ask(ID), 'Taken by chat-2');
  assert.deepEqual(paths, [`/history/caf%C3%A9/${ID}`]);
});

test('each message has a node of its own', async () => {
  const { ask } = asking('lobby', by('chat-2'), by('chat-1'));
  assert.deepEqual([await ask('1-1'), await ask('2-2'), await ask('1-1')], ['Taken by chat-2', 'Taken by chat-1', 'Taken by chat-2']);
});

test('a message that no node has put its name to says so', async () => {
  for (const node of ['', undefined]) assert.match(await asking('lobby', by(node)).ask(ID), /without a name/);
});

test('what is no longer kept is not asked for again', async () => {
  const { ask, paths } = asking('lobby', answer(404, {}));
  for (let time = 0; time < 2; time += 1) assert.match(await ask(ID), /^No longer kept/);
  assert.equal(paths.length, 1);
});

test('who could not be asked is asked again: while the store is lost, and offline', async () => {
  const { ask, paths } = asking('lobby', answer(503, {}), new TypeError('network'), by('chat-1'));
  assert.match(await ask(ID), /^The server cannot say now/);
  assert.match(await ask(ID), /^Offline/);
  assert.deepEqual([await ask(ID), await ask(ID)], ['Taken by chat-1', 'Taken by chat-1']);
  assert.equal(paths.length, 3);
});

test('an answer that is no JSON is none', async () => {
  const broken = { ok: true, status: 200, json: async () => JSON.parse('<html>') };
  assert.match(await asking('lobby', broken).ask(ID), /nobody can say/);
});

test('a delay is told in milliseconds, in seconds, in minutes, and is never nothing', () => {
  const told = [0.2, 22.6, 999.4, 999.5, 1240, 59_940, 59_960, 300_000].map((ms) => delay(ms).split(' from Send')[0]);
  assert.deepEqual(told, ['1 ms', '23 ms', '999 ms', '1 s', '1.2 s', '59.9 s', '1 min', '5 min']);
});
