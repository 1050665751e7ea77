import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { iconFor, markPage, notify } from '../../assets/notifications.js';
import { storage } from '../../assets/storage.js';
import { clock } from './clock.js';
import { Browser, Server, open, pass, stopTheClock } from './world.js';

let shown;
let served; // the server's time

beforeEach(() => {
  stopTheClock();
  shown = [];
  served = Date.now();
  class Notification {
    static permission = 'granted';
    constructor(title) {
      shown.push(title);
    }
  }
  const fetch = async () => ({ headers: new Headers({ Date: new Date(served).toUTCString() }) });
  Object.assign(globalThis, { Notification, isSecureContext: true, fetch });
  Object.defineProperty(globalThis, 'performance', { value: { now: () => clock.passed() }, configurable: true, writable: true });
  storage.set('notify', 'all');
});

afterEach(() => clock.release());

test('a mention takes precedence on the icon', () => {
  assert.equal(iconFor([{ unread: 0 }]), 'icon');
  assert.equal(iconFor([{ unread: 0 }, { unread: 2 }]), 'icon-unread');
  assert.equal(iconFor([{ unread: 2 }, { unread: 1, mention: true }]), 'icon-mention');
});

test('the title and the badge count all rooms', () => {
  const badges = [];
  const value = { setAppBadge: async (count) => badges.push(count) };
  Object.defineProperty(globalThis, 'navigator', { value, configurable: true });
  globalThis.document = { title: 'lobby · tiny-chat', querySelector: () => null };
  markPage([{ unread: 0, current: true }, { unread: 40 }, { unread: 2 }]);
  assert.equal(document.title, '(42) lobby · tiny-chat');
  markPage([{ unread: 90, current: true }, { unread: 40 }]);
  assert.equal(document.title, '(99+) lobby · tiny-chat');
  markPage([{ unread: 0 }]);
  assert.equal(document.title, 'lobby · tiny-chat');
  assert.deepEqual(badges, [42, 130, 0]);
  delete globalThis.document;
  delete globalThis.navigator;
});

for (const [turn, wrong] of [-3_600_000, 0, 3_600_000].entries()) {
  test(`the age of a message is that of the server, ${wrong / 60_000} minutes from this clock`, async () => {
    const message = (at, replayed) => ({ room: 'a', id: `${at}-1`, sender: `${at - served}`, text: 'hi', mention: false, replayed });
    clock.tick((1 + turn) * 60_000); // the server is asked for its time again
    served = Date.now() - wrong;
    await notify(message(served, false));
    await notify(message(served - 5000, true));
    await notify(message(served - 300_000, true));
    assert.deepEqual(shown, ['0 in a', '-5000 in a']);
  });
}

test('a room of its own choice is heeded', async () => {
  storage.set('notify:quiet', 'none');
  for (const room of ['quiet', 'loud']) {
    await notify({ room, id: `${Date.now()}-1`, sender: 'mason', text: 'hi', mention: false, replayed: false });
  }
  assert.deepEqual(shown, ['mason in loud']);
});

test('live messages notify on a computer whose clock runs ahead', async () => {
  clock.tick(600_000); // the server is asked for its time again
  served = Date.now();
  const server = new Server();
  const browser = new Browser(server);
  browser.stored.set('tiny-chat:notify', 'all');
  const page = await open(browser);
  await pass(11_000);
  server.append('random', { id: `${Date.now() - 600_000}-1`, previous: '0-0', data: { sender: 'mason', message: 'dice' } });
  await pass(100);
  assert.deepEqual([shown, page.badge('random').unread], [['mason in random'], 1]);
  page.source.fail();
  const id = `${Date.now() - 599_000}-2`;
  server.append('random', { id, previous: server.log('random').last, data: { sender: 'mason', message: 'old dice' } });
  await pass(6000);
  assert.deepEqual([shown.length, page.badge('random').unread], [1, 2], 'what is replayed may be old');
});
