import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { saveDraft } from '../../assets/composer.js';
import { Drafts } from '../../assets/drafts.js';
import { openStorage } from '../../assets/storage.js';
import { clock } from './clock.js';
import { stopTheClock } from './world.js';

let stored; // of the browser
let held; // ids of the tabs whose locks are held

beforeEach(() => {
  stopTheClock();
  stored = new Map();
  held = new Set();
});

afterEach(() => clock.release());

/** Returns a storage of a map, as openStorage has it. */
const storageOf = (map) => {
  const methods = {
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, value) => map.set(key, value),
    removeItem: (key) => map.delete(key),
  };
  const shape = { ownKeys: () => [...map.keys()], getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }) };
  return openStorage({ localStorage: new Proxy(methods, shape) });
};

/** A tab of the browser: its pages share a session. */
class Tab {
  session = new Map();
  #events = {};

  constructor({ secure = true } = {}) {
    this.secure = secure;
  }

  /** Loads a page, and returns its drafts. */
  load(room = 'lobby') {
    this.#events = {};
    this.id = `${Math.random()}`;
    held.add(this.id);
    const locks = { query: async () => ({ held: [...held].map((id) => ({ name: `tiny-chat:tab:${id}` })) }) };
    const world = { navigator: this.secure ? { locks } : {}, addEventListener: (type, react) => (this.#events[type] = react) };
    this.room = room;
    this.drafts = new Drafts(world, storageOf(stored), storageOf(this.session), room, this.id);
    return this.drafts;
  }

  /** Keeps a text as the page does. */
  save(text) {
    saveDraft(storageOf(stored), { tab: this.id, room: this.room, text, at: Date.now() });
    this.drafts.forgetOldest();
  }

  /** Loads a page where a text is typed. */
  type(text, room) {
    this.load(room);
    this.save(text);
  }

  unload() {
    this.#events.pagehide();
    held.delete(this.id);
  }

  restore() {
    held.add(this.id);
    this.#events.pageshow({ persisted: true });
  }

  reload(room) {
    this.unload();
    return this.load(room);
  }

  crash() {
    held.delete(this.id);
  }
}

/** Returns what a page finds in its box. */
const found = async (drafts) => drafts.take() || (await drafts.takeAbandoned());

test('each tab has its own draft, over reloads', async () => {
  const [one, two] = [new Tab(), new Tab()];
  one.type('of one');
  two.type('of two');
  assert.equal(await found(new Tab().load()), '', 'no open tab loses its draft');
  const again = one.reload();
  assert.equal(await found(again), 'of one');
  one.save('of one');
  two.save(''); // it was sent
  assert.equal(await found(one.reload()), 'of one');
  assert.equal(await found(two.reload()), '');
});

test('two tabs that are reloaded at once keep their drafts apart', async () => {
  const tabs = [new Tab(), new Tab()];
  for (const [index, tab] of tabs.entries()) tab.type(`${index}`);
  for (const tab of tabs) tab.unload();
  for (const [index, tab] of tabs.entries()) assert.equal(await found(tab.load()), `${index}`);
});

test('the draft of a tab that is gone is taken over, once, in its room', async () => {
  const [closed, crashed] = [new Tab(), new Tab()];
  closed.type('of the closed');
  clock.tick(10);
  crashed.type('of the crashed');
  closed.unload();
  crashed.crash();
  assert.equal(await found(new Tab().load('garden')), '');
  const texts = [await found(new Tab().load()), await found(new Tab().load()), await found(new Tab().load())];
  assert.deepEqual(texts, ['of the closed', 'of the crashed', '']);
});

test('without locks, the draft of a crashed tab is taken over later', async () => {
  const crashed = new Tab({ secure: false });
  crashed.type('half a sen');
  clock.tick(100_000);
  assert.equal(await found(new Tab({ secure: false }).load()), '');
  clock.tick(100_000);
  assert.equal(await found(new Tab({ secure: false }).load()), 'half a sen');
});

test('a page from the back/forward cache has its draft again', async () => {
  const tab = new Tab();
  tab.type('half a sen');
  tab.unload();
  tab.restore();
  assert.equal(await found(new Tab().load()), '');
  assert.equal(await found(tab.reload()), 'half a sen');
});

test('drafts are bounded', async () => {
  for (let count = 0; count < 30; count += 1) {
    clock.tick(10);
    new Tab().type('x'.repeat(20_000), `room-${count}`);
  }
  assert.equal(stored.size, 20);
  const bytes = [...stored.values()].reduce((sum, value) => sum + value.length, 0);
  assert.ok(bytes < 420_000, `${bytes}`);
  assert.ok([...stored.values()].some((value) => value.includes('room-29')));
});
