/**
 * Which tabs of this browser are open. Each holds a Web Lock of its own, which it loses when it is closed or crashes, and
 * not while its timers stand still. Without Web Locks (plain http) it is not known.
 */

const PREFIX = 'tiny-chat:tab:';

/**
 * Holds a tab's lock, and returns what lets it go.
 * @param {Pick<Window, 'navigator'>} world
 * @param {string} tab
 */
export function holdTab(world, tab) {
  const waiting = new AbortController();
  /** @type {((value?: unknown) => void) | undefined} */
  let release;
  const held = () => new Promise((resolve) => (release = resolve));
  world.navigator?.locks?.request(PREFIX + tab, { signal: waiting.signal }, held).catch(() => {}); // let go before it was held
  return () => {
    waiting.abort();
    release?.();
  };
}

/**
 * Returns the ids of the tabs that hold a lock; undefined if there are no locks.
 * @param {Pick<Window, 'navigator'>} world
 */
export async function openTabs(world) {
  const locks = await world.navigator?.locks?.query().catch(() => undefined);
  return locks?.held?.flatMap(({ name = '' }) => (name.startsWith(PREFIX) ? name.slice(PREFIX.length) : []));
}
