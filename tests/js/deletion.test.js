import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { isDeleted } from '../../assets/wire.js';
import { clock } from './clock.js';
import { Browser, Server, open, pass, stopTheClock } from './world.js';

let server;

beforeEach(() => {
  stopTheClock();
  server = new Server();
});

afterEach(() => clock.release());

test('a deletion is of one message, or of all up to an id', () => {
  assert.deepEqual(['1-1', '1-2'].map((id) => isDeleted({ id: '1-1' }, id)), [true, false]);
  assert.deepEqual(['1-1', '2-2', '3-3'].map((id) => isDeleted({ upTo: '2-2' }, id)), [true, true, false]);
  assert.equal(isDeleted({}, '1-1'), false);
});

test('typed events move the cursor of every tab and show nothing', async () => {
  const browser = new Browser(server);
  const [one, two] = [await open(browser), await open(browser)];
  server.say('everyone', 'first');
  const id = server.send('everyone', 'typed', {});
  await pass(100);
  const third = await open(browser, 'everyone', { cursor: id });
  for (let count = 0; count < 30; count += 1) {
    server.send('everyone', 'typed', {});
    await pass(5000);
  }
  server.say('everyone', 'last');
  await pass(100);
  assert.deepEqual([one.texts, two.texts, third.texts], [['first', 'last'], ['first', 'last'], ['last']]);
  assert.deepEqual([one.state, server.sources.size], ['live', 1]);
  assert.deepEqual(one.states.filter(({ state }) => state === 'reconnecting'), [], 'the stream is never silent');
  const [source] = server.sources;
  source.fail();
  await pass(6000);
  const cursor = [...server.sources][0].query.get('lastEventId').split(',')[0];
  assert.equal(cursor, server.log('everyone').last, 'nothing is replayed');
});

test('the stream is asked for events of all names under one', async () => {
  await open(new Browser(server));
  assert.equal([...server.sources][0].query.get('typed'), 'brief');
});

test('a deleted message leaves all tabs and the unread counts', async () => {
  const browser = new Browser(server);
  const [one, two] = [await open(browser), await open(browser)];
  const ids = ['one', '@ada two', 'three'].map((text) => server.say('everyone', text));
  const other = server.say('random', '@ada elsewhere');
  await pass(200);
  assert.equal(one.badge('random').unread, 1);
  server.delete('everyone', ids[1]);
  server.delete('random', other);
  await pass(200);
  for (const page of [one, two]) {
    assert.deepEqual(page.texts, ['one', 'three']);
    assert.deepEqual(page.badge('random'), { name: 'random', unread: 0, mention: false, current: false });
  }
  assert.equal(one.badge('everyone').unread, 2);
  server.delete('everyone');
  server.say('everyone', 'after it');
  await pass(200);
  assert.deepEqual([one.texts, two.texts], [['after it'], ['after it']]);
  assert.equal(one.badge('everyone').unread, 1);
  assert.ok(!browser.stored.get('tiny-chat:state')?.includes(other));
});

test('a tab that was asleep learns what was deleted meanwhile', async () => {
  const browser = new Browser(server);
  const [one, two] = [await open(browser), await open(browser)];
  const ids = ['one', 'two'].map((text) => server.say('everyone', text));
  await pass(100);
  two.frozen = true;
  server.delete('everyone', ids[0]);
  server.say('everyone', 'three');
  await pass(1000);
  two.frozen = false;
  server.say('everyone', 'four');
  await pass(1000);
  assert.deepEqual(two.texts, ['two', 'three', 'four']);
  assert.deepEqual(one.texts, ['two', 'three', 'four']);
  assert.deepEqual([...one.gaps, ...two.gaps], []);
  one.close();
  two.close();
  server.delete('everyone', ids[1]);
  const again = await open(browser);
  server.say('everyone', 'five');
  await pass(200);
  assert.deepEqual([again.texts, again.gaps], [['five'], []]);
});
