/**
 * Drafts: what stands in the message box of each tab, kept until it is sent. A tab takes over the draft of one that is gone:
 * its own from before a reload, or else the room's newest. Loaded when there is a draft; composer.js writes this tab's.
 */

import { saveDraft } from './composer.js';
import { openTabs } from './open-tabs.js';

/** @import { Draft } from './composer.js' */
/** @import { PageStorage } from './storage.js' */

const MAX_DRAFTS = 20;
const ABANDONED_MS = 180_000; // without locks, one that was not touched for so long is of a tab that crashed

export class Drafts {
  #world;
  #storage;
  #tabStorage;
  #room;
  #tab;
  #former; // the tab that this was before a reload

  /**
   * @param {Pick<Window & typeof globalThis, 'navigator' | 'addEventListener'>} world
   * @param {PageStorage} storage
   * @param {PageStorage} tabStorage of this tab alone
   * @param {string} room
   * @param {string} tab
   */
  constructor(world, storage, tabStorage, room, tab) {
    this.#world = world;
    this.#storage = storage;
    this.#tabStorage = tabStorage;
    this.#room = room;
    this.#tab = tab;
    this.#former = tabStorage.get('tab');
    tabStorage.set('tab', tab);
    world.addEventListener('pagehide', () => this.#setClosed(true));
    world.addEventListener('pageshow', ({ persisted }) => persisted && this.#setClosed(false));
  }

  /** Takes over the draft of a tab that was closed, and returns its text. */
  take() {
    return this.#takeFirst(({ closed }) => !!closed);
  }

  /** Takes over the draft of a tab that is gone without a word, and resolves to its text. */
  async takeAbandoned() {
    const held = await openTabs(this.#world);
    return this.#takeFirst(({ tab, at }) => (held ? !held.includes(tab) : Math.abs(Date.now() - at) > ABANDONED_MS));
  }

  /** @returns {Draft[]} newest first */
  get #records() {
    return this.#storage.records('draft:').reverse();
  }

  /** @param {(draft: Draft) => boolean} isGone whether its tab is gone */
  #takeFirst(isGone) {
    const drafts = this.#records.filter((draft) => draft.room === this.#room && draft.tab !== this.#tab && isGone(draft));
    const draft = drafts.find(({ tab }) => tab === this.#former) ?? drafts[0];
    if (draft) this.#storage.remove(`draft:${draft.tab}`);
    return draft?.text ?? '';
  }

  /** Forgets the oldest draft if there are too many. */
  forgetOldest() {
    const records = this.#records;
    if (records.length > MAX_DRAFTS) this.#storage.remove(`draft:${records.filter(({ tab }) => tab !== this.#tab).at(-1)?.tab}`);
  }

  /** @param {boolean} closed */
  #setClosed(closed) {
    this.#tabStorage.set('tab', this.#tab); // another page may have been shown in between
    const draft = this.#records.find(({ tab }) => tab === this.#tab);
    if (draft) saveDraft(this.#storage, { ...draft, closed });
  }
}
