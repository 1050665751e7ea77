// Plays what docs/picture.webp shows, and takes it; run it with scripts/picture. The windows are photographs of Chromium,
// the terminal is that of a shell in which the nodes were started; only the frames around them and the captions are drawn.

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';

import { Browser, adopt, freePort, isReady, pause, perform, run, scratch, until } from './browser.js';

const FILE = resolve('docs/picture.webp');
const MAX_BYTES = 1_500_000;
const WINDOW = { width: 466, height: 546 };
const STAGE = { width: 960, height: 782 };
/** The shortest time between two pictures, in ms. */
const FRAME = 100;
/** How long a picture stays at most, and the last one, in ms: waiting is shortened. */
const LONGEST = 1500;
const LAST = 4000;
/** The page's font, where the machine has it. */
const FONTS = `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <alias binding="strong"><family>system-ui</family><prefer><family>Inter</family></prefer></alias>
  <alias binding="strong"><family>sans-serif</family><prefer><family>Inter</family></prefer></alias>
</fontconfig>`;

const isCheck = process.argv.includes('--check');
const kept = process.argv[process.argv.indexOf('--frames') + 1 || process.argv.length];
const program = resolve(process.env.CARGO_TARGET_DIR ?? 'target', 'debug/tiny-chat');

const isFree = (port) =>
  new Promise((resolve) => {
    const server = createServer()
      .once('error', () => resolve(false))
      .listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

/** Returns the number to which those of three nodes are added, so that their ports are free: 8080, or another one. */
async function freePorts() {
  for (const base of [8080, 8090, 18080, 28080]) {
    const free = await Promise.all([0, 1, 2, 3].map((node) => isFree(base + node)));
    if (free.every(Boolean)) return base;
  }
  throw new Error('no free ports');
}

/** Leads each connection to the first node that takes it. */
class Balancer {
  constructor(port, nodes) {
    this.nodes = nodes;
    this.server = createServer((client) => this.lead(client, 0)).listen(port, '127.0.0.1');
    this.server.unref();
  }

  lead(client, index) {
    client.on('error', () => client.destroy());
    if (index === this.nodes.length) return client.destroy();
    const node = connect(this.nodes[index], '127.0.0.1');
    const refused = () => this.lead(client, index + 1);
    node.once('error', refused);
    node.once('connect', () => {
      node.off('error', refused);
      node.on('error', () => client.destroy());
      client.on('close', () => node.destroy());
      node.on('close', () => client.destroy());
      client.pipe(node).pipe(client);
    });
  }
}

/** An interactive shell on a terminal. */
class Terminal {
  constructor(environment) {
    writeFileSync(join(scratch, 'bashrc'), "PS1='$ '\n");
    const shell = 'stty cols 100; exec bash --rcfile bashrc -i';
    this.child = run('script', ['--quiet', '--flush', '--command', shell, '/dev/null'], {
      ...environment,
      TERM: 'dumb',
      HISTFILE: '/dev/null',
      PATH: `${dirname(program)}:${process.env.PATH}`,
    });
  }

  get text() {
    return this.child.output.replaceAll('\r', '');
  }

  async prompt() {
    await until('a prompt', () => this.text.endsWith('\n$ ') || this.text === '$ ');
  }

  /** Types a command as a person does, and waits until it has ended. */
  async run(command, ms = 35) {
    await this.prompt();
    for (const character of command) {
      this.child.stdin.write(character);
      await pause(ms);
    }
    await pause(8 * ms);
    this.child.stdin.write('\r');
    await until('its end', () => this.text.includes(`${command}\n`));
    await this.prompt();
  }
}

/** A window in which a person chats. */
class Window extends Browser {
  static async open(name, url) {
    const window = await Window.start();
    window.name = name;
    await window.devtools('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: 'light' }] });
    await window.devtools('Emulation.setDeviceMetricsOverride', { ...WINDOW, mobile: false, deviceScaleFactor: 1 });
    await window.open(url);
    await window.write('#sender', name);
    await window.loaded();
    return window;
  }

  /** Types a message as a person does, and sends it. */
  async type(text, ms = 45) {
    for (let end = 1; end <= text.length; end += 2) {
      await this.write('#message', text.slice(0, end));
      await pause(2 * ms);
    }
    await this.write('#message', text);
    await pause(4 * ms);
    await this.js('document.querySelector(".composer").requestSubmit()');
  }

  /** Returns the texts of all messages, as they are shown. */
  messages() {
    return this.js('return [...document.querySelectorAll(".message[data-id] .text")].map((text) => text.textContent.trim())');
  }

  async photograph() {
    return (await this.devtools('Page.captureScreenshot', { format: 'png', optimizeForSpeed: true })).data;
  }
}

/** Takes pictures whenever something has changed. */
class Recorder {
  constructor(windows, terminal) {
    Object.assign(this, { windows, terminal, frames: [], caption: '', isOn: true });
    this.done = isCheck ? Promise.resolve() : this.record();
  }

  async record() {
    const start = Date.now();
    while (this.isOn) {
      const at = Date.now();
      const [left, right] = await Promise.all(this.windows.map((window) => window.photograph()));
      const frame = { at: at - start, left, right, terminal: this.terminal.text, caption: this.caption };
      const last = this.frames.at(-1);
      if (!last || ['left', 'right', 'terminal', 'caption'].some((part) => last[part] !== frame[part])) this.frames.push(frame);
      await pause(Math.max(0, FRAME - (Date.now() - at)));
    }
  }

  stop() {
    this.isOn = false;
    return this.done;
  }
}

const page = (names, url) => `<!doctype html><meta charset="utf-8"><style>
  * { box-sizing: border-box; margin: 0; }
  body { background: #e9ebf0; font: 15px Inter, Lato, sans-serif; color: #1d2433; width: ${STAGE.width}px; height: ${STAGE.height}px; }
  #caption { height: 42px; padding: 11px 16px 0; font-size: 17px; font-weight: 600; }
  main { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; padding: 0 8px; }
  section { border-radius: 8px; overflow: hidden; background: #fff; box-shadow: 0 1px 5px #0003; }
  header { height: 28px; background: #d5d9e2; padding: 6px 10px; font-size: 12px; color: #4a5468; display: flex; gap: 6px; }
  header i { width: 10px; height: 10px; border-radius: 5px; background: #aab1c0; margin-top: 3px; }
  header b { margin-left: 6px; color: #1d2433; }
  img { display: block; width: ${WINDOW.width}px; height: ${WINDOW.height}px; margin: auto; }
  .terminal { grid-column: 1 / 3; background: #171b26; height: 142px; }
  .terminal header, .terminal header b { background: #2a3040; color: #b9c1d3; }
  .terminal header i { background: #4c556b; }
  pre { color: #dfe5f2; font: 14px/18px "DejaVu Sans Mono", monospace; padding: 3px 12px; height: 114px; display: flex; flex-direction: column; justify-content: flex-end; white-space: pre; }
</style>
<p id="caption"></p>
<main>
  ${names.map((name) => `<section><header><i></i><i></i><i></i><b>${name}</b> ${url}</header><img></section>`).join('\n  ')}
  <section class="terminal"><header><i></i><i></i><i></i><b>the servers</b></header><pre></pre></section>
</main>`;

/** Draws the frames around the pictures, and returns the files with their durations in ms. */
async function draw(frames, names, url) {
  const stage = await Browser.start();
  await stage.devtools('Emulation.setDeviceMetricsOverride', { ...STAGE, mobile: false, deviceScaleFactor: 1 });
  writeFileSync(join(scratch, 'stage.html'), page(names, url));
  await stage.open(`file://${scratch}/stage.html`);
  const files = [];
  for (const [index, frame] of frames.entries()) {
    const lines = frame.terminal.split('\n').slice(-6).join('\n');
    await stage.js(
      `const [caption, left, right, terminal] = arguments;
      document.querySelector('#caption').textContent = caption;
      document.querySelector('pre').textContent = terminal + '▏';
      const pictures = [...document.images];
      pictures[0].src = 'data:image/png;base64,' + left;
      pictures[1].src = 'data:image/png;base64,' + right;
      return Promise.all(pictures.map((picture) => picture.decode()));`,
      frame.caption,
      frame.left,
      frame.right,
      lines,
    );
    const { data } = await stage.devtools('Page.captureScreenshot', { format: 'png' });
    const file = join(scratch, `frame-${String(index).padStart(3, '0')}.png`);
    writeFileSync(file, Buffer.from(data, 'base64'));
    files.push({ file, ms: index + 1 < frames.length ? Math.min(frames[index + 1].at - frame.at, LONGEST) : LAST });
  }
  return files;
}

/** Returns how many streams a node has. */
async function streams(port) {
  const text = await fetch(`http://127.0.0.1:${port}/metrics`).then((answer) => answer.text());
  return Number(/^tiny_chat_streams_open(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1]);
}

await perform(async () => {
  const redis = await freePort();
  const server = run('redis-server', ['--port', `${redis}`, '--bind', '127.0.0.1', '--save', '', '--dir', scratch]);
  await until('redis-server', () => server.output.includes('eady to accept connections'));

  const base = await freePorts();
  const ports = [1, 2, 3].map((node) => base + node);
  new Balancer(base, ports);
  const url = `localhost:${base}/everyone`;
  const terminal = new Terminal({ REDIS_URL: `redis://127.0.0.1:${redis}`, LOG: 'error', RATE_LIMIT: '0', ROOMS: 'everyone' });
  await terminal.run(`for n in 1 2 3; do NODE=chat-$n BIND=127.0.0.1:${Math.floor(base / 10)}$n tiny-chat & done`, 4);
  for (const [, pid] of terminal.text.matchAll(/^\[\d\] (\d+)$/gm)) adopt(Number(pid));
  for (const port of ports) await until('a node', () => isReady(`http://127.0.0.1:${port}`));

  writeFileSync(join(scratch, 'fonts.conf'), FONTS);
  process.env.FONTCONFIG_FILE ??= join(scratch, 'fonts.conf');
  const [mason, ada] = [await Window.open('mason', `http://${url}`), await Window.open('ada', `http://${url}`)];
  const windows = [mason, ada];
  const said = [];
  const say = async (window, text) => {
    await window.type(text);
    said.push(text);
  };
  const heard = (window, text) => window.until('[...document.querySelectorAll(".message[data-id] .text")].some((it) => it.textContent.trim() === arguments[0])', text);

  await say(mason, 'Are we still deploying today?');
  await heard(ada, said.at(-1));
  const recorder = new Recorder(windows, terminal);
  recorder.caption = 'Two people chat. Three servers run; both are connected to the first.';
  await pause(1200);
  await say(ada, 'In the middle of this sentence.');
  await heard(mason, said.at(-1));
  await until('both streams at the first node', async () => (await streams(ports[0])) >= 2);
  await pause(700);

  recorder.caption = 'Now that server is killed.';
  await terminal.run('kill -9 %1');
  await terminal.run('jobs');
  if (await isReady(`http://127.0.0.1:${ports[0]}`)) throw new Error('the first node still runs');
  await say(mason, 'Which one did you take down?');
  await heard(ada, said.at(-1));
  recorder.caption = 'Both have gone on at another one: nothing lost, nothing twice.';
  await pause(300);
  await say(ada, 'Yours. And mine.');
  await heard(mason, said.at(-1));
  await pause(300);
  await say(mason, 'And nothing is missing.');
  await heard(ada, said.at(-1));
  for (const window of windows) await window.js('document.activeElement.blur()');
  for (const window of windows) {
    await window.state('live');
    // The dead node's readers are counted for some seconds more.
    await window.until('document.querySelector(".people > button").textContent.startsWith("2")');
  }
  await pause(500);
  await recorder.stop();

  for (const window of windows) {
    const shown = await window.messages();
    if (JSON.stringify(shown) !== JSON.stringify(said)) throw new Error(`${window.name} saw ${JSON.stringify(shown)}`);
  }
  const moved = (await Promise.all(ports.slice(1).map(streams))).reduce((sum, count) => sum + count);
  if (moved < 2) throw new Error(`${moved} streams at the other nodes`);
  for (const window of windows) await window.close();
  if (isCheck) return console.log('mason and ada saw every message once, in order');

  const files = await draw(recorder.frames, windows.map(({ name }) => name), url);
  if (kept) {
    mkdirSync(kept, { recursive: true });
    for (const { file, ms } of files) copyFileSync(file, join(kept, `${file.split('-').at(-1).slice(0, 3)}-${ms}ms.png`));
  }
  const frames = files.flatMap(({ file, ms }) => ['-d', `${Math.max(ms, 20)}`, file]);
  execFileSync('img2webp', ['-loop', '0', '-min_size', '-lossless', '-m', '4', ...frames, '-o', FILE], { stdio: 'ignore' });
  const { size } = statSync(FILE);
  const seconds = files.reduce((sum, { ms }) => sum + ms, 0) / 1000;
  console.log(`${files.length} pictures, ${seconds.toFixed(1)} s, ${Math.ceil(size / 1024)} KiB`);
  if (size > MAX_BYTES) throw new Error(`docs/picture.webp has ${size} bytes`);
});
