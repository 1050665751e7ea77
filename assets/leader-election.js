/**
 * Leader election: which of this browser's tabs holds the connection. A Web Lock decides where there are locks (https,
 * localhost), otherwise a lease in storage. Two leaders for a moment do no harm.
 */

/** @import { PageStorage } from './storage.js' */

const LEASE_MS = 70_000; // a hidden tab's timers run once a minute

export class LeaderElection {
  leading = false;
  /** @type {LockManager | undefined} */
  #locks;
  #storage;
  #tab;
  #onChange;
  /** @type {((value?: unknown) => void) | undefined} */
  #releaseLock;
  /** @type {AbortController | undefined} */
  #waiting;

  /**
   * @param {Window} world
   * @param {PageStorage} storage
   * @param {string} tab id of this tab
   * @param {boolean} alone whether this tab cannot reach others, and so always leads
   * @param {(leading: boolean) => void} onChange
   */
  constructor(world, storage, tab, alone, onChange) {
    this.alone = alone;
    this.#locks = world.navigator?.locks;
    this.#storage = storage;
    this.#tab = tab;
    this.#onChange = onChange;
    world.addEventListener('storage', ({ key }) => key === 'tiny-chat:leader' && this.#leaseChanged());
  }

  /** Leads as soon as no other tab does; with `steal` at once, from a leader that does not answer. */
  campaign(steal = false) {
    if (this.leading) return;
    if (this.alone) this.#setLeading(true);
    else if (this.#locks) this.#requestLock(this.#locks, steal);
    else if (steal || !this.#leaseHolder()) this.#takeLease();
  }

  /** Renews this leader's lease, or gives way if another tab holds it. */
  renew() {
    if (this.alone || this.#locks || !this.leading) return;
    const holder = this.#leaseHolder();
    if (holder && holder !== this.#tab) this.#setLeading(false);
    else this.#takeLease();
  }

  /** Stops leading, or waiting to. */
  resign() {
    this.#waiting?.abort();
    this.#releaseLock?.();
    if (this.#leaseHolder() === this.#tab) this.#storage.remove('leader');
    this.#setLeading(false);
  }

  /** @param {LockManager} locks @param {boolean} steal */
  #requestLock(locks, steal) {
    this.#waiting?.abort();
    this.#waiting = new AbortController();
    const held = () =>
      new Promise((release) => {
        this.#releaseLock = release;
        this.#setLeading(true);
      });
    const options = steal ? { steal } : { signal: this.#waiting.signal };
    locks.request('tiny-chat:leader', options, held).catch(() => this.#setLeading(false)); // stolen
  }

  #leaseHolder() {
    const [tab, since] = this.#storage.get('leader').split(' ');
    return Math.abs(Date.now() - +since) < LEASE_MS ? tab : '';
  }

  #takeLease() {
    this.#storage.set('leader', `${this.#tab} ${Date.now()}`);
    this.#setLeading(true);
  }

  #leaseChanged() {
    if (this.leading) this.renew();
    else if (!this.#leaseHolder()) setTimeout(() => this.campaign(), Math.random() * 100);
  }

  /** @param {boolean} leading */
  #setLeading(leading) {
    if (this.leading === leading) return;
    this.leading = leading;
    this.#onChange(leading);
  }
}
