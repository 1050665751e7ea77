/**
 * Addresses in a text: where one that begins with `https://`, `http://` or `mailto:` ends, and what the host of a link
 * really is. Hosts follow UTS #46; around them, people write in any script.
 */

const LETTER = '\\p{L}\\p{M}\\p{N}';
const EMOJI = '\\p{Extended_Pictographic}\\ufe0f?|\\p{Emoji_Modifier}|\\p{Regional_Indicator}';
// Joiners are part of Persian and Indic words, and of emoji; a few signs of punctuation are part of a word, inside it.
const JOINER = `(?<=[\\p{Script=Arabic}\\p{Script=Syriac}\\p{M}])[\\u200c\\u200d](?=\\p{L})|(?<=${EMOJI})\\u200d(?=\\p{Extended_Pictographic})`;
const SIGN = '[·・’–‐]';
const HEBREW = '(?<=[\\p{Script=Hebrew}\\p{M}])[״׳־](?=\\p{Script=Hebrew})';
const KATAKANA = '(?<=[\\p{Script=Han}\\p{Script=Katakana}ー])・(?=[\\p{Script=Han}\\p{Script=Katakana}])';
const TIBETAN = '(?<=[\\p{Script=Tibetan}\\p{M}])་(?=\\p{Script=Tibetan})';
const INNER = `(?<=[${LETTER}])[·’–‐](?=[${LETTER}])|${HEBREW}|${KATAKANA}|${TIBETAN}`;
const HOST = new RegExp(`(?:(?!\\p{DI})[${LETTER}._-]|${JOINER}|${EMOJI}|(?<=[${LETTER}])[·・](?=[${LETTER}]))+`, 'uy');
const IP6_HOST = /\[[\da-f:.]+\]/iy;
const USER = /[^\s/?#@\\<>"`|\p{C}]*@(?=[\p{L}\p{N}[])/uy;
const PORT = /:\d{1,5}(?!\d)/y;
const REST = new RegExp(
  `(?:(?!\\p{DI}|\\[/|[,;]https?://)[${LETTER}!#$%&'()*+,./:;=?@[\\]^_{}~-]|${JOINER}|${EMOJI}|${INNER})*`,
  'iuy',
);
const UNSPACED = '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}\\p{Script=Thai}\\p{Extended_Pictographic}';
const FOLLOWING_TEXT = new RegExp(`^[^${UNSPACED}]*?[a-z\\d](?=${SIGN}?[${UNSPACED}])`, 'iu');
const FOREIGN_TO_TLD = /(?<=(?:^|\.)[a-z\d-]*[a-z\d])(?![\p{Script=Latin}\p{M}\d_-])[^.]*$/iu;

/**
 * Returns what `pattern` matches at a position, or an empty string.
 * @param {RegExp} pattern sticky
 * @param {string} text
 * @param {number} at
 */
function matchAt(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}

/** Returns an address up to the first closing bracket that it did not open. @param {string} address */
function upToOpenBracket(address) {
  /** @type {string[]} */
  const open = [];
  for (let at = 0; at < address.length; at += 1) {
    const closed = '([{'[')]}'.indexOf(address[at])];
    if ('([{'.includes(address[at])) open.push(address[at]);
    else if (closed && open.at(-1) === closed) open.pop();
    else if (closed) return address.slice(0, at);
  }
  return address;
}

/**
 * Returns an address up to the mark that was opened before it, such as the `_` of `_https://a.example_`.
 * @param {string} address
 * @param {string} before the character before it
 */
function upToMark(address, before) {
  if (!/[_*~'’]/.test(before)) return address;
  const end = address.search(new RegExp(`${before === '*' ? '\\*' : before}(?![${LETTER}])`, 'u'));
  return end < 0 ? address : address.slice(0, end);
}

/** Removes what follows an address in a sentence: punctuation, opening brackets, an entity. @param {string} address */
function trim(address) {
  for (;;) {
    const shorter = address.replace(/(?:[.,;:!?'*([{]|~~|&(?:[a-z]+|#x?[\da-f]+);)$/i, '');
    if (shorter === address) return address;
    address = shorter;
  }
}

/**
 * Returns the host of an address, with the user and the port, and without the text that follows it.
 * @param {string} text
 * @param {number} start after `//`
 */
function authorityAt(text, start) {
  const user = matchAt(USER, text, start);
  const at = start + user.length;
  const ip6 = matchAt(IP6_HOST, text, at);
  const host = ip6 || matchAt(HOST, text, at).replace(FOREIGN_TO_TLD, '').replace(/[._-]+$/, '');
  return { authority: user + host + (host && matchAt(PORT, text, at + host.length)), host };
}

/**
 * Returns the address that begins at a position of a text, or an empty string if there is none.
 * @param {string} text
 * @param {number} start of the scheme
 * @param {string} scheme with what follows it: `https://` or `mailto:`
 */
export function addressAt(text, start, scheme) {
  const before = text[start - 1] ?? '';
  let at = start + scheme.length;
  let authority = '';
  if (scheme.endsWith('/')) {
    const found = authorityAt(text, at);
    if (!found.host) return '';
    // The dot after a host belongs to it only before a path.
    const dot = text[at + found.authority.length] === '.' && /[/?#]/.test(text[at + found.authority.length + 1]) ? '.' : '';
    authority = found.authority + dot;
    at += authority.length;
    if (!/[/?#]/.test(text[at] ?? '')) return checked(scheme + authority);
  }
  let rest = upToMark(upToOpenBracket(matchAt(REST, text, at)), before);
  // In scripts without spaces, text may follow directly. An encyclopedia has titles like `C言語`.
  if (!/\/wiki\//.test(rest)) rest = FOLLOWING_TEXT.exec(rest)?.[0] ?? rest;
  return checked(scheme + authority + trim(rest));
}

/** Returns an address if it has a host or is a mail address. @param {string} address */
function checked(address) {
  try {
    const { host, pathname } = new URL(address);
    return host !== '' || /.@./.test(pathname) ? address : '';
  } catch {
    return '';
  }
}

const LOOK_ALIKES = /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}]/u;

/**
 * Returns the host that a link leads to, if the address may look like that of another: it names a user, spells a number,
 * uses compatibility characters, or mixes letters that look the same.
 * @param {string} address
 */
export function hiddenHost(address) {
  const { hostname, username, protocol } = new URL(address);
  if (!hostname || protocol === 'mailto:') return '';
  const [, authority] = /** @type {RegExpExecArray} */ (/^https?:\/\/([^/?#]*)/i.exec(address));
  const written = authority.replace(/^.*@/, '').replace(/:\d*$/, '').toLowerCase();
  if (username || authority.includes('@')) return hostname;
  if (/^[\x21-\x7e]+$/.test(written)) return written === hostname || written.startsWith('[') ? '' : hostname;
  const labels = written.split('.');
  const mixed = labels.some((label) => LOOK_ALIKES.test(label) && (/\p{Script=Latin}/u.test(label) || /[a-z]$/.test(written)));
  return mixed || written.normalize('NFKC') !== written.normalize('NFC') ? hostname : '';
}
