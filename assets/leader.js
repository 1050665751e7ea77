/**
 * Leadership: which of this browser's tabs holds the connection. It is told by a Web Lock where there are locks (https,
 * localhost), else by a lease in storage. Two leaders for a moment do no harm.
 */

const LEASE = 70_000; // milliseconds; a hidden tab's timers run once a minute

export class Leadership {
  leading = false;
  #locks;
  #memory;
  #tab;
  #turned;
  #release;
  #waiting;

  /** Calls `turned(leading)`. Who is `alone` knows of no other tabs. */
  constructor(world, memory, tab, alone, turned) {
    this.alone = alone;
    this.#locks = world.navigator?.locks;
    this.#memory = memory;
    this.#tab = tab;
    this.#turned = turned;
    world.addEventListener('storage', ({ key }) => key === 'tiny-chat:leader' && this.#leaseChanged());
  }

  /** Leads as soon as nobody else does; with `steal`, even before one who does not answer. */
  seek(steal = false) {
    if (this.leading) return;
    if (this.alone) this.#turn(true);
    else if (this.#locks) this.#lock(steal);
    else if (steal || !this.#holder()) this.#take();
  }

  /** Keeps the lease. Who finds it in other hands gives way. */
  renew() {
    if (this.alone || this.#locks || !this.leading) return;
    const holder = this.#holder();
    if (holder && holder !== this.#tab) this.#turn(false);
    else this.#take();
  }

  /** Stops leading, and stops waiting to. */
  release() {
    this.#waiting?.abort();
    this.#release?.();
    if (this.#holder() === this.#tab) this.#memory.forget('leader');
    this.#turn(false);
  }

  #lock(steal) {
    this.#waiting?.abort();
    this.#waiting = new AbortController();
    const held = () =>
      new Promise((release) => {
        this.#release = release;
        this.#turn(true);
      });
    const options = steal ? { steal } : { signal: this.#waiting.signal };
    this.#locks.request('tiny-chat:leader', options, held).catch(() => this.#turn(false)); // stolen
  }

  #holder() {
    const [tab, since] = this.#memory.recall('leader').split(' ');
    return Math.abs(Date.now() - since) < LEASE ? tab : '';
  }

  #take() {
    this.#memory.remember('leader', `${this.#tab} ${Date.now()}`);
    this.#turn(true);
  }

  #leaseChanged() {
    if (this.leading) this.renew();
    else if (!this.#holder()) setTimeout(() => this.seek(), Math.random() * 100);
  }

  #turn(leading) {
    if (this.leading === leading) return;
    this.leading = leading;
    this.#turned(leading);
  }
}
