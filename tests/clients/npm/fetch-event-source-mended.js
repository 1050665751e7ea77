// @microsoft/fetch-event-source with the two lines that mend it: one parses only messages, the other comes back after
// the end of a body.
import './browser-globals.js';
import { fetchEventSource } from '@microsoft/fetch-event-source';
import { report } from './report.js';

await fetchEventSource(process.argv[2], {
  onmessage(event) {
    if (event.event === '') report(event.id, event.data);
  },
  onclose() {
    throw new Error('the stream has ended');
  },
});
