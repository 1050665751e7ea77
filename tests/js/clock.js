/**
 * A fake clock that stands until a test moves it. Debian's Node (18) has no mock of `Date`.
 */

import { webcrypto } from 'node:crypto';

globalThis.crypto ??= webcrypto; // not global in Node 18

const real = { Date, setTimeout, clearTimeout, setInterval, clearInterval };

let now = 0;
let base = 0; // the moment of `stop`, by the clock as it is set now
let alarms = new Map();
let last = 0;

class StandingDate extends real.Date {
  constructor(...given) {
    super(...(given.length ? given : [now]));
  }

  static now() {
    return now;
  }
}

function alarm(work, wait = 0, again = false, given = []) {
  const pause = Math.max(1, wait);
  alarms.set((last += 1), { at: now + pause, work: () => work(...given), pause: again && pause });
  return last;
}

const cancel = (id) => alarms.delete(id);

export const clock = {
  /** Stops time at a moment, in Unix milliseconds. */
  stop(at) {
    now = at;
    base = at;
    alarms = new Map();
    Object.assign(globalThis, {
      Date: StandingDate,
      setTimeout: (work, wait, ...given) => alarm(work, wait, false, given),
      setInterval: (work, wait, ...given) => alarm(work, wait, true, given),
      clearTimeout: cancel,
      clearInterval: cancel,
    });
  },

  /** Lets `ms` milliseconds pass, and runs each due timer at its moment. */
  tick(ms) {
    const end = now + ms;
    for (;;) {
      const due = [...alarms].filter(([, { at }]) => at <= end);
      const [id, next] = due.reduce((first, other) => (first && first[1].at <= other[1].at ? first : other), null) ?? [];
      if (!next) break;
      now = Math.max(now, next.at);
      if (next.pause) next.at = now + next.pause;
      else alarms.delete(id);
      next.work();
    }
    now = end;
  },

  /** Returns the milliseconds that have passed, as `performance.now` does: from 1, and whatever the clock is set to. */
  passed: () => 1 + now - base,

  /** Sets the clock to another time, as a user may; timers stay as far away as they were. */
  put(at) {
    for (const one of alarms.values()) one.at += at - now;
    base += at - now;
    now = at;
  },

  /** Restores the real clock. */
  release() {
    Object.assign(globalThis, real);
  },
};
