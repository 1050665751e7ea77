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
