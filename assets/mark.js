/**
 * Marks tell two of one name apart: the server makes one of each secret. It is shown as a pattern on the tile and, where
 * it matters, as six letters. Pure, but for drawing.
 */

const SVG = 'http://www.w3.org/2000/svg';
const SIZE = 5; // cells in a row of the pattern
const HALF = 3; // the other cells mirror them

/** Returns six letters for a mark. @param {string} mark 32 hexadecimal digits */
export function lettersOf(mark) {
  let rest = parseInt(mark.slice(0, 8), 16);
  let letters = '';
  for (; letters.length < 6; rest = Math.floor(rest / 26)) letters += String.fromCharCode(97 + (rest % 26));
  return letters;
}

/** Returns a symmetric pattern for a mark as an SVG path, from other digits than its letters. @param {string} mark */
export function patternOf(mark) {
  const bits = parseInt(mark.slice(8, 12), 16);
  let path = '';
  for (let cell = 0; cell < SIZE * HALF; cell += 1) {
    if (!((bits >> cell) & 1)) continue;
    const [column, row] = [cell % HALF, Math.floor(cell / HALF)];
    for (const x of new Set([column, SIZE - 1 - column])) path += `M${x} ${row}h1v1h-1z`;
  }
  return path;
}

/** Returns the pattern of a mark as an image without a name. @param {string} mark */
export function drawPattern(mark) {
  const image = document.createElementNS(SVG, 'svg');
  const path = document.createElementNS(SVG, 'path');
  image.setAttribute('class', 'pattern');
  image.setAttribute('viewBox', `0 0 ${SIZE} ${SIZE}`);
  image.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', patternOf(mark));
  image.append(path);
  return image;
}
