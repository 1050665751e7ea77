import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { clock } from './clock.js';
import { Browser, Server, markOf, open, pass, states, stopTheClock } from './world.js';

let server;

beforeEach(() => {
  stopTheClock();
  server = new Server();
});

afterEach(() => clock.release());

for (const secure of [true, false]) {
  const where = secure ? 'with Web Locks' : 'with a lease';

  test(`two tabs share one stream and show the same, ${where}`, async () => {
    const browser = new Browser(server, { secure });
    const [one, two] = [await open(browser), await open(browser)];
    assert.equal(server.sources.size, 1);
    server.say('everyone', 'a &amp; b');
    await pass();
    assert.deepEqual([one.texts, two.texts], [['a & b'], ['a & b']]);
    assert.deepEqual([one.state, two.state], ['live', 'live']);
  });

  test(`another tab takes over when the leader closes, ${where}`, async () => {
    const browser = new Browser(server, { secure });
    const [one, two] = [await open(browser), await open(browser)];
    server.say('everyone', 'before');
    await pass();
    one.close();
    server.say('everyone', 'between');
    await pass(200);
    server.say('everyone', 'after');
    await pass();
    assert.equal(server.sources.size, 1);
    assert.deepEqual(two.texts, ['before', 'between', 'after']);
  });

  test(`a frozen leader is replaced until it thaws, ${where}`, async () => {
    const browser = new Browser(server, { secure });
    const [one, two] = [await open(browser), await open(browser)];
    one.frozen = true;
    two.tab.send('is anybody there?');
    await pass(2500);
    assert.equal(two.leads, true);
    assert.deepEqual(two.texts, ['is anybody there?']);
    one.frozen = false;
    await pass(6000);
    assert.equal(server.sources.size, 1);
    server.say('everyone', 'and now?');
    await pass(100);
    assert.deepEqual(one.texts.at(-1), 'and now?');
    assert.deepEqual(two.texts, ['is anybody there?', 'and now?']);
  });

  test(`a leader that answers but whose timers stand still is replaced, ${where}`, async () => {
    const browser = new Browser(server, { secure });
    const [one, two] = [await open(browser), await open(browser)];
    clock.put(Date.now() + 60_000); // the timer that would find the stream dead has not run
    await pass(8000);
    assert.deepEqual([one.leads, two.leads], [false, true]);
    server.say('everyone', 'and now?');
    await pass(100);
    assert.deepEqual([one.texts, two.texts], [['and now?'], ['and now?']]);
  });

  test(`the next leader completes a send in flight, ${where}`, async () => {
    const browser = new Browser(server, { secure });
    const [one, two] = [await open(browser), await open(browser)];
    server.meets = (url, init) => init.method === 'POST' && new Promise(() => {});
    const key = one.tab.send('only once');
    await pass();
    assert.deepEqual(states(two), [['only once', 'sending']]);
    one.close();
    server.meets = () => undefined;
    await pass(500);
    assert.deepEqual(two.texts, ['only once']);
    assert.deepEqual(two.pending, []);
    assert.deepEqual(server.posts.map((post) => post.key), [key]);
    assert.equal(two.log[0].mine, true);
  });
}

test('without storage each tab works on its own', async () => {
  const browser = new Browser(server, { storage: false });
  const [one, two] = [await open(browser), await open(browser)];
  assert.equal(server.sources.size, 2);
  one.tab.send('hello');
  await pass(100);
  assert.deepEqual([one.texts, two.texts], [['hello'], ['hello']]);
  assert.deepEqual([one.log[0].mine, two.log[0].mine], [true, false]);
});

test('a tab that opens behind the stream catches up, once', async () => {
  const browser = new Browser(server);
  const one = await open(browser);
  const cursor = server.log('everyone').last;
  server.say('everyone', 'between HTML and script');
  await pass(10);
  const two = await open(browser, 'everyone', { cursor });
  await pass(300);
  assert.deepEqual([one.texts, two.texts], [['between HTML and script'], ['between HTML and script']]);
});

test('a page restored from the back/forward cache catches up', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  page.fire('pagehide', { persisted: true });
  assert.equal(server.sources.size, 0);
  server.say('everyone', 'meanwhile');
  await pass(1000);
  page.fire('pageshow', { persisted: true });
  await pass(500);
  assert.deepEqual([page.texts, server.sources.size], [['meanwhile'], 1]);
});

test('a page without messages gets them when the store is back', async () => {
  server.live = false;
  const browser = new Browser(server);
  const page = await open(browser, 'everyone', { cursor: '' });
  assert.equal(page.state, 'storeless');
  server.say('everyone', 'kept');
  server.live = true;
  for (const source of server.sources) source.emit('status', { live: true, node: 'chat-1', heartbeat: 15 });
  await pass(10_000);
  server.say('everyone', 'new');
  await pass(100);
  assert.deepEqual(page.texts, ['kept', 'new']);
});

test('an idle tab sets at most one timer a second', async () => {
  const browser = new Browser(server);
  await open(browser);
  const before = server.requests.length;
  let timers = 0;
  const real = globalThis.setTimeout;
  globalThis.setTimeout = (...args) => {
    timers += 1;
    return real(...args);
  };
  await pass(10_000);
  globalThis.setTimeout = real;
  assert.ok(timers <= 10, `${timers} timers in 10 s`);
  assert.equal(server.requests.length, before);
});

test('every post carries the secret, and its mark makes messages own', async () => {
  const bodies = [];
  server.meets = (url, { body }) => void (body && bodies.push(JSON.parse(body)));
  const browser = new Browser(server);
  const [one, two] = [await open(browser), await open(browser)];
  one.tab.send('hello');
  two.tab.send('again');
  await pass(200);
  const [{ secret }] = bodies;
  assert.match(secret, /^[\w-]{22}$/);
  assert.deepEqual(bodies.map((body) => body.secret), [secret, secret]);
  const mark = markOf(secret);
  assert.equal(browser.stored.get('tiny-chat:mark'), mark);
  const elsewhere = { sender: 'ada', message: 'from the phone', mark };
  server.append('everyone', { id: `${Date.now()}-3`, previous: server.log('everyone').last, data: elsewhere });
  server.say('everyone', 'hi', 'ada');
  await pass(100);
  assert.deepEqual(two.log.map(({ mine }) => mine), [true, true, true, false]);
  assert.deepEqual([two.log[2].mark, two.tab.isOwn('9-9', mark), two.tab.isOwn('9-9')], [mark, true, false]);
});

test('an edit reaches every tab, decoded, and moves its cursor', async () => {
  const browser = new Browser(server);
  const [one, two] = [await open(browser), await open(browser)];
  const id = server.say('everyone', 'helo');
  server.send('everyone', 'edit', { id, sender: 'mason', message: 'hello &amp; hi' });
  server.say('everyone', 'next');
  await pass(100);
  for (const page of [one, two]) {
    assert.deepEqual(page.edits, [{ id, sender: 'mason', text: 'hello & hi' }]);
    assert.deepEqual(page.texts, ['helo', 'next']);
  }
});

test('a room that is left leaves all tabs until it is visited again', async () => {
  const browser = new Browser(server);
  (await open(browser, 'garden')).close();
  const [one, two] = [await open(browser), await open(browser)];
  server.say('garden', 'roses');
  server.say('random', 'dice');
  await pass(200);
  assert.deepEqual(two.tab.rooms, ['everyone', 'random', 'garden']);
  assert.equal(two.badge('garden').unread, 1);
  one.tab.leaveRoom('garden');
  two.tab.leaveRoom('random');
  await pass(200);
  for (const page of [one, two]) {
    assert.deepEqual(page.tab.rooms, ['everyone']);
    assert.deepEqual(page.tab.counts.map(([room]) => room), []);
  }
  assert.deepEqual([...server.sources][0].rooms, ['everyone']);
  const back = await open(browser, 'random');
  await pass(200);
  assert.deepEqual([one, back].map(({ tab }) => tab.rooms), [['everyone', 'random'], ['everyone', 'random']]);
});

test('the oldest room leaves a full list with a notice', async () => {
  const browser = new Browser(server);
  browser.stored.set('tiny-chat:visited', Array.from({ length: 50 }, (_, index) => `room-${index}`).join());
  const page = await open(browser);
  await pass(100);
  assert.equal(page.notices.length, 1);
  assert.match(page.notices[0], /last 50 rooms.*: room-49$/);
  assert.deepEqual(page.tab.rooms.length, 51, 'the last 50, and one that is offered');
});

test('a denied and a full storage are told, once', async () => {
  const denied = await open(new Browser(server, { storage: false }));
  assert.match(denied.notices.join(), /keeps nothing for this page/);
  const browser = new Browser(server);
  const page = await open(browser);
  assert.deepEqual(page.notices, []);
  browser.full = true;
  page.tab.send('hello');
  page.tab.send('again');
  await pass(200);
  assert.deepEqual([page.texts, page.notices.length], [['hello', 'again'], 1]);
  assert.match(page.notices[0], /no more room/);
});
