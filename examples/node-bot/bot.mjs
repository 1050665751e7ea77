/** Answers !time in a room: CHAT=http://localhost:8080 node bot.mjs ROOM */

import { setTimeout as sleep } from 'node:timers/promises';

import { EventSource } from 'eventsource';

const { CHAT = 'http://localhost:8080' } = process.env;
const room = encodeURIComponent(process.argv[2] ?? 'everyone');

/** Posts until the chat has answered. */
async function publish(message, key) {
  const body = JSON.stringify({ sender: 'bot', message, key });
  for (;;) {
    const request = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body };
    const answer = await fetch(`${CHAT}/${room}`, request).catch(() => null);
    if (answer?.ok) return;
    // 422: another bot has answered with another text, under the same key.
    if (answer && answer.status < 500 && answer.status !== 429) return console.error(await answer.text());
    await sleep(1000);
  }
}

// Without ?history the bot answers only what is asked from now on.
const source = new EventSource(`${CHAT}/subscribe/${room}?text=plain`);
source.onopen = () => console.log('listening');
source.onmessage = ({ data, lastEventId }) => {
  if (JSON.parse(data).message !== '!time') return;
  publish(`It is ${new Date().toISOString().slice(11, 16)} UTC.`, `time-${lastEventId}`);
};
