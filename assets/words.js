/**
 * Words: what in a message is a link, a room, code or a name. Pure.
 */

const STOP = '\\s<>"`“”«»。，、；：！？「」『』【】（）《》'; // never part of an address
const WORD = '\\p{L}\\p{M}\\p{N}_';
const PARTS = [
  '\\n?```(?:[\\w+#.-]*\\n)?(?<fence>[^]+?)\\n?```(?!`)\\n?',
  '(?<!`)`(?<code>[^`\\n]+)`(?!`)',
  `\\b(?<link>(?:https?://|mailto:)[^${STOP}]+)`,
  `(?<![${WORD}#&/.-])#(?<room>[\\p{L}\\p{Nd}][${WORD}.~-]{0,63})`,
];
const ROOM = /^[\p{L}\p{Nd}][\p{L}\p{M}\p{Nd}\-_.~]{0,63}$/u;

/** The path of the room with this name, or null when the name breaks the rule. */
export function roomPath(typed) {
  const name = typed.trim().normalize('NFC');
  return ROOM.test(name) ? `/${encodeURIComponent(name)}` : null;
}

/** What stands after an address in a sentence is not of it; a bracket is, where the address opened it. */
function trimmed(address) {
  for (;;) {
    const last = address.at(-1);
    const opening = '([{'[')]}'.indexOf(last)];
    const count = (part) => address.split(part).length;
    if (opening ? count(last) > count(opening) : /[.,;:!?'"*…’]/.test(last)) address = address.slice(0, -1);
    else return address;
  }
}

/** Whether an address leads anywhere. */
function leads(address) {
  try {
    const { host, pathname } = new URL(address);
    return host || /.@./.test(pathname);
  } catch {
    return false;
  }
}

const MEANINGS = {
  fence: (text) => ({ text }),
  code: (text) => ({ text }),
  me: (text) => ({ text }),
  link(found) {
    const text = trimmed(found);
    return leads(text) && { text, href: text };
  },
  room(found) {
    const name = found.replace(/[.~_-]+$/, '');
    const href = /\p{L}/u.test(name) && roomPath(name);
    return href && { text: `#${name}`, href };
  },
};

/** The parts of a text in order, each `{ kind, text, href }`; `me` is a mention of `name`. */
export function tokens(text, name = '') {
  const parts = [...PARTS];
  const me = name.trim().replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  if (me) parts.push(`(?<![${WORD}])(?<me>@?${me})(?![${WORD}])`);
  const found = [];
  let done = 0;
  const upTo = (end) => end > done && found.push({ kind: 'text', text: text.slice(done, end) });
  for (const { 0: whole, index, groups } of text.matchAll(new RegExp(parts.join('|'), 'giu'))) {
    const kind = Object.keys(groups).find((key) => groups[key]);
    const meaning = MEANINGS[kind](groups[kind]);
    if (!meaning) continue;
    upTo(index);
    found.push({ kind, ...meaning });
    done = index + (meaning.href ? meaning.text.length : whole.length);
  }
  upTo(text.length);
  return found;
}
