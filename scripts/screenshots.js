// Takes the screenshots in docs/; run it with scripts/screenshots. Needs chromium, chromedriver and redis-server, no npm
// package, and fonts that look good: those in docs/ are taken with Inter and Noto Color Emoji (FONTCONFIG_FILE may name
// a configuration that has them).

import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { Browser, end, freePort, isReady, perform, run, scratch, until } from './browser.js';

const DESKTOP = { width: 1200, height: 750, mobile: false };
const PHONE = { width: 390, height: 844, mobile: true };
const MINUTE = 60_000;
const VARIANTS = ['light', 'dark', 'phone', 'phone-dark'];

const target = process.argv[2];
const folder = target ?? 'docs';
/** Whether to take every state in every size and colour scheme. */
const every = target !== undefined;

class Server {
  static async start() {
    const server = new Server();
    server.redis = await freePort();
    server.port = await freePort();
    server.url = `http://127.0.0.1:${server.port}`;
    const redis = run('redis-server', ['--port', `${server.redis}`, '--bind', '127.0.0.1', '--save', '', '--dir', scratch]);
    await until('redis-server', () => redis.output.includes('eady to accept connections'));
    await server.up();
    return server;
  }

  async up() {
    this.node = run(resolve(process.env.CARGO_TARGET_DIR ?? 'target', 'debug/tiny-chat'), [], {
      BIND: `127.0.0.1:${this.port}`,
      REDIS_URL: `redis://127.0.0.1:${this.redis}`,
      NODE: 'chat-1',
      ROOMS: 'everyone,café,random',
      RATE_LIMIT: '0',
      HEARTBEAT: '5',
    });
    await until('the server', () => isReady(this.url));
  }

  down() {
    return end(this.node, 'SIGKILL');
  }

  cli(...args) {
    return run('redis-cli', ['-p', `${this.redis}`, ...args]).gone;
  }

  /** Stores a message as if it had been posted `ago` minutes ago. */
  store(room, ago, sender, message) {
    const text = (it) => it.replace(/[&<>"']/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#x27;' })[c]);
    const data = JSON.stringify({ sender: text(sender), message: text(message) });
    return this.cli('XADD', `chat:{${room}}`, `${Date.now() - Math.round(ago * MINUTE)}-1`, 'data', data, 'node', 'chat-1');
  }

  async post(room, sender, message) {
    const body = new URLSearchParams({ sender, message });
    await fetch(`${this.url}/${encodeURIComponent(room)}`, { method: 'POST', body, headers: { Accept: 'application/json' } });
  }

  /** Subscribes to a room under a name, until `signal` aborts. */
  async subscribe(room, name, signal) {
    const { body } = await fetch(`${this.url}/subscribe/${room}?name=${name}`, { signal });
    body.getReader().read();
  }
}

/** A browser whose page is photographed in several sizes and colour schemes. */
class Photographed extends Browser {
  async emulate(kind) {
    const phone = kind.startsWith('phone');
    const features = [
      { name: 'prefers-color-scheme', value: kind.endsWith('dark') ? 'dark' : 'light' },
      { name: 'prefers-reduced-motion', value: 'reduce' },
    ];
    await this.devtools('Emulation.setEmulatedMedia', { features });
    await this.devtools('Emulation.setTouchEmulationEnabled', { enabled: phone });
    await this.devtools('Emulation.setDeviceMetricsOverride', { ...(phone ? PHONE : DESKTOP), deviceScaleFactor: 1 });
    await this.js('return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
  }

  /** Takes screenshots of the page as it is now. */
  async screenshot(name, ...kinds) {
    for (const kind of every ? VARIANTS : kinds) {
      await this.emulate(kind);
      const { data } = await this.devtools('Page.captureScreenshot', { format: 'png' });
      const parts = [name, kind].filter((part) => part !== 'light');
      writeFileSync(join(folder, `${parts.join('-')}.png`), Buffer.from(data, 'base64'));
    }
    await this.emulate('light');
  }
}

const TALK = [
  ['mason', 'Is anybody here yet?'],
  ['ada', 'Two of us now. This room is just a URL, isn’t it?'],
  ['mason', 'Just a URL. `curl` reads it too:\n```sh\ncurl -N localhost:8080/subscribe/everyone\n```'],
  ['grace', '…and my train’s wifi was gone for a minute. Nothing is missing, nothing twice.'],
  ['mason', '🎉'],
];

async function takeScreenshots(signal) {
  const server = await Server.start();
  const day = 24 * 60;
  await server.store('everyone', day + 64, 'grace', 'Nodes are back up after the upgrade: both on #random’s new Redis.');
  await server.store('everyone', day + 63, 'grace', 'Tell me if anything looks slow.');
  await server.store('everyone', day + 41, 'mason', 'Looks quick from here.');
  for (const [index, [sender, text]] of TALK.entries()) await server.store('everyone', 28 - 2 * index, sender, text);
  await server.store('random', 300, 'mason', 'Somebody left the oven on.');

  const browser = await Photographed.start();
  await browser.emulate('light'); // pages are opened in this size
  for (const name of ['mason', 'grace']) await server.subscribe('everyone', name, signal);
  await browser.open(`${server.url}/random`);
  await browser.write('#sender', 'ada');
  await browser.loaded();
  await browser.until('Object.keys(localStorage).some((key) => key.endsWith("read:random"))');

  await browser.open(`${server.url}/everyone`);
  await browser.loaded();
  await browser.say('ada', 'That is what it is for.');
  await browser.shows('what it is for');
  await server.post('everyone', 'mason', '@ada see https://developer.mozilla.org/en-US/docs/Web/API/EventSource (section 3), then come to #café');
  await browser.shows('section 3');
  await server.post('everyone', 'ليلى', 'مرحبا بالجميع');
  await browser.shows('مرحبا');
  await browser.say('ada', 'Welcome! On my way.');
  await browser.shows('On my way');
  await server.post('random', 'mason', 'ada, was it you?');
  await browser.until('document.querySelector(".badge.call")');
  await browser.until('document.querySelector(".people > button").textContent.startsWith("3")');
  await browser.screenshot('page', 'light', 'dark', 'phone', 'phone-dark');
  await browser.js(`const line = document.querySelector('.mine');
    line.querySelector('.when').focus();
    line.querySelector('.more').focus();
    line.querySelector('.more').click();`);
  await browser.until('document.querySelector(".details")');
  await browser.screenshot('details', 'light');
  await browser.js('document.querySelector("#message").focus()');

  if (every) {
    await browser.js('document.querySelector("#here").showPopover()');
    await browser.screenshot('people');
    await browser.js('document.querySelector("#here").hidePopover(); document.querySelector(".ask").click()');
    await browser.until('document.querySelector("dialog[open]")');
    await browser.screenshot('help');
    await browser.js('document.querySelector("dialog").close()');
    await browser.write('#message', 'x'.repeat(4012));
    await browser.js('document.querySelector(".composer").requestSubmit()');
    await browser.screenshot('over');
    await browser.write('#message', '');
  }

  await browser.open(`${server.url}/caf%C3%A9`);
  await browser.loaded();
  await browser.screenshot('empty', 'light', 'phone');

  await browser.open(`${server.url}/everyone`);
  await browser.loaded();
  await browser.say('ada\u200b', 'A name with an invisible character in it?');
  await browser.until('document.querySelector("#send-error").textContent || document.querySelector(".failed")');
  await browser.screenshot('failed', 'light', 'phone');
  await browser.write('#sender', 'ada');
  await browser.write('#message', '');

  await server.down();
  await browser.state('offline');
  await browser.say('ada', 'Is this thing on?');
  await browser.until('document.querySelector(".waiting:not([hidden])")');
  await browser.screenshot('offline', 'light', 'phone');

  await server.cli('FLUSHALL');
  await server.up();
  await browser.js('document.querySelector(".status button")?.click()');
  await browser.until('document.querySelector(".gap")');
  await browser.shows('Is this thing on?');
  await server.post('everyone', 'mason', 'It is. The store was emptied in between, and the page says so.');
  await browser.shows('says so');
  await browser.screenshot('gap', 'light', 'phone');

  if (every) {
    await browser.open(`${server.url}/-no-room`);
    await browser.screenshot('error');
  }
}

mkdirSync(folder, { recursive: true });
await perform(takeScreenshots);
