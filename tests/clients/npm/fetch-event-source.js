// @microsoft/fetch-event-source, as the first example of its README says.
import './browser-globals.js';
import { fetchEventSource } from '@microsoft/fetch-event-source';
import { report } from './report.js';

await fetchEventSource(process.argv[2], {
  onmessage(event) {
    report(event.id, event.data);
  },
});
