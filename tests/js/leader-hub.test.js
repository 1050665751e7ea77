import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { clock } from './clock.js';
import { Browser, Server, open, pass, stopTheClock } from './world.js';

let server;

beforeEach(() => {
  stopTheClock();
  server = new Server();
});

afterEach(() => clock.release());

test('the stream covers open and offered rooms, present in open', async () => {
  const browser = new Browser(server);
  await open(browser, 'everyone');
  await open(browser, 'garden');
  await pass(500);
  const [source] = server.sources;
  assert.deepEqual(source.rooms, ['everyone', 'garden', 'random']);
  assert.deepEqual(source.query.get('in'), 'everyone,garden');
  assert.equal(source.query.get('name'), 'ada');
});

test('a first visit opens one stream, for which it waits 300 ms at most', async () => {
  const delays = { everyone: 100, random: 200, slow: 1000 };
  server.meets = (url) => {
    const room = url.split(/[/?]/)[2];
    return delays[room] && new Promise((done) => setTimeout(done, delays[room]));
  };
  const page = await open(new Browser(server), 'garden', { offered: ['everyone', 'random'] });
  assert.equal(server.opened, 0);
  await pass(100);
  assert.deepEqual([server.opened, page.state], [1, 'live']);
  assert.deepEqual([...server.sources][0].rooms, ['everyone', 'garden', 'random']);

  const other = await open(new Browser(server), 'garden', { offered: ['everyone', 'slow'] });
  await pass(200);
  assert.deepEqual([server.opened, other.state], [2, 'live']);
  assert.deepEqual([...server.sources][1].rooms, ['everyone', 'garden']);
  await pass(800);
  assert.equal(server.opened, 3);
  assert.deepEqual([...server.sources][1].rooms, ['everyone', 'garden', 'slow']);
});

test('rooms may have the names of Object.prototype’s members', async () => {
  const browser = new Browser(server);
  const page = await open(browser, 'constructor', { offered: ['toString', 'valueOf'] });
  page.tab.send('hello');
  server.say('valueOf', 'hi');
  await pass(500);
  assert.deepEqual([page.texts, page.state], [['hello'], 'live']);
  assert.deepEqual([...server.sources][0].rooms, ['constructor', 'toString', 'valueOf']);
  assert.deepEqual([page.badge('valueOf').unread, page.badge('toString').unread], [1, 0]);
});

test('unread counts are shared, survive a reload, and are cleared', async () => {
  const browser = new Browser(server);
  const [one, two] = [await open(browser), await open(browser)];
  server.say('random', 'hello');
  const id = server.say('random', 'and hello to @Ada');
  await pass(200);
  for (const page of [one, two]) assert.deepEqual(page.badge('random'), { name: 'random', unread: 2, mention: true, current: false });
  one.close();
  two.close();
  server.say('random', 'third');
  const again = await open(browser);
  await pass(200);
  assert.deepEqual(again.badge('random'), { name: 'random', unread: 3, mention: true, current: false });
  const random = await open(browser, 'random');
  random.tab.markRead(server.log('random').last);
  await pass(200);
  assert.equal(again.badge('random').unread, 0);
  assert.equal(again.badge('random').mention, false);
  random.close();
  server.say('random', 'fourth');
  const visit = await open(browser, 'random');
  assert.equal(visit.tab.lastRead, server.log('random').entries[2].id);
  assert.ok(id);
});

test('messages from this browser are never unread', async () => {
  const browser = new Browser(server);
  const [one, two] = [await open(browser), await open(browser, 'random')];
  two.tab.send('ada was here');
  await pass(300);
  assert.equal(one.badge('random')?.unread ?? 0, 0);
});

test('a new name is sent to the server after a moment', async () => {
  const browser = new Browser(server);
  const page = await open(browser);
  page.name = 'eve';
  page.tab.rename();
  await pass(2000);
  const [source] = server.sources;
  assert.equal(source.query.get('name'), 'eve');
});

test('a name that the server would refuse is not sent', async () => {
  for (const name of ['a'.repeat(65), 'bell\u0007', '  ', '']) {
    const page = await open(new Browser(server), 'everyone', { name });
    assert.equal(page.source.query.get('name'), null, JSON.stringify(name));
    page.close();
  }
});

/** Returns the rooms in which the user is present. */
const presentIn = () => {
  const [source] = server.sources;
  return source.query.get('in')?.split(',') ?? source.rooms;
};

/** Lets time pass with heartbeats. */
async function idle(ms) {
  for (let left = ms; left > 0; left -= 10_000) {
    for (const source of server.sources) source.emit('heartbeat', 'OK');
    await pass(Math.min(left, 10_000));
  }
}

for (const secure of [true, false]) {
  const where = secure ? 'with Web Locks' : 'without locks';

  test(`presence follows open tabs, whatever they do, ${where}`, async () => {
    const browser = new Browser(server, { secure });
    const [alpha, beta] = [await open(browser, 'alpha'), await open(browser, 'beta')];
    await idle(600_000);
    assert.deepEqual([alpha.leads, presentIn()], [true, ['alpha', 'beta']]);

    // A frozen tab: it is open, and neither its timers run nor does it answer.
    const channel = new beta.world.BroadcastChannel();
    const say = (request) => channel.postMessage({ request, tab: 'ice', room: 'gamma', name: 'ada', hidden: true, rooms: [] });
    let end;
    beta.world.navigator.locks?.request('tiny-chat:tab:ice', {}, () => new Promise((resolve) => (end = resolve)));
    say('hello');
    await idle(170_000);
    assert.deepEqual(presentIn(), ['alpha', 'beta', 'gamma']);
    await idle(200_000);
    assert.deepEqual(presentIn(), secure ? ['alpha', 'beta', 'gamma'] : ['alpha', 'beta']);
    const { states } = beta;
    const told = states.length;
    say('ping');
    await pass(1000);
    assert.deepEqual(presentIn(), ['alpha', 'beta', 'gamma']);
    assert.equal(states.length > told, !secure, 'the leader asks who else it does not know');
    end?.();
    await idle(secure ? 20_000 : 200_000);
    assert.deepEqual(presentIn(), ['alpha', 'beta'], 'it crashed');
  });
}

test('the name of a closed tab gives way to that of an open one', async () => {
  const browser = new Browser(server);
  const ada = await open(browser);
  const eve = await open(browser, 'everyone', { name: 'eve' });
  assert.equal([...server.sources][0].query.get('name'), 'ada');
  server.say('random', 'is @eve here?');
  await pass(500);
  assert.equal(ada.badge('random').mention, true, 'each of the names is called');
  const third = await open(browser, 'everyone', { name: 'eve' });
  ada.close();
  await pass(500);
  assert.equal([...server.sources][0].query.get('name'), 'eve');
  eve.name = third.name = 'zoe';
  eve.tab.rename();
  await pass(2000);
  assert.equal([...server.sources][0].query.get('name'), 'zoe');
});

test('an address stays below 4 KB: fewer rooms, and never the open one', async () => {
  const browser = new Browser(server);
  const rooms = Array.from({ length: 16 }, (_, index) => String.fromCodePoint(0x4e00 + index).repeat(64));
  browser.stored.set('tiny-chat:visited', rooms.join());
  const name = '名'.repeat(64);
  const page = await open(browser, rooms[15], { name });
  await pass(1000);
  for (const address of server.requests.concat(page.source.url)) assert.ok(address.length < 4000, `${address.length}`);
  assert.equal(page.state, 'live');
  assert.ok(page.source.rooms.includes(rooms[15]) && page.source.rooms.length >= 3, `${page.source.rooms.length} rooms`);
  assert.equal(page.source.query.get('name'), name);
  assert.equal(page.source.query.get('in'), rooms[15]);
});

for (const minutes of [10, 600]) {
  test(`what came in ${minutes} minutes without a page is counted to the first`, async () => {
    const browser = new Browser(server);
    const random = await open(browser, 'random');
    random.tab.markRead(server.say('random', 'read'));
    await pass(1500);
    random.close();
    const page = await open(browser);
    await pass(1500);
    page.close();
    for (let count = 0; count < 450; count += 1) server.say('random', `roll ${count}`);
    clock.tick(minutes * 60_000);
    const again = await open(browser);
    await pass(500);
    assert.equal(again.badge('random').unread, 450);
  });
}
