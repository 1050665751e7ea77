/**
 * Asks a model, and sends what it says to the hub, from where every page of the conversation reads it.
 *
 * ESHQ_URL=http://localhost:8080 ESHQ_KEY=… ESHQ_SECRET=… PORT=8000 node server.mjs
 */

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { startModel } from './model.mjs';

const { ESHQ_URL = 'http://localhost:8080', ESHQ_KEY, ESHQ_SECRET, PORT = '8000', MODEL, MODEL_KEY } = process.env;
const hub = ESHQ_URL.replace(/\/+$/, '');
const credentials = `Basic ${Buffer.from(`${ESHQ_KEY}:${ESHQ_SECRET}`).toString('base64')}`;
const modelUrl = process.env.MODEL_URL ?? (await startModel());

/** How long words are collected before they are sent as one event. */
const BATCH_MS = 50;
const MAX_QUESTION_CHARS = 4_000;

/** Calls the hub until it has answered. With its key an event that is sent twice is stored once. */
async function callHub(path, fields, key = randomUUID()) {
  const headers = { Authorization: credentials, 'Idempotency-Key': key };
  for (;;) {
    const request = { method: 'POST', headers, body: new URLSearchParams(fields), signal: AbortSignal.timeout(5_000) };
    const answer = await fetch(hub + path, request).catch(() => null);
    if (answer?.ok) return answer.json();
    if (answer && answer.status < 500 && answer.status !== 429) throw new Error(await answer.text());
    await sleep(300);
  }
}

/** Yields what the model says. */
async function* wordsOf(question) {
  const headers = { 'Content-Type': 'application/json', ...(MODEL_KEY && { Authorization: `Bearer ${MODEL_KEY}` }) };
  const body = JSON.stringify({ model: MODEL, stream: true, messages: [{ role: 'user', content: question }] });
  const answer = await fetch(modelUrl, { method: 'POST', headers, body });
  if (!answer.ok) throw new Error(`the model answered ${answer.status}`);
  let text = '';
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    const lines = (text + chunk).split('\n');
    text = lines.pop();
    for (const line of lines) {
      if (!line.startsWith('data: ') || line === 'data: [DONE]') continue;
      yield JSON.parse(line.slice(6)).choices[0]?.delta?.content ?? '';
    }
  }
}

/** Asks the model, and sends question and answer to the conversation. */
async function converse(channel, question) {
  const id = randomUUID();
  let count = 0;
  const send = (type, data) => callHub('/event', { channel, type, data: JSON.stringify(data) }, `${id}-${count++}`);
  await send('question', { id, text: question });
  let [collected, sending, refusal] = ['', null, null];
  /** Sends what was collected, one event after the other. */
  const flush = async () => {
    await sleep(BATCH_MS);
    while (collected) {
      const text = collected;
      collected = '';
      await send('words', { id, text });
    }
    sending = null;
  };
  try {
    for await (const word of wordsOf(question)) {
      collected += word;
      sending ??= flush().catch((error) => (refusal = error));
      if (refusal) throw refusal;
    }
    await sending;
    await send('done', { id });
  } catch (error) {
    console.error(error.message);
    await sending;
    await send('failed', { id });
  }
}

async function readForm(request) {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > 64 * 1024) return new URLSearchParams();
  }
  return new URLSearchParams(text);
}

const page = (await readFile(new URL('index.html', import.meta.url), 'utf8')).replaceAll('{{ hub }}', hub);

/** Lets a reader into a conversation. A site with accounts looks at the session here. */
async function openSocket(form, response) {
  const { socket } = await callHub('/socket', { channel: form.get('channel') ?? '' });
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ socket }));
}

async function ask(form, response) {
  const [channel, question] = [form.get('channel') ?? '', (form.get('question') ?? '').trim()];
  if (!channel || !question || question.length > MAX_QUESTION_CHARS) return response.writeHead(400).end();
  converse(channel, question).catch((error) => console.error(error.message));
  response.writeHead(202).end();
}

const actions = { '/eshq/socket': openSocket, '/ask': ask };

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  try {
    if (request.method === 'POST' && Object.hasOwn(actions, pathname)) {
      await actions[pathname](await readForm(request), response);
    } else if (pathname === '/') {
      response.writeHead(303, { Location: `/${randomUUID()}` }).end(); // a new conversation
    } else {
      response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(page);
    }
  } catch (error) {
    console.error(error.message);
    response.writeHead(502).end();
  }
});

server.listen(Number(PORT), 'localhost', () => console.log(`open http://localhost:${server.address().port}/`));
