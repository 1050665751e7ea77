/**
 * Lines: a text as the page shows it, with its links, its code, and whom it mentions.
 */

import { element } from './log.js';
import { tokens } from './words.js';

/** Why messages are missing. */
export const GAPS = {
  trimmed: ': they are older than what the server keeps',
  reset: ': the server’s log was lost and began anew',
  invalid: ': the server did not know this page’s place',
};

export function parts(text, name) {
  return tokens(text, name).map(part);
}

function part({ kind, text, href }) {
  if (kind === 'text') return text;
  if (!href) return element(kind === 'me' ? 'mark' : 'code', kind, text);
  const link = element('a', kind, text);
  link.href = href;
  if (kind === 'link') Object.assign(link, { rel: 'noopener noreferrer nofollow ugc', target: '_blank' });
  return link;
}
