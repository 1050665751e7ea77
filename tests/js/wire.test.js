import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Leadership } from '../../assets/leader.js';
import { openMemory } from '../../assets/memory.js';
import { iconFor } from '../../assets/notice.js';
import { publish } from '../../assets/outbox.js';
import { START, newer } from '../../assets/text.js';
import { sentence } from '../../assets/status.js';
import { backOff, move } from '../../assets/stream.js';
import { Unread, mentions } from '../../assets/unread.js';
import { clock } from './clock.js';
import { answer } from './world.js';

test('ids are ordered by time, then by number, and not as text', () => {
  const ids = ['0-0', '9-9', '10-1', '10-2', '10-10', '1361572294000-3'];
  for (const [index, id] of ids.entries()) {
    for (const [other, place] of ids.entries()) assert.equal(newer(id, place), index > other, `${id} after ${place}`);
  }
  for (const nowhere of ['', undefined, null]) assert.equal(newer(START, nowhere), true);
});

test('a vector moves the places of the rooms that it changes, in the order of the rooms', () => {
  const places = { a: '1-1', b: '2-2' };
  assert.deepEqual(move(places, ['a', 'b'], '1-1,3-3'), { b: { id: '3-3', after: '2-2' } });
  assert.deepEqual(places, { a: '1-1', b: '3-3' });
});

test('a vector of another length, or none, moves nothing', () => {
  const places = { a: '1-1', b: '2-2' };
  for (const vector of ['', '5-5', '5-5,6-6,7-7']) assert.deepEqual(move(places, ['a', 'b'], vector), {});
  assert.deepEqual(places, { a: '1-1', b: '2-2' });
});

test('a place that is not known yet is not taken from a vector', () => {
  const places = {};
  assert.deepEqual(move(places, ['a', 'b'], ',6-6'), { b: { id: '6-6', after: undefined } });
  assert.deepEqual(places, { b: '6-6' });
});

test('the back-off is random, grows, and never exceeds half a minute', () => {
  const [least, most] = [0, 0.999999];
  for (const [attempt, ceiling] of [5, 10, 20, 30, 30].entries()) {
    assert.equal(backOff(attempt, least), 1);
    assert.ok(Math.abs(backOff(attempt, most) - ceiling) < 0.1);
  }
});

test('a mention is a whole word in any case, with or without @', () => {
  for (const text of ['ada', '@ada: hi', 'hello ADA!', 'so,Ada.', '(ada)']) assert.ok(mentions(text, 'ada'), text);
  for (const text of ['adam', 'Canada', 'ada_1', 'ada2', '']) assert.ok(!mentions(text, 'ada'), text);
  assert.ok(mentions('привет, Зоя', 'зоя'));
  assert.ok(mentions('c++ (the (one)', 'c++ (the'));
  assert.ok(!mentions('anybody', '  '));
});

test('what was replayed counts once, and what was read not at all', () => {
  const unread = new Unread({});
  unread.read('a', '1-1');
  for (const id of ['1-1', '2-2', '2-2', '3-3', '2-2']) unread.heard('a', id, id === '3-3');
  assert.deepEqual(unread.list(), [['a', 2, true]]);
  unread.read('a', '2-2');
  assert.deepEqual(unread.list(), [['a', 1, true]]);
  unread.read('a', '3-3');
  assert.deepEqual(unread.list(), [['a', 0, false]]);
  assert.equal(unread.heard('a', '3-3', false), false);
});

test('the counts go through JSON and go on from there', () => {
  const before = new Unread({});
  before.heard('a', '1-1', true);
  const after = new Unread(JSON.parse(JSON.stringify(before.rooms)));
  after.heard('a', '2-2', false);
  assert.deepEqual(after.list(), [['a', 2, true]]);
});

test('unread messages are counted up to a hundred', () => {
  const unread = new Unread({});
  for (let n = 1; n <= 250; n += 1) unread.heard('a', `1-${n}`, false);
  assert.deepEqual(unread.list(), [['a', 100, false]]);
});

test('where storage is denied or full, memory lasts as long as the page', () => {
  const denied = {
    get localStorage() {
      throw new Error('denied');
    },
  };
  const kept = new Map();
  const full = {
    getItem: (key) => kept.get(key) ?? null,
    removeItem: (key) => kept.delete(key),
    setItem() {
      throw new Error('full');
    },
  };
  for (const world of [denied, {}, { localStorage: full }]) {
    const memory = openMemory(world);
    assert.equal(memory.recall('draft'), '');
    memory.remember('draft', 'half a sen');
    memory.remember('out:1', '{"at":1}');
    assert.equal(memory.recall('draft'), 'half a sen');
    assert.deepEqual(memory.all('out:'), [{ at: 1 }]);
    memory.forget('draft');
    assert.equal(memory.recall('draft'), '');
  }
});

test('a storage that is full does not give back what was remembered before', () => {
  const kept = new Map([['tiny-chat:draft', 'old']]);
  const full = {
    getItem: (key) => kept.get(key) ?? null,
    removeItem: (key) => kept.delete(key),
    setItem() {
      throw new Error('full');
    },
  };
  const memory = openMemory({ localStorage: full });
  memory.remember('draft', 'new');
  assert.equal(memory.recall('draft'), 'new');
});

test('an answer tells what becomes of a message', async () => {
  const given = async (response) => publish({ fetch: async () => response }, { room: 'a b', text: 'hi', sender: '', key: 'k' });
  assert.deepEqual(await given(answer(200, { id: '1-1' })), { id: '1-1' });
  assert.deepEqual(await given(answer(429, {}, { 'Retry-After': '7' })), { wait: 7 });
  assert.deepEqual(await given(answer(413, { detail: 'Too long.' })), { refused: 'Too long.' });
  assert.deepEqual(await given(answer(403, { title: 'Forbidden' })), { refused: 'Forbidden' });
  assert.deepEqual(await given(answer(503, { detail: 'Away.' })), { unknown: 'Away.' });
  assert.deepEqual(await given(answer(408, null)), { unknown: 'The message was not taken (408).' });
  assert.ok('unknown' in (await given(answer(200, 'a captive portal says hello'))));
  const { unknown } = await publish({ fetch: async () => Promise.reject(new TypeError('network')) }, { room: 'a', text: '' });
  assert.equal(unknown, 'The server did not answer.');
});

test('a lease that was not renewed is free, and so is one from the future', () => {
  clock.stop(10_000_000);
  try {
    for (const [since, free] of [[9_999_000, false], [9_900_000, true], [20_000_000, true]]) {
      const memory = openMemory({});
      memory.remember('leader', `other ${since}`);
      const lead = new Leadership({ addEventListener() {} }, memory, 'me', false, () => {});
      lead.seek();
      assert.equal(lead.leading, free, `since ${since}`);
    }
  } finally {
    clock.release();
  }
});

test('who finds the lease in other hands gives way', () => {
  const memory = openMemory({});
  const turns = [];
  const lead = new Leadership({ addEventListener() {} }, memory, 'me', false, (leading) => turns.push(leading));
  lead.seek();
  lead.renew();
  memory.remember('leader', `other ${Date.now()}`);
  lead.renew();
  lead.release();
  assert.deepEqual(turns, [true, false]);
  assert.ok(memory.recall('leader').startsWith('other '));
});

test('the status line names the node and the reason', () => {
  assert.equal(sentence('live', 'chat-1'), 'Live on chat-1');
  assert.equal(sentence('reconnecting', 'chat-1', 'full'), 'chat-1 is full; trying again soon…');
  assert.equal(sentence('reconnecting', 'chat-1', 'toString'), 'Lost chat-1; reconnecting…');
});

test('a mention shows on the icon before anything else that is unread', () => {
  assert.equal(iconFor([{ unread: 0 }]), 'icon');
  assert.equal(iconFor([{ unread: 0 }, { unread: 2 }]), 'icon-unread');
  assert.equal(iconFor([{ unread: 2 }, { unread: 1, mention: true }]), 'icon-mention');
});
