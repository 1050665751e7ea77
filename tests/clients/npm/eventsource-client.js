// eventsource-client, as its README says.
import { createEventSource } from 'eventsource-client';
import { report } from './report.js';

for await (const { data, event, id } of createEventSource(process.argv[2])) {
  if (event === undefined) report(id, data);
}
