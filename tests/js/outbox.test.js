import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { publish } from '../../assets/outbox.js';
import { clock } from './clock.js';
import { Browser, Server, answer, open, pass, states, stopTheClock } from './world.js';

let server;

beforeEach(() => {
  stopTheClock();
  server = new Server();
});

afterEach(() => clock.release());

test('a response decides between id, wait, refusal and unknown', async () => {
  const given = async (response) => publish({ fetch: async () => response }, { room: 'a b', text: 'hi', sender: '', key: 'k' });
  assert.deepEqual(await given(answer(200, { id: '1-1' })), { id: '1-1' });
  assert.deepEqual(await given(answer(429, {}, { 'Retry-After': '7' })), { wait: 7 });
  assert.deepEqual(await given(answer(413, { detail: 'Too long.' })), { refused: 'Too long.' });
  assert.deepEqual(await given(answer(403, { title: 'Forbidden' })), { refused: 'Forbidden' });
  assert.deepEqual(await given(answer(503, { detail: 'Away.' })), { unknown: 'Away.' });
  assert.deepEqual(await given(answer(408, null)), { unknown: 'The message was not accepted (408).' });
  assert.ok('unknown' in (await given(answer(200, 'a captive portal says hello'))));
  const { unknown } = await publish({ fetch: async () => Promise.reject(new TypeError('network')) }, { room: 'a', text: '' });
  assert.equal(unknown, 'The server did not answer.');
});

test('a message is pending in every tab until its echo confirms it', async () => {
  const browser = new Browser(server);
  const [one, two] = [await open(browser), await open(browser)];
  let release;
  server.meets = (url, init) => init.method === 'POST' && new Promise((resolve) => (release = resolve));
  const key = two.tab.send('hello');
  assert.deepEqual(states(two), [['hello', 'queued']]);
  await pass();
  assert.deepEqual([states(one), states(two)], [[['hello', 'sending']], [['hello', 'sending']]]);
  release();
  await pass();
  for (const page of [one, two]) {
    assert.deepEqual(page.confirmed, [{ key, stillPending: true }]);
    assert.deepEqual([page.texts, page.pending], [['hello'], []]);
  }
});

test('only the sending tab knows the time of Send, across retries', async () => {
  const browser = new Browser(server);
  const [leader, page] = [await open(browser), await open(browser)];
  server.meets = (url, { method }) => method === 'POST' && answer(503, {});
  const before = page.world.performance.now();
  page.tab.send('hello');
  await pass(200);
  server.meets = () => undefined;
  await pass(30_000);
  assert.deepEqual([leader.texts, page.texts], [['hello'], ['hello']]);
  assert.deepEqual([leader.sent, page.sent], [[undefined], [before]]);
});

test('after a reload the time of Send is unknown', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  server.cut();
  page.tab.send('hello');
  await pass(200);
  page.close();
  server.restore();
  const again = await open(browser);
  await pass(1000);
  assert.deepEqual([again.texts, again.sent], [['hello'], [undefined]]);
});

test('the echo confirms, not a response that arrives before it', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  const echoes = [];
  for (const source of server.sources) {
    const receive = source.receive.bind(source);
    source.receive = (...echo) => echoes.push(() => receive(...echo));
  }
  server.say('everyone', 'first');
  page.tab.send('second');
  await pass(50);
  assert.deepEqual([page.texts, states(page)], [[], [['second', 'sending']]]);
  for (const echo of echoes) echo();
  await pass();
  assert.deepEqual([page.texts, page.pending], [['first', 'second'], []]);
});

test('an echo before the response confirms once', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  let respond;
  server.meets = (url, init) => {
    if (init.method !== 'POST') return undefined;
    const { sender, message, key } = JSON.parse(init.body);
    const stored = server.store('everyone', sender, message, key);
    return new Promise((resolve) => (respond = () => resolve(answer(200, stored))));
  };
  page.tab.send('quick');
  await pass();
  assert.deepEqual([page.texts, page.pending], [['quick'], []]);
  respond();
  await pass(100);
  assert.deepEqual([page.texts, page.pending, page.confirmed.length], [['quick'], [], 1]);
});

test('a reload during a send repeats it with the same key', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  server.meets = async (url, init) => {
    if (init.method !== 'POST') return undefined;
    const { sender, message, key } = JSON.parse(init.body);
    page.source.close(); // the page is gone before its echo
    server.store('everyone', sender, message, key);
    return new Promise(() => {});
  };
  const key = page.tab.send('once');
  await pass();
  page.close();
  server.meets = () => undefined;
  const again = browser.open('everyone');
  await pass(10);
  assert.deepEqual(again.pending.map(({ text }) => text), ['once']);
  await pass(1000);
  assert.deepEqual(again.pending, []);
  assert.equal(server.log('everyone').entries.length, 1);
  assert.deepEqual(again.confirmed.length, 0, 'the HTML has it already');
  again.close();
  const third = await open(browser);
  assert.equal(third.tab.isOwn(server.log('everyone').last), true);
  assert.ok(server.posts.every((post) => post.key === key));
});

test('a message survives a reload before the server took it', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  server.meets = (url, init) => init.method === 'POST' && new Promise(() => {});
  page.tab.send('late');
  await pass();
  page.close();
  server.meets = () => undefined;
  const again = await open(browser);
  await pass(1000);
  assert.deepEqual([again.texts, again.pending], [['late'], []]);
});

test('messages written offline are sent in order after the replay', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  server.cut();
  await pass(100);
  assert.equal(page.state, 'reconnecting');
  for (const text of ['one', 'two', 'three']) page.tab.send(text);
  await pass(100);
  assert.deepEqual(states(page), [['one', 'queued'], ['two', 'queued'], ['three', 'queued']]);
  server.say('everyone', 'meanwhile');
  server.restore();
  page.tab.reconnect();
  await pass(1000);
  assert.deepEqual(page.texts, ['meanwhile', 'one', 'two', 'three']);
  assert.deepEqual(page.log.map(({ mine }) => mine), [false, true, true, true]);
});

test('a message that the replay contains is not posted again', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  server.meets = (url, init) => {
    if (init.method !== 'POST') return undefined;
    const { sender, message, key } = JSON.parse(init.body);
    server.cut();
    server.store('everyone', sender, message, key);
    throw new TypeError('network');
  };
  page.tab.send('taken');
  await pass(100);
  assert.deepEqual(states(page), [['taken', 'queued']]);
  server.meets = () => undefined;
  server.restore();
  await pass(40_000);
  assert.deepEqual([page.texts, page.pending, server.posts], [['taken'], [], []]);
  assert.equal(page.confirmed.length, 1);
});

test('a gap in the middle of the log is shown, and reading goes on after it', async () => {
  const page = await open(new Browser(server));
  server.say('everyone', 'old');
  await pass(100);
  server.cut();
  for (const text of ['missed', 'kept']) {
    clock.tick(1000);
    server.say('everyone', text);
  }
  server.trim('everyone', 2);
  server.restore();
  await pass(40_000);
  clock.tick(1000);
  server.say('everyone', 'new');
  await pass(100);
  assert.deepEqual([page.gaps.length, page.texts], [1, ['old', 'kept', 'new']]);
});

test('after a gap only unanswered messages become unsure', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  server.say('everyone', 'old');
  server.meets = (url, init) => {
    if (init.method !== 'POST') return undefined;
    server.cut();
    throw new TypeError('network');
  };
  const key = page.tab.send('taken or not?');
  await pass(100);
  page.tab.send('never sent');
  server.meets = () => undefined;
  server.lose('everyone');
  clock.tick(1000);
  server.say('everyone', 'new');
  server.restore();
  await pass(40_000);
  assert.deepEqual(page.gaps.map(({ reason }) => reason), ['reset']);
  assert.deepEqual(page.texts, ['old', 'new', 'never sent']);
  assert.deepEqual(states(page), [['taken or not?', 'unsure']]);
  page.tab.retry(key);
  await pass(100);
  assert.deepEqual(page.texts.at(-1), 'taken or not?');
});

test('Retry-After is obeyed, shown, and holds later messages back', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  server.meets = (url, init) => init.method === 'POST' && answer(429, {}, { 'Retry-After': '3' });
  page.tab.send('one');
  page.tab.send('two');
  await pass(50);
  assert.deepEqual(states(page), [['one', 'waiting'], ['two', 'queued']]);
  assert.ok(Math.abs(page.pending[0].until - Date.now() - 3000) < 100);
  server.meets = () => undefined;
  await pass(2500);
  assert.deepEqual(page.texts, []);
  await pass(1000);
  assert.deepEqual(page.texts, ['one', 'two']);
});

test('a refused message fails with its reason; the next is sent', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  server.meets = (url, init) => init.body?.includes('spoiled') && answer(422, { detail: 'message: too bad.' });
  const key = page.tab.send('spoiled');
  page.tab.send('good');
  await pass(100);
  assert.deepEqual(page.pending.map(({ state, reason }) => [state, reason]), [['failed', 'too bad.']]);
  assert.deepEqual(page.texts, ['good']);
  assert.equal(page.tab.discard(key), 'spoiled');
  await pass(100);
  assert.deepEqual(page.pending, []);
  assert.deepEqual([...browser.stored.keys()].filter((each) => each.includes('out:')), []);
});

test('after a 503 a message is sent again with the same key', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  const keys = [];
  server.meets = (url, init) => {
    if (init.method !== 'POST') return undefined;
    keys.push(JSON.parse(init.body).key);
    return keys.length < 3 ? answer(503, { detail: 'The store is away.' }) : undefined;
  };
  page.tab.send('patience');
  await pass(50);
  assert.deepEqual(page.pending.map(({ state, reason }) => [state, reason]), [['queued', 'The store is away.']]);
  await pass(30_000);
  assert.deepEqual(page.texts, ['patience']);
  assert.equal(new Set(keys).size, 1);
  assert.equal(keys.length, 3);
});

test('messages keep their order when the clock is put back', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  server.cut();
  await pass(50);
  page.tab.send('one');
  clock.put(Date.now() - 3_600_000);
  page.tab.send('two');
  server.restore();
  page.tab.reconnect();
  await pass(1000);
  assert.deepEqual(page.texts, ['one', 'two']);
});
