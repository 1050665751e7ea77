/**
 * Changes of the log that move what the user does not look at.
 */

/** @import { Announcer } from './announcer.js' */
/** @import { MessageLog } from './log.js' */

/**
 * Changes the log while what the user looks at keeps its position. The change is not read out.
 * @param {MessageLog} log
 * @param {Announcer} announcer
 * @param {() => void} change
 */
export function holdStill({ scroller, lines }, announcer, change) {
  const top = (/** @type {HTMLElement} */ line) => line.getBoundingClientRect().top;
  const edge = top(scroller);
  const kept = lines.find((line) => top(line) >= edge) ?? lines.at(-1);
  const before = kept ? top(kept) : 0;
  scroller.classList.add('held');
  announcer.setLive(false);
  change();
  if (kept?.isConnected) scroller.scrollTop += top(kept) - before;
  setTimeout(() => {
    scroller.classList.remove('held');
    announcer.setLive(true);
  }, 100);
}
