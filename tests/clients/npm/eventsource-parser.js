// eventsource-parser, fed by fetch. It parses and nothing else, so coming back is left to its user.
import { createParser } from 'eventsource-parser';
import { report } from './report.js';

const url = process.argv[2];
let [lastEventId, retry] = ['', 3000];

const parser = createParser({
  onEvent({ id, event, data }) {
    if (id !== undefined) lastEventId = id;
    if (event === undefined) report(id, data);
  },
  onRetry: (milliseconds) => (retry = milliseconds),
});

for (;;) {
  try {
    const response = await fetch(url, { headers: lastEventId ? { 'Last-Event-ID': lastEventId } : {} });
    const text = new TextDecoder();
    for await (const bytes of response.body) parser.feed(text.decode(bytes, { stream: true }));
  } catch {
    // Cut off, or refused by a node that is down.
  }
  parser.reset();
  await new Promise((resolve) => setTimeout(resolve, retry));
}
