/**
 * The chat page: joins the stream to the log, the status line and the forms.
 */

import { Log } from './log.js';
import { offerRooms } from './rooms.js';
import { Composer } from './send.js';
import { Status } from './status.js';
import { Stream } from './stream.js';
import { spoken } from './text.js';

const one = (selector) => document.querySelector(selector);

const messages = one('.messages');
const log = new Log(messages, one('.newer'));
const status = new Status(one('.status'));

const stream = new Stream(messages.dataset.stream, messages.dataset.cursor, {
  message: (data, id) => log.append({ ...spoken(data), id }),
  gap: (gap) => log.gap(gap),
  state(name, details) {
    status.show(name, details);
    if (name === 'live') log.readable();
  },
});

new Composer(one('.composer'), one('#send-error'), () => log.follow());
offerRooms(one('.elsewhere'), one('#elsewhere'), one('#room-error'));

addEventListener('online', () => stream.wake());
addEventListener('pageshow', (event) => event.persisted && stream.wake());
document.addEventListener('visibilitychange', () => document.hidden || stream.wake());
