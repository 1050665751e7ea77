/**
 * The icons that are drawn when they are needed, in one size and with one stroke. Those of the first view are in page.html.
 */

const SVG = 'http://www.w3.org/2000/svg';

/** The path of the icon that does not need all the others. */
export const CLOSE = 'M7 7l10 10M17 7L7 17';

/** Paths in a box of 24 by 24. */
const PATHS = {
  bell: 'M6 16.5h12c-1.3-1.4-1.5-2.7-1.5-5.5a4.5 4.5 0 0 0-9 0c0 2.8-.2 4.1-1.5 5.500zM10.5 19.500h3',
  check: 'M5 12.500l4.5 4.500L19 7.5',
  close: CLOSE,
  clock: 'M12 4a8 8 0 1 0 0 16a8 8 0 0 0 0-16zM12 7.500v4.500l3 2',
  copy: 'M9 9h10v10H9zM15 9V5H5v10h4',
  edit: 'M5 19l1-4L16.5 4.500l3 3L9 18zM14 7l3 3',
  help: 'M8.5 8.600a3.6 3.6 0 1 1 5.4 3.200c-1.2.7-1.9 1.4-1.9 2.700M12 18.400v.1',
  info: 'M12 4a8 8 0 1 0 0 16a8 8 0 0 0 0-16zM12 11v5M12 8v.1',
  jump: 'M4 9h16M4 15h16M10 4L8 20M16 4l-2 16',
  lines: 'M4 6h16M4 10h16M4 14h16M4 18h10',
  link: 'M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.300l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.700l1-1',
  mute: 'M5 9.500v5h3l4 4v-13l-4 4zM16 10l4 4M20 10l-4 4',
  person: 'M12 4.500a3.5 3.5 0 1 0 0 7a3.5 3.5 0 0 0 0-7zM5 19.500c.6-3.4 3.4-5 7-5s6.4 1.6 7 5',
  reply: 'M9 6l-5 5l5 5M4 11h9c4 0 6.5 2 7 7',
  save: 'M12 4v11M7.5 11l4.5 4.500L16.5 11M5 19.500h14',
  search: 'M10.5 4.500a6 6 0 1 0 0 12a6 6 0 0 0 0-12zM15 15l4.5 4.5',
  share: 'M12 15V4M8 7.500L12 4l4 3.500M6 11v8.500h12V11',
  theme: 'M12 4a8 8 0 1 0 0 16a8 8 0 0 0 0-16zM12 4v16M12 8h3.500M12 12h4.500M12 16h3.5',
  trash: 'M5 7h14M10 7V4.500h4V7M7 7l1 12.500h8L17 7M10.5 10.500v5.500M13.5 10.500v5.5',
};

/** @typedef {keyof typeof PATHS} IconName */

/** Draws an icon. @param {IconName} name */
export const icon = (name) => drawIcon(PATHS[name]);

/** Draws a path as an icon. @param {string} d */
export function drawIcon(d) {
  const image = document.createElementNS(SVG, 'svg');
  const path = document.createElementNS(SVG, 'path');
  image.setAttribute('class', 'icon');
  image.setAttribute('viewBox', '0 0 24 24');
  image.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', d);
  image.append(path);
  return image;
}
