// What scripts/screenshots.js and scripts/picture.js share: programs that end with them, and Chromium driven by chromedriver.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MOUSE = 'blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4';

/** A folder that is removed at the end. */
export const scratch = mkdtempSync(join(tmpdir(), 'tiny-chat-pictures-'));
const children = [];
const browsers = [];
const adopted = [];

/** Ends a process at the end that something else started. */
export const adopt = (pid) => adopted.push(pid);

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** Starts a program that ends with this one. Its output is collected in `output`; `gone` resolves when it has exited. */
export function run(program, args, env = {}) {
  const child = spawn(program, args, { cwd: scratch, env: { ...process.env, HOME: scratch, TMPDIR: scratch, ...env } });
  children.push(child);
  child.output = '';
  for (const pipe of [child.stdout, child.stderr]) pipe.on('data', (data) => (child.output += data));
  child.on('error', (error) => (child.output += error));
  child.gone = new Promise((resolve) => child.on('close', resolve));
  return child;
}

export const end = (child, signal = 'SIGTERM') => (child.kill(signal), child.gone);

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(what, ask) {
  for (const late = Date.now() + 30_000; Date.now() < late; await pause(50)) {
    const answer = await ask();
    if (answer) return answer;
  }
  throw new Error(`${what} did not come\n${children.map(({ output }) => output).join('\n')}`);
}

export const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** Whether a node takes requests. */
export const isReady = (url) => fetch(`${url}/readyz`).then(({ ok }) => ok, () => false);

/** Runs `main`, and ends everything that it started, also if it fails or is interrupted. */
export async function perform(main) {
  const aborting = new AbortController();
  let cleaning;
  const clean = () =>
    (cleaning ??= (async () => {
      aborting.abort();
      for (const browser of browsers) await browser.close();
      adopted.forEach(kill);
      await Promise.all(children.map((child) => child.exitCode === null && child.signalCode === null && end(child)));
      rmSync(scratch, { recursive: true, force: true, maxRetries: 5 });
    })());
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => clean().then(() => process.exit(1)));
  try {
    await main(aborting.signal);
  } finally {
    await clean();
  }
}

/** A Chromium of its own, with the page of the chat in it. */
export class Browser {
  static async start() {
    const browser = new this();
    const port = await freePort();
    run('chromedriver', [`--port=${port}`]);
    browser.driver = `http://127.0.0.1:${port}`;
    await until('chromedriver', () => fetch(`${browser.driver}/status`).then(({ ok }) => ok, () => false));
    const flags = ['headless=new', 'no-sandbox', 'disable-gpu', 'no-first-run', 'disable-background-networking', 'hide-scrollbars', MOUSE];
    const args = [...flags.map((flag) => `--${flag}`), `--user-data-dir=${join(scratch, `profile-${port}`)}`];
    const capabilities = { alwaysMatch: { browserName: 'chrome', 'goog:chromeOptions': { args } } };
    const { sessionId, capabilities: given } = await browser.ask('POST', '/session', { capabilities });
    Object.assign(browser, { session: `/session/${sessionId}`, pid: given['goog:processID'] });
    browsers.push(browser);
    return browser;
  }

  async ask(method, path, body) {
    const answer = await fetch(this.driver + path, { method, body: body && JSON.stringify(body) });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`${path}: ${value.message}`);
    return value;
  }

  open(url) {
    return this.ask('POST', `${this.session}/url`, { url });
  }

  js(script, ...args) {
    return this.ask('POST', `${this.session}/execute/sync`, { script, args });
  }

  devtools(cmd, params) {
    return this.ask('POST', `${this.session}/goog/cdp/execute`, { cmd, params });
  }

  until(script, ...args) {
    return until(script, () => this.js(`return ${script}`, ...args));
  }

  state(name) {
    return this.until('document.querySelector(".status").dataset.state === arguments[0]', name);
  }

  async loaded() {
    await this.state('live');
    await this.until('document.styleSheets.length > 1');
  }

  /** Sets the value of a field as typing does. */
  write(selector, text) {
    return this.js(
      `const box = document.querySelector(arguments[0]);
      box.value = arguments[1];
      box.dispatchEvent(new Event('input'));`,
      selector,
      text,
    );
  }

  async say(sender, text) {
    await this.write('#sender', sender);
    await this.write('#message', text);
    await this.js('document.querySelector(".composer").requestSubmit()');
  }

  shows(text) {
    return this.until('[...document.querySelectorAll(".message[data-id] .text")].at(-1)?.textContent.includes(arguments[0])', text);
  }

  /** Ends the session: killing chromedriver alone would leave the browser running. */
  close() {
    return (this.closing ??= this.ask('DELETE', this.session).catch(() => kill(this.pid)));
  }
}
