/**
 * Quotes: what a reply begins with, lines of `> `. Pure.
 */

const MAX_CHARS = 120;

/**
 * Returns the quote of a message: its sender and how it begins, and its link.
 * @param {string} sender
 * @param {string} text
 * @param {string} url
 */
export function quote(sender, text, url) {
  const own = text.split('\n').filter((line) => !line.startsWith('> ') && !line.startsWith('```'));
  const whole = own.join(' ').replace(/\s+/g, ' ').trim() || '…';
  const characters = [...new Intl.Segmenter().segment(whole)].map(({ segment }) => segment);
  const start = characters.length > MAX_CHARS ? `${characters.slice(0, MAX_CHARS).join('').trimEnd()}…` : whole;
  return `> ${sender}: ${start}\n> ${url}\n`;
}

/**
 * @template {{ kind: string, text: string, start: number, end: number }} Token
 * @typedef {{ quoted: boolean, tokens: Token[] }} Part
 */

/**
 * Parts a text's tokens into what is quoted and what is not. Quoted are lines that begin with `> `, but not in code.
 * @template {{ kind: string, text: string, start: number, end: number }} Token
 * @param {string} text
 * @param {Token[]} tokens
 * @returns {Part<Token>[]}
 */
export function partQuotes(text, tokens) {
  if (!/^> /m.test(text)) return [{ quoted: false, tokens }];
  const fences = tokens.filter(({ kind }) => kind === 'fence');
  /** @type {Part<Token>[]} */
  const parts = [];
  for (const { 0: line, index } of text.matchAll(/[^\n]*\n?/g)) {
    const quoted = line.startsWith('> ') && !fences.some(({ start, end }) => start <= index && index < end);
    const from = quoted ? index + 2 : index;
    const within = tokens.flatMap((token) => cut(token, from, index + line.length));
    const last = parts.at(-1);
    if (last?.quoted === quoted) last.tokens.push(...within);
    else parts.push({ quoted, tokens: within });
  }
  // The line break at the end of a quote, and that before it, are those of a block.
  for (const [at, { tokens: own }] of parts.entries()) {
    const end = own.at(-1);
    if (end?.kind === 'text' && at + 1 < parts.length) end.text = end.text.replace(/\n$/, '');
  }
  return parts.filter(({ tokens: own }) => own.some((token) => token.text));
}

/**
 * Returns what lies between two positions of a token: only texts go over the end of a line, and code, which goes whole to
 * where it begins.
 * @template {{ kind: string, text: string, start: number, end: number }} Token
 * @param {Token} token
 * @param {number} from
 * @param {number} to
 * @returns {Token[]}
 */
function cut(token, from, to) {
  const { kind, text, start, end } = token;
  if (kind !== 'text') return start >= from && start < to ? [token] : [];
  const [first, last] = [Math.max(start, from), Math.min(end, to)];
  return first < last ? [{ ...token, text: text.slice(first - start, last - start), start: first, end: last }] : [];
}
