import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { advance, backoff } from '../../assets/stream.js';
import { clock } from './clock.js';
import { Browser, Server, open, pass, stopTheClock } from './world.js';

let server;

beforeEach(() => {
  stopTheClock();
  server = new Server();
});

afterEach(() => clock.release());

test('a list of ids moves the cursors of the rooms that it changes', () => {
  const cursors = { a: '1-1', b: '2-2' };
  assert.deepEqual(advance(cursors, ['a', 'b'], '1-1,3-3'), { b: { id: '3-3', previous: '2-2' } });
  assert.deepEqual(cursors, { a: '1-1', b: '3-3' });
});

test('a list of another length moves nothing', () => {
  const cursors = { a: '1-1', b: '2-2' };
  for (const vector of ['', '5-5', '5-5,6-6,7-7']) assert.deepEqual(advance(cursors, ['a', 'b'], vector), {});
  assert.deepEqual(cursors, { a: '1-1', b: '2-2' });
});

test('an empty id in a list leaves the cursor unknown', () => {
  const cursors = {};
  assert.deepEqual(advance(cursors, ['a', 'b'], ',6-6'), { b: { id: '6-6', previous: undefined } });
  assert.deepEqual(cursors, { b: '6-6' });
});

test('the backoff is random, grows, and never exceeds 30 seconds', () => {
  const [least, most] = [0, 0.999999];
  for (const [attempt, ceiling] of [5, 10, 20, 30, 30].entries()) {
    assert.equal(backoff(attempt, least), 1);
    assert.ok(Math.abs(backoff(attempt, most) - ceiling) < 0.1);
  }
});

test('a silent stream is closed after two and a half heartbeats', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  await pass(1_000);
  page.source.emit('heartbeat', 'OK'); // modules load in real time, so the stream may be younger than the page
  await pass(42_000);
  assert.equal(page.state, 'live');
  await pass(1_000);
  assert.equal(page.state, 'reconnecting');
  assert.ok(page.states.at(-1).until > clock.passed());
  await pass(5_000);
  assert.equal(page.state, 'live');
});

test('after a backoff with reason full, 5 seconds pass', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  page.source.emit('backoff', { reason: 'full' });
  assert.deepEqual([page.state, page.states.at(-1).reason], ['reconnecting', 'full']);
  await pass(4_900);
  assert.equal(server.sources.size, 0);
  await pass(26_000);
  assert.equal(page.state, 'live');
});

test('after a backoff with reason draining, the next attempt comes within half a second', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  page.source.emit('backoff', { reason: 'draining' });
  await pass(90);
  assert.equal(server.sources.size, 0);
  await pass(420);
  assert.equal(page.state, 'live');
});

test('a failure after a drain is the first one', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  server.up = false;
  page.source.emit('backoff', { reason: 'draining' });
  await pass(510);
  assert.deepEqual([page.state, page.states.at(-1).reason], ['reconnecting', undefined]);
  server.restore();
  await pass(5_000);
  assert.equal(page.state, 'live');
});

test('a countdown is the same in every tab, whatever the clock does', async () => {
  const browser = new Browser(server);
  const [one, two] = [await open(browser), await open(browser)];
  one.source.emit('backoff', { reason: 'full' });
  clock.put(Date.now() - 3_600_000);
  await pass(1_000);
  const third = await open(browser);
  for (const page of [one, two, third]) {
    const left = page.states.at(-1).until - clock.passed();
    assert.ok(left > 3_000 && left <= 30_000, `${left}`);
    assert.equal(page.state, 'reconnecting');
  }
  await pass(30_000);
  assert.deepEqual([one.state, two.state], ['live', 'live']);
});

test('after a sleep, in which one clock stood still, the stream is replaced', async () => {
  const page = await open(new Browser(server));
  const before = page.source;
  clock.put(Date.now() + 3_600_000);
  page.tab.rename(); // any request does
  page.fire('online');
  await pass(100);
  assert.notEqual(page.source, before);
});
