/**
 * Links to a room or to a message: copied, handed to other apps on touch, or as a QR code for the phone beside you. Loaded
 * when something is shared.
 */

import { copyText } from './clipboard.js';
import { openDialog } from './dialogs.js';
import { button, element } from './dom.js';
import { load } from './load.js';

const SVG = 'http://www.w3.org/2000/svg';
const QUIET_ZONE = 4; // cells around a QR code, as its standard asks for

/** Opens the dialog for a room's link. @param {string} room */
export function shareRoom(room) {
  const url = `${location.origin}/${encodeURIComponent(room)}`;
  const about = element('p', '', 'A room is its address: whoever has this link can read and write here.');
  openDialog('Share this room', 'share', about, linkCard(url, 'Link to the room', room));
}

/** Opens the dialog for a message's link. @param {string} url @param {string} room */
export function shareMessage(url, room) {
  openDialog('Share this message', 'share', linkCard(url, 'Link to the message', room));
}

/**
 * Returns a link in a field, the buttons that copy and share it, and its QR code.
 * @param {string} url
 * @param {string} label of the field
 * @param {string} [title] for other apps; without one they are not offered the link
 */
export function linkCard(url, label, title) {
  const card = element('div', 'link-card');
  const field = element('input');
  const result = element('p', 'result');
  Object.assign(field, { type: 'text', readOnly: true, value: url, ariaLabel: label, translate: false, onfocus: () => field.select() });
  result.role = 'status';
  const copy = button('Copy', async () => {
    const copied = await copyText(url);
    if (!copied) field.focus();
    result.textContent = copied ? 'Copied.' : 'This browser does not let the page copy: the link is selected, copy it with the keyboard.';
  });
  const row = element('div', 'row');
  row.append(field, copy);
  if (title && canShare(url)) row.append(button('Share…', () => navigator.share({ title, url }).catch(() => {})));
  const code = element('div', 'qr', 'The QR code is being loaded.');
  card.append(row, result, code);
  drawQr(url, label).then((image) => code.replaceChildren(image));
  return card;
}

/** Returns true if other apps can be handed a link: on touch, where the browser has a way. @param {string} url */
const canShare = (url) => matchMedia('(pointer: coarse)').matches && !!navigator.canShare?.({ url });

/** Returns the path that draws a QR code. @param {boolean[][]} rows */
export function qrPath(rows) {
  const runs = rows.flatMap((row, y) =>
    row.flatMap((dark, x) => {
      if (!dark || row[x - 1]) return [];
      const end = row.indexOf(false, x);
      const width = (end < 0 ? row.length : end) - x;
      return `M${x} ${y}h${width}v1h-${width}z`;
    }),
  );
  return runs.join('');
}

/** Draws a link as a QR code. @param {string} url @param {string} label */
async function drawQr(url, label) {
  const { encode } = await load('uqr/uqr');
  const { size, data } = encode(url, { border: QUIET_ZONE });
  const image = document.createElementNS(SVG, 'svg');
  const path = document.createElementNS(SVG, 'path');
  image.setAttribute('viewBox', `0 0 ${size} ${size}`);
  image.setAttribute('role', 'img');
  image.setAttribute('aria-label', `QR code: ${label}`);
  image.setAttribute('shape-rendering', 'crispEdges');
  path.setAttribute('d', qrPath(data));
  image.append(path);
  return image;
}
