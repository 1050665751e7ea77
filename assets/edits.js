/**
 * What is edited: the new texts in the log of this page, and the unread mentions. Loaded with the enhancements, or when
 * something is edited.
 */

import { tabStorage } from './storage.js';
import { isAfter, parseObject } from './wire.js';

/** @import { MessageLog } from './log.js' */
/** @import { UnreadRoom } from './unread.js' */
/** @import { Edit, Message } from './wire.js' */

const MAX_EDITS = 200; // remembered for messages that are on their way

/**
 * Counts an unread message as a mention of the user, or no longer, after it was edited.
 * @param {UnreadRoom | undefined} unread
 * @param {string} id
 * @param {boolean} mention whether its new text mentions the user
 */
export function countEdited(unread, id, mention) {
  if (!unread?.ids.includes(id)) return;
  if (mention && isAfter(id, unread.mention)) unread.mention = id;
  if (!mention && unread.mention === id) delete unread.mention;
}

/** Keeps what is being edited for a reload, or no longer. @param {string} room @param {{ id: string, text: string } | null} edit */
export function keepEdit(room, edit) {
  if (edit) tabStorage.set('edit', JSON.stringify({ room, ...edit }));
  else tabStorage.remove('edit');
}

/** Returns what this tab was editing in a room before it was reloaded, if anything. @param {string} room */
export function keptEdit(room) {
  const { id, text, ...kept } = parseObject(tabStorage.get('edit'));
  return kept.room === room && id && text ? { id: `${id}`, text: `${text}` } : null;
}

export class Edits {
  #log;
  /** @type {Map<string, string>} */
  #texts = new Map(); // by id

  /** @param {Pick<MessageLog, 'messageOf' | 'draw'>} log */
  constructor(log) {
    this.#log = log;
  }

  /** Returns a message as it was edited: it may have been on its way. @param {Message} message @returns {Message} */
  latest(message) {
    const text = this.#texts.get(`${message.id}`);
    return text === undefined ? message : { ...message, text, edited: true };
  }

  /** Forgets what was edited, when edits may have been missed: what is read from now on is newer. */
  forget() {
    this.#texts.clear();
  }

  /**
   * Shows a new text.
   * @param {Pick<Edit, 'id' | 'text'>} edit
   * @param {(change: () => void) => void} holdStill changes the log while what the user looks at keeps its position
   */
  apply({ id, text }, holdStill) {
    this.#texts.delete(id);
    this.#texts.set(id, text);
    if (this.#texts.size > MAX_EDITS) this.#texts.delete(/** @type {string} */ (this.#texts.keys().next().value));
    const line = document.getElementById(id);
    const message = this.#log.messageOf(line);
    if (!line || !message || (message.edited && message.text === text)) return;
    holdStill(() => this.#log.draw(line, { ...message, text, edited: true }));
  }
}
