import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const css = readFileSync(new URL('../../assets/page.css', import.meta.url), 'utf8');
const HUES = [...css.matchAll(/\.h(\d+) \{ --hue: (\d+); \}/g)].map(([, , hue]) => +hue);
const MIN = 4.5; // WCAG 2.2, AA

/** Returns the linear channels of `#rgb`, `#rrggbb` or `oklch(l c h)`. Channels out of gamut are cut off, as browsers do. */
function channels(colour) {
  if (colour.startsWith('#')) {
    const [, hex] = /^#(.*)$/.exec(colour.length === 4 ? colour.replace(/\w/g, '$&$&') : colour);
    const values = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
    return values.map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  }
  const [lightness, chroma, hue] = colour.match(/[\d.]+/g).map(Number);
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((value) => Math.min(1, Math.max(0, value)));
}

function contrast(one, other) {
  const luminance = (colour) => {
    const [red, green, blue] = channels(colour);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
  };
  const [dark, light] = [luminance(one), luminance(other)].sort((x, y) => x - y);
  return light / dark;
}

/** Returns the value of a token in a theme, 0 for light and 1 for dark. */
function token(name, theme, hue) {
  const [, value] = new RegExp(`--${name}: light-dark\\((.+)\\);`).exec(css);
  return value.split(/, (?=#|oklch)/)[theme].replace('var(--hue)', hue);
}

test('there is a class for each of 24 hues', () => {
  assert.equal(new Set(HUES).size, 24);
});

test('names and their initials can be read in every hue and theme', () => {
  for (const theme of [0, 1]) {
    for (const hue of HUES) {
      const name = token('name', theme, hue);
      for (const ground of ['tint', 'paper', 'hover', 'warm', 'wash', 'panel', 'field']) {
        const ratio = contrast(name, token(ground, theme, hue));
        assert.ok(ratio >= MIN, `hue ${hue} on ${ground}, theme ${theme}: ${ratio.toFixed(2)}`);
      }
    }
  }
});

test('texts, times and links can be read on every ground', () => {
  for (const theme of [0, 1]) {
    for (const text of ['ink', 'faint', 'accent', 'warn', 'bad']) {
      for (const ground of ['paper', 'hover', 'warm', 'wash', 'panel', 'field']) {
        const ratio = contrast(token(text, theme), token(ground, theme));
        assert.ok(ratio >= MIN, `${text} on ${ground}, theme ${theme}: ${ratio.toFixed(2)}`);
      }
    }
    assert.ok(contrast(token('on-accent', theme), token('accent', theme)) >= MIN);
  }
});
