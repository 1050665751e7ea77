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
  assert.ok(Math.abs(page.pending[0].until - clock.passed() - 3000) < 100);
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

/** Loses the answers to posts, and the echo of what they store, as a page that is gone does. */
function loseAnswers(page, stored = []) {
  server.meets = (url, init) => {
    if (init.method !== 'POST') return undefined;
    const { sender, message, key } = JSON.parse(init.body);
    page.source.close();
    stored.push(server.store('everyone', sender, message, key));
    return new Promise(() => {});
  };
}

/** Closes a page whose last answer was lost, and opens it again after a while. */
async function reopenAfter(page, ms, browser) {
  page.close();
  server.meets = () => undefined;
  await pass(10);
  clock.tick(ms);
  return open(browser);
}

for (const hours of [0.5, 3]) {
  test(`a lost answer is settled from the log after ${hours} hours`, async () => {
    const browser = new Browser(server);
    const page = await open(browser);
    server.say('everyone', 'before');
    await pass(100);
    loseAnswers(page);
    page.tab.send('only once');
    await pass(100);
    for (let count = 0; count < 450; count += 1) server.say('everyone', `later ${count}`);
    const again = await reopenAfter(page, hours * 3_600_000, browser);
    await pass(20_000);
    assert.deepEqual([again.pending, server.posts.length], [[], 0], 'it is not posted again');
    assert.equal(server.log('everyone').entries.filter(({ data }) => data.message === 'only once').length, 1);
    assert.equal(again.tab.isOwn(server.log('everyone').entries[1].id), true);
  });
}

test('what the log does not have is sent again, however late', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  server.meets = (url, init) => init.method === 'POST' && new Promise(() => {});
  page.tab.send('late & well');
  await pass(100);
  server.say('everyone', 'later');
  server.send('everyone', 'note', {});
  const again = await reopenAfter(page, 3 * 3_600_000, browser);
  await pass(1000);
  assert.deepEqual([again.texts.at(-1), again.pending], ['late & well', []]);
});

test('the same key of another sender or text settles nothing', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  server.meets = (url, init) => init.method === 'POST' && new Promise(() => {});
  const key = page.tab.send('mine');
  await pass(100);
  server.say('everyone', 'mine', 'eve', key);
  server.say('everyone', 'of eve', 'ada', key);
  await pass(100);
  assert.deepEqual(states(page), [['mine', 'sending']]);
  const again = await reopenAfter(page, 3 * 3_600_000, browser);
  await pass(1000);
  assert.deepEqual([server.posts.map(({ message }) => message), again.pending], [['mine'], []]);
});

test('what the log can no longer tell is for the user to decide', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  loseAnswers(page);
  const key = page.tab.send('taken?');
  await pass(100);
  for (let count = 0; count < 5; count += 1) server.say('everyone', `later ${count}`);
  server.trim('everyone', 2);
  const again = await reopenAfter(page, 3 * 3_600_000, browser);
  await pass(20_000);
  assert.deepEqual([states(again), server.posts], [[['taken?', 'unsure']], []]);
  again.tab.retry(key);
  await pass(100);
  assert.deepEqual([again.texts, again.pending, server.posts.length], [['taken?'], [], 1]);
});

test('a server that cannot say what it took leaves it to the user', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  loseAnswers(page);
  const key = page.tab.send('taken?');
  await pass(100);
  page.close();
  server.meets = (url) => url.startsWith('/history/') && answer(500, {});
  clock.tick(3_600_000);
  const again = await open(browser);
  await pass(10_000);
  assert.deepEqual([states(again), server.posts], [[['taken?', 'unsure']], []]);
  assert.match(again.pending[0].reason, /cannot say/);
  server.meets = () => undefined;
  again.tab.retry(key);
  await pass(100);
  assert.deepEqual([again.pending, server.posts], [[], []], 'the log is asked first, even then');
});

test('a tab that takes over while offline sends nothing unsettled', async () => {
  const browser = new Browser(server);
  const [one, two] = [await open(browser), await open(browser)];
  const stored = [];
  loseAnswers(one, stored);
  one.tab.send('only once');
  await pass(100);
  server.cut();
  one.close();
  server.meets = (url) => (url.startsWith('/history/') ? new Promise((resolve) => setTimeout(() => resolve(undefined), 8000)) : undefined);
  await pass(5000);
  server.keys.clear(); // ten minutes and more
  server.restore();
  server.silent = true; // the replay is late
  await pass(60_000);
  assert.deepEqual(server.posts, []);
  server.silent = false;
  two.tab.reconnect();
  await pass(1000);
  assert.deepEqual(two.pending, []);
  assert.equal(server.log('everyone').entries.length, 1);
});

test('a rate limit after a lost answer leaves the message in doubt', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  let posts = 0;
  server.meets = (url, init) => {
    if (init.method !== 'POST') return undefined;
    const { sender, message, key } = JSON.parse(init.body);
    posts += 1;
    if (posts > 1) return answer(429, {}, { 'Retry-After': '500' });
    server.silent = true; // its echo is lost as well
    server.store('everyone', sender, message, key);
    return answer(503, {});
  };
  page.tab.send('only once');
  await pass(10_000);
  assert.deepEqual([posts, states(page)], [2, [['only once', 'waiting']]]);
  server.silent = false;
  const again = await reopenAfter(page, 3_600_000, browser);
  await pass(1000);
  assert.deepEqual([again.pending, server.posts], [[], []]);
});

for (const told of [true, false]) {
  test(`an answered message that the store loses is told, ${told ? 'with' : 'without'} a gap`, async () => {
    const browser = new Browser(server);
    const page = await open(browser);
    server.say('everyone', 'old');
    await pass(100);
    const { last } = server.log('everyone');
    server.meets = (url, init) => init.method === 'POST' && answer(200, { id: `${Date.now()}-2` });
    const key = page.tab.send('lost');
    await pass(100);
    assert.deepEqual(states(page), [['lost', 'sending']]);
    server.meets = () => undefined;
    if (told) {
      server.lose('everyone');
      server.cut();
      server.restore();
      clock.tick(1000);
      server.say('everyone', 'a new log');
    } else assert.equal(server.log('everyone').last, last, 'as after a failover that lost the last write');
    await pass(40_000);
    assert.deepEqual(states(page), [['lost', 'unsure']]);
    assert.match(page.pending[0].reason, /took it, and no longer has it/);
    page.tab.retry(key);
    await pass(100);
    assert.deepEqual([page.texts.at(-1), page.pending], ['lost', []]);
    assert.notEqual(server.posts[0].key, key, 'the server may know the old key');
  });
}

test('an answered message is settled by its id after a reload', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  loseAnswers(page);
  const key = page.tab.send('answered');
  await pass(100);
  const item = JSON.parse(browser.stored.get(`tiny-chat:out:${key}`));
  const { last } = server.log('everyone');
  const again = async (id) => {
    browser.stored.set(`tiny-chat:out:${key}`, JSON.stringify({ ...item, id }));
    const opened = await reopenAfter(browser.pages[0], 3_600_000, browser);
    await pass(1000);
    return states(opened);
  };
  assert.deepEqual(await again(last), []);
  assert.deepEqual(await again(`${parseInt(last, 10) - 1}-1`), [['answered', 'unsure']], 'its log is gone');
  assert.deepEqual(server.posts, []);
});

test('a message refused for its name goes out with the corrected one', async () => {
  const browser = new Browser(server);
  const page = await open(browser, 'everyone', { name: 'a\u0007da' });
  server.meets = (url, init) => init.body?.includes('\\u0007') && answer(422, { detail: 'sender: no.' });
  const key = page.tab.send('hello');
  await pass(100);
  assert.deepEqual(states(page), [['hello', 'failed']]);
  page.name = 'ada';
  page.tab.retry(key);
  await pass(100);
  assert.deepEqual([page.log.map(({ sender, text }) => [sender, text]), page.pending], [[['ada', 'hello']], []]);
});

test('a wait is measured by a clock that does not jump', async () => {
  const browser = new Browser(server);
  const [one, two] = [await open(browser), await open(browser)];
  server.meets = (url, init) => init.method === 'POST' && answer(429, {}, { 'Retry-After': '8' });
  one.tab.send('one');
  await pass(50);
  clock.put(Date.now() - 3_600_000);
  await pass(3000);
  for (const page of [one, two]) {
    const seconds = Math.round((page.pending[0].until - clock.passed()) / 1000);
    assert.equal(seconds, 5);
  }
  server.meets = () => undefined;
  await pass(5100);
  assert.deepEqual([one.texts, two.texts], [['one'], ['one']]);
});

test('no wait is longer than ten minutes', async () => {
  const page = await open(new Browser(server));
  server.meets = (url, init) => init.method === 'POST' && answer(429, {}, { 'Retry-After': '9999999' });
  page.tab.send('one');
  await pass(50);
  assert.ok(page.pending[0].until - clock.passed() <= 600_000);
});

test('half characters leave neither in a text nor in a name', async () => {
  const bodies = [];
  server.meets = (url, { body }) => void (body && bodies.push(JSON.parse(body)));
  const page = await open(new Browser(server), 'everyone', { name: 'a\ud83dda' });
  page.tab.send('cut \ud83d and whole 🎉');
  await pass(100);
  assert.deepEqual(bodies.map(({ sender, message }) => [sender, message]), [['a\ufffdda', 'cut \ufffd and whole 🎉']]);
  assert.equal(page.source.query.get('name'), 'a\ufffdda');
});

test('a leader that thaws does not bring back what another tab sent', async () => {
  const browser = new Browser(server);
  const [one, two] = [await open(browser), await open(browser)];
  let answerLate;
  server.meets = (url, init) => init.method === 'POST' && new Promise((resolve) => (answerLate = resolve));
  one.tab.send('once');
  await pass(100);
  server.meets = () => undefined;
  one.frozen = true;
  await pass(8000);
  assert.deepEqual([two.leads, two.texts], [true, ['once']]);
  one.frozen = false;
  await pass(6000);
  answerLate(answer(503, {}));
  await pass(100);
  assert.deepEqual([...browser.stored.keys()].filter((key) => key.includes(':out:')), []);
  assert.equal(server.posts.length, 1);
});
