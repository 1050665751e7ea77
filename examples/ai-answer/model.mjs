/**
 * A model that needs no account: it answers every question with the same text, a word at a time, in the format of OpenAI's
 * chat completions.
 */

import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const WORD_MS = 30;

const TEXT = Array.from(
  { length: 40 },
  (_, index) => `Sentence ${index + 1} is stored before it is shown.`,
).join(' ');

async function answer(request, response) {
  request.resume();
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  for (const word of TEXT.match(/\S+\s*/g)) {
    response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: word } }] })}\n\n`);
    await sleep(WORD_MS);
  }
  response.end('data: [DONE]\n\n');
}

/** Starts the model, and returns its address. */
export function startModel() {
  const server = createServer(answer);
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}/v1/chat/completions`));
  });
}
