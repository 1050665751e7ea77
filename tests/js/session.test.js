import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { Browser, Server, answer, pass, stopTheClock } from './world.js';
import { clock } from './clock.js';

let server;

beforeEach(() => {
  stopTheClock();
  server = new Server();
});

afterEach(() => clock.release());

async function open(browser, room = 'everyone', options = {}) {
  const tab = browser.open(room, options);
  await pass(200);
  return tab;
}

const states = (tab) => tab.pending.map(({ text, state }) => [text, state]);

for (const secure of [true, false]) {
  const where = secure ? 'with Web Locks' : 'with a lease';

  test(`two tabs share one stream and hear the same, ${where}`, async () => {
    const browser = new Browser(server, { secure });
    const [one, two] = [await open(browser), await open(browser)];
    assert.equal(server.sources.size, 1);
    server.say('everyone', 'a &amp; b');
    await pass();
    assert.deepEqual([one.texts, two.texts], [['a & b'], ['a & b']]);
    assert.deepEqual([one.state, two.state], ['live', 'live']);
  });

  test(`another tab takes over at once when the leader closes, and nothing is missed, ${where}`, async () => {
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

  test(`a frozen leader is replaced within a few seconds, and gives way when it thaws, ${where}`, async () => {
    const browser = new Browser(server, { secure });
    const [one, two] = [await open(browser), await open(browser)];
    one.frozen = true;
    two.session.send('is anybody there?');
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

  test(`a leader that closes while a send is in flight leaves it to the next, and it appears once, ${where}`, async () => {
    const browser = new Browser(server, { secure });
    const [one, two] = [await open(browser), await open(browser)];
    server.meets = (url, init) => init.method === 'POST' && new Promise(() => {});
    const key = one.session.send('only once');
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

test('a message is pending in every tab of its room, and its echo takes its place in each of them', async () => {
  const browser = new Browser(server);
  const [one, two] = [await open(browser), await open(browser)];
  let release;
  server.meets = (url, init) => init.method === 'POST' && new Promise((resolve) => (release = resolve));
  const key = two.session.send('hello');
  assert.deepEqual(states(two), [['hello', 'queued']]);
  await pass();
  assert.deepEqual([states(one), states(two)], [[['hello', 'sending']], [['hello', 'sending']]]);
  release();
  await pass();
  for (const tab of [one, two]) {
    assert.deepEqual(tab.settled, [{ key, stillPending: true }]);
    assert.deepEqual([tab.texts, tab.pending], [['hello'], []]);
  }
});

test('the tab that sent a message, and no other, knows since when it waited: since Send, not since the try that succeeded', async () => {
  const browser = new Browser(server);
  const [leader, tab] = [await open(browser), await open(browser)];
  server.meets = (url, { method }) => method === 'POST' && answer(503, {});
  const before = tab.world.performance.now();
  tab.session.send('hello');
  await pass(200);
  server.meets = () => undefined;
  await pass(30_000);
  assert.deepEqual([leader.texts, tab.texts], [['hello'], ['hello']]);
  assert.deepEqual([leader.sent, tab.sent], [[undefined], [before]]);
});

test('after a reload it is not known when a message was sent', async () => {
  const browser = new Browser(server);
  const tab = await open(browser);
  server.cut();
  tab.session.send('hello');
  await pass(200);
  tab.close();
  server.restore();
  const again = await open(browser);
  await pass(1000);
  assert.deepEqual([again.texts, again.sent], [['hello'], [undefined]]);
});

test('an answer before the echo settles nothing; the echo does, in the order of the log', async () => {
  const browser = new Browser(server);
  const tab = await open(browser);
  const echoes = [];
  for (const source of server.sources) {
    const heard = source.heard.bind(source);
    source.heard = (...echo) => echoes.push(() => heard(...echo));
  }
  server.say('everyone', 'first');
  tab.session.send('second');
  await pass(50);
  assert.deepEqual([tab.texts, states(tab)], [[], [['second', 'sending']]]);
  for (const echo of echoes) echo();
  await pass();
  assert.deepEqual([tab.texts, tab.pending], [['first', 'second'], []]);
});

test('an echo before the answer settles once', async () => {
  const browser = new Browser(server);
  const tab = await open(browser);
  let respond;
  server.meets = (url, init) => {
    if (init.method !== 'POST') return undefined;
    const { sender, message, key } = JSON.parse(init.body);
    const stored = server.store('everyone', sender, message, key);
    return new Promise((resolve) => (respond = () => resolve(answer(200, stored))));
  };
  tab.session.send('quick');
  await pass();
  assert.deepEqual([tab.texts, tab.pending], [['quick'], []]);
  respond();
  await pass(100);
  assert.deepEqual([tab.texts, tab.pending, tab.settled.length], [['quick'], [], 1]);
});

test('a reload in the middle of a send sends again with the same key, and it is there once', async () => {
  const browser = new Browser(server);
  const tab = await open(browser);
  server.meets = async (url, init) => {
    if (init.method !== 'POST') return undefined;
    const { sender, message, key } = JSON.parse(init.body);
    tab.source.close(); // the page is gone before its echo
    server.store('everyone', sender, message, key);
    return new Promise(() => {});
  };
  const key = tab.session.send('once');
  await pass();
  tab.close();
  server.meets = () => undefined;
  const again = browser.open('everyone');
  await pass(10);
  assert.deepEqual(again.pending.map(({ text }) => text), ['once']);
  await pass(1000);
  assert.deepEqual(again.pending, []);
  assert.equal(server.log('everyone').entries.length, 1);
  assert.deepEqual(again.settled.length, 0, 'the HTML has it already');
  again.close();
  const third = await open(browser);
  assert.equal(third.session.mine(server.log('everyone').last), true);
  assert.ok(server.posts.every((post) => post.key === key));
});

test('a reload before the server took the message sends it after all', async () => {
  const browser = new Browser(server);
  const tab = await open(browser);
  server.meets = (url, init) => init.method === 'POST' && new Promise(() => {});
  tab.session.send('late');
  await pass();
  tab.close();
  server.meets = () => undefined;
  const again = await open(browser);
  await pass(1000);
  assert.deepEqual([again.texts, again.pending], [['late'], []]);
});

test('what is sent offline waits and goes out in order, after the replay was read', async () => {
  const browser = new Browser(server);
  const tab = await open(browser);
  server.cut();
  await pass(100);
  assert.equal(tab.state, 'reconnecting');
  for (const text of ['one', 'two', 'three']) tab.session.send(text);
  await pass(100);
  assert.deepEqual(states(tab), [['one', 'queued'], ['two', 'queued'], ['three', 'queued']]);
  server.say('everyone', 'meanwhile');
  server.restore();
  tab.session.reconnect();
  await pass(1000);
  assert.deepEqual(tab.texts, ['meanwhile', 'one', 'two', 'three']);
  assert.deepEqual(tab.log.map(({ mine }) => mine), [false, true, true, true]);
});

test('a message whose answer was lost is not posted again when the replay holds its echo', async () => {
  const browser = new Browser(server);
  const tab = await open(browser);
  server.meets = (url, init) => {
    if (init.method !== 'POST') return undefined;
    const { sender, message, key } = JSON.parse(init.body);
    server.cut();
    server.store('everyone', sender, message, key);
    throw new TypeError('network');
  };
  tab.session.send('taken');
  await pass(100);
  assert.deepEqual(states(tab), [['taken', 'queued']]);
  server.meets = () => undefined;
  server.restore();
  await pass(40_000);
  assert.deepEqual([tab.texts, tab.pending, server.posts], [['taken'], [], []]);
  assert.equal(tab.settled.length, 1);
});

test('across a gap an unanswered message asks, and one that was never sent just goes out', async () => {
  const browser = new Browser(server);
  const tab = await open(browser);
  server.say('everyone', 'old');
  server.meets = (url, init) => {
    if (init.method !== 'POST') return undefined;
    server.cut();
    throw new TypeError('network');
  };
  const key = tab.session.send('taken or not?');
  await pass(100);
  tab.session.send('never sent');
  server.meets = () => undefined;
  server.lose('everyone');
  clock.tick(1000);
  server.say('everyone', 'new');
  server.restore();
  await pass(40_000);
  assert.deepEqual(tab.gaps.map(({ reason }) => reason), ['reset']);
  assert.deepEqual(tab.texts, ['old', 'new', 'never sent']);
  assert.deepEqual(states(tab), [['taken or not?', 'unsure']]);
  tab.session.retry(key);
  await pass(100);
  assert.deepEqual(tab.texts.at(-1), 'taken or not?');
});

test('a rate limit waits as long as it says, visibly, and nothing overtakes', async () => {
  const browser = new Browser(server);
  const tab = await open(browser);
  server.meets = (url, init) => init.method === 'POST' && answer(429, {}, { 'Retry-After': '3' });
  tab.session.send('one');
  tab.session.send('two');
  await pass(50);
  assert.deepEqual(states(tab), [['one', 'waiting'], ['two', 'queued']]);
  assert.ok(Math.abs(tab.pending[0].until - Date.now() - 3000) < 100);
  server.meets = () => undefined;
  await pass(2500);
  assert.deepEqual(tab.texts, []);
  await pass(1000);
  assert.deepEqual(tab.texts, ['one', 'two']);
});

test('what will never be taken fails with the reason, and the next goes out', async () => {
  const browser = new Browser(server);
  const tab = await open(browser);
  server.meets = (url, init) => init.body?.includes('spoiled') && answer(422, { detail: 'message: too bad.' });
  const key = tab.session.send('spoiled');
  tab.session.send('good');
  await pass(100);
  assert.deepEqual(tab.pending.map(({ state, reason }) => [state, reason]), [['failed', 'too bad.']]);
  assert.deepEqual(tab.texts, ['good']);
  assert.equal(tab.session.discard(key), 'spoiled');
  await pass(100);
  assert.deepEqual(tab.pending, []);
  assert.deepEqual([...browser.stored.keys()].filter((each) => each.includes('out:')), []);
});

test('a server in trouble is tried again, with the same key', async () => {
  const browser = new Browser(server);
  const tab = await open(browser);
  const keys = [];
  server.meets = (url, init) => {
    if (init.method !== 'POST') return undefined;
    keys.push(JSON.parse(init.body).key);
    return keys.length < 3 ? answer(503, { detail: 'The store is away.' }) : undefined;
  };
  tab.session.send('patience');
  await pass(50);
  assert.deepEqual(tab.pending.map(({ state, reason }) => [state, reason]), [['queued', 'The store is away.']]);
  await pass(30_000);
  assert.deepEqual(tab.texts, ['patience']);
  assert.equal(new Set(keys).size, 1);
  assert.equal(keys.length, 3);
});

test('messages sent when the clock was put back keep their order', async () => {
  const browser = new Browser(server);
  const tab = await open(browser);
  server.cut();
  await pass(50);
  tab.session.send('one');
  clock.put(Date.now() - 3_600_000);
  tab.session.send('two');
  server.restore();
  tab.session.reconnect();
  await pass(1000);
  assert.deepEqual(tab.texts, ['one', 'two']);
});

test('where storage is denied each tab keeps to itself and works', async () => {
  const browser = new Browser(server, { storage: false });
  const [one, two] = [await open(browser), await open(browser)];
  assert.equal(server.sources.size, 2);
  one.session.send('hello');
  await pass(100);
  assert.deepEqual([one.texts, two.texts], [['hello'], ['hello']]);
  assert.deepEqual([one.log[0].mine, two.log[0].mine], [true, false]);
});

test('the stream covers the rooms open in any tab and those offered; only open ones are entered', async () => {
  const browser = new Browser(server);
  await open(browser, 'everyone');
  await open(browser, 'garden');
  await pass(500);
  const [source] = server.sources;
  assert.deepEqual(source.rooms, ['everyone', 'garden', 'random']);
  assert.deepEqual(source.query.get('in'), 'everyone,garden');
  assert.equal(source.query.get('name'), 'ada');
});

test('unread messages and mentions of other rooms are counted in all tabs, survive a reload, and go when read', async () => {
  const browser = new Browser(server);
  const [one, two] = [await open(browser), await open(browser)];
  server.say('random', 'hello');
  const id = server.say('random', 'and hello to @Ada');
  await pass(200);
  for (const tab of [one, two]) assert.deepEqual(tab.badge('random'), { name: 'random', unread: 2, mention: true, current: false });
  one.close();
  two.close();
  server.say('random', 'third');
  const again = await open(browser);
  await pass(200);
  assert.deepEqual(again.badge('random'), { name: 'random', unread: 3, mention: true, current: false });
  const random = await open(browser, 'random');
  random.session.read(server.log('random').last);
  await pass(200);
  assert.equal(again.badge('random').unread, 0);
  assert.equal(again.badge('random').mention, false);
  random.close();
  server.say('random', 'fourth');
  const visit = await open(browser, 'random');
  assert.equal(visit.session.unread(), server.log('random').entries[2].id);
  assert.ok(id);
});

test('rooms may be called like what every object has', async () => {
  const browser = new Browser(server);
  const tab = await open(browser, 'constructor', { offered: ['toString', 'valueOf'] });
  tab.session.send('hello');
  server.say('valueOf', 'hi');
  await pass(500);
  assert.deepEqual([tab.texts, tab.state], [['hello'], 'live']);
  assert.deepEqual([...server.sources][0].rooms, ['constructor', 'toString', 'valueOf']);
  assert.deepEqual([tab.badge('valueOf').unread, tab.badge('toString').unread], [1, 0]);
});

test('own messages are never unread', async () => {
  const browser = new Browser(server);
  const [one, two] = [await open(browser), await open(browser, 'random')];
  two.session.send('ada was here');
  await pass(300);
  assert.equal(one.badge('random')?.unread ?? 0, 0);
});

test('a tab that joins behind the stream gets what it missed, once', async () => {
  const browser = new Browser(server);
  const one = await open(browser);
  const cursor = server.log('everyone').last;
  server.say('everyone', 'between HTML and script');
  await pass(10);
  const two = await open(browser, 'everyone', { cursor });
  await pass(300);
  assert.deepEqual([one.texts, two.texts], [['between HTML and script'], ['between HTML and script']]);
});

test('a page kept by the browser for going back catches up when it is shown again', async () => {
  const browser = new Browser(server);
  const tab = await open(browser);
  tab.fire('pagehide', { persisted: true });
  assert.equal(server.sources.size, 0);
  server.say('everyone', 'meanwhile');
  await pass(1000);
  tab.fire('pageshow', { persisted: true });
  await pass(500);
  assert.deepEqual([tab.texts, server.sources.size], [['meanwhile'], 1]);
});

test('a page that came while the store was lost gets its messages when it is back', async () => {
  server.live = false;
  const browser = new Browser(server);
  const tab = await open(browser, 'everyone', { cursor: '' });
  assert.equal(tab.state, 'storeless');
  server.say('everyone', 'kept');
  server.live = true;
  for (const source of server.sources) source.emit('status', { live: true, node: 'chat-1', heartbeat: 15 });
  await pass(10_000);
  server.say('everyone', 'new');
  await pass(100);
  assert.deepEqual(tab.texts, ['kept', 'new']);
});

test('a silent stream is given up after two and a half heartbeats', async () => {
  const browser = new Browser(server);
  const tab = await open(browser);
  await pass(41_000);
  assert.equal(tab.state, 'live');
  await pass(2_000);
  assert.equal(tab.state, 'reconnecting');
  assert.ok(tab.states.at(-1).until > Date.now());
  await pass(5_000);
  assert.equal(tab.state, 'live');
});

test('being sent away is survived with the reason, and a full node is left alone for 5 seconds', async () => {
  const browser = new Browser(server);
  const tab = await open(browser);
  tab.source.emit('backoff', { reason: 'full' });
  assert.deepEqual([tab.state, tab.states.at(-1).reason], ['reconnecting', 'full']);
  await pass(4_900);
  assert.equal(server.sources.size, 0);
  await pass(26_000);
  assert.equal(tab.state, 'live');
});

test('a new name is told to the server after a moment', async () => {
  const browser = new Browser(server);
  const tab = await open(browser);
  tab.name = 'eve';
  tab.session.renamed();
  await pass(2000);
  const [source] = server.sources;
  assert.equal(source.query.get('name'), 'eve');
});

test('a name that the server would refuse is not told to it, so that there is a stream', async () => {
  for (const name of ['a'.repeat(65), 'bell\u0007', '  ', '']) {
    const tab = await open(new Browser(server), 'everyone', { name });
    assert.equal(tab.source.query.get('name'), null, JSON.stringify(name));
    tab.close();
  }
});

test('an idle tab does nothing more often than once a second', async () => {
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
