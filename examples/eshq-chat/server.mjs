/**
 * The sample chat of EventSource HQ: a server that keeps no connections to its users. It vouches for them at a hub, which
 * holds their streams, and sends what they write to the hub.
 *
 * ESHQ_URL=http://localhost:8080 ESHQ_KEY=… ESHQ_SECRET=… PORT=3000 node server.mjs
 */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const { ESHQ_URL = 'http://localhost:8080', ESHQ_KEY, ESHQ_SECRET, PORT = '3000' } = process.env;

/** The only channel that this app lets its users into. */
const CHANNEL = 'chat';

/** How long a name and a message may be, in characters. */
const MAX_NICK = 40;
const MAX_MESSAGE = 2_000;

const MAX_BODY_BYTES = 64 * 1024;
const HUB_DEADLINE_MS = 5_000;

if (!ESHQ_KEY || !ESHQ_SECRET) {
  console.error('ESHQ_KEY and ESHQ_SECRET are needed: tiny-chat keys new makes them, as key:secret');
  process.exit(2);
}

const hub = ESHQ_URL.replace(/\/+$/, '');

const folder = new URL('./public/', import.meta.url);
const files = {
  '/': ['index.html', 'text/html'],
  '/chat.js': ['chat.js', 'text/javascript'],
  '/chat.css': ['chat.css', 'text/css'],
};

/** The scripts and the connections of the page are its own and the hub's, so that markup in a message could run nothing. */
const { origin } = new URL(hub);
const policy =
  `default-src 'none'; style-src 'self'; img-src data:; script-src 'self' ${origin}; connect-src 'self' ${origin}; ` +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** A request that cannot be answered with success. */
class Refusal extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** Calls the hub with the fields and a signature of the time. Returns the JSON it answers. */
async function callHub(path, fields) {
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const token = createHash('sha1').update(`${ESHQ_KEY}:${ESHQ_SECRET}:${timestamp}`).digest('hex');
  const body = new URLSearchParams({ ...fields, key: ESHQ_KEY, timestamp, token });
  const signal = AbortSignal.timeout(HUB_DEADLINE_MS);
  const answer = await fetch(hub + path, { method: 'POST', body, signal }).catch((error) => {
    throw new Refusal(502, `The hub cannot be reached: ${error.cause?.code ?? error.name}`);
  });
  if (answer.status !== 200) throw new Refusal(502, `The hub answered ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

async function readForm(request) {
  let text = '';
  request.setEncoding('utf8');
  for await (const chunk of request) {
    text += chunk;
    if (text.length > MAX_BODY_BYTES) throw new Refusal(413, 'That is too long.');
  }
  return new URLSearchParams(text);
}

/** Returns a field of a form, without white space at its ends. */
function required(form, name, most) {
  const value = (form.get(name) ?? '').trim();
  if (!value) throw new Refusal(400, `Missing: ${name}`);
  if ([...value].length > most) throw new Refusal(400, `Too long: ${name}`);
  return value;
}

/** Lets a user into the channel. An app with accounts looks at the session here. */
async function openSocket(form) {
  if (form.get('channel') !== CHANNEL) throw new Refusal(403, 'There is no such channel.');
  const { socket } = await callHub('/socket', { channel: CHANNEL });
  return { socket };
}

async function sendMessage(form) {
  const nick = required(form, 'nick', MAX_NICK);
  const msg = required(form, 'msg', MAX_MESSAGE);
  return callHub('/event', { channel: CHANNEL, data: JSON.stringify({ nick, msg }) });
}

const actions = { '/eshq/socket': openSocket, '/message': sendMessage };

/** Returns the answer to a request: its type and its body. */
async function answerTo(request) {
  const path = request.url.split('?')[0];
  const [file, action] = [Object.hasOwn(files, path) && files[path], Object.hasOwn(actions, path) && actions[path]];
  if (action && request.method === 'POST') {
    return ['application/json', JSON.stringify(await action(await readForm(request)))];
  }
  if (!file) throw new Refusal(action ? 405 : 404, 'There is nothing here.');
  if (request.method !== 'GET' && request.method !== 'HEAD') throw new Refusal(405, 'This can only be read.');
  const text = await readFile(new URL(file[0], folder), 'utf8');
  return [file[1], text.replaceAll('{{ hub }}', escaped(hub))];
}

function escaped(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
}

const server = createServer(async (request, response) => {
  let [status, type, body] = [200, 'text/plain', ''];
  try {
    [type, body] = await answerTo(request);
  } catch (error) {
    status = error.status ?? 500;
    body = error.status ? error.message : 'Something went wrong.';
    if (status >= 500) console.error(error.message);
  }
  response.writeHead(status, {
    'Content-Type': `${type}; charset=utf-8`,
    'Content-Security-Policy': policy,
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
  });
  response.end(request.method === 'HEAD' ? '' : body);
});

server.listen(Number(PORT), () => console.log(`eshq-chat: open http://localhost:${server.address().port}/`));
