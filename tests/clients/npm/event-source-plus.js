// event-source-plus, as its README says.
import { EventSourcePlus } from 'event-source-plus';
import { report } from './report.js';

new EventSourcePlus(process.argv[2]).listen({
  onMessage(message) {
    if (message.event === 'message') report(message.id, message.data);
  },
});
