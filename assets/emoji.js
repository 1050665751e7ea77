/**
 * Whether a text is nothing but a few emoji, which are shown large.
 */

const MAX_EMOJI = 8;
const MAX_UNITS = 160; // of UTF-16: eight families

/** Returns the pattern of one emoji. Older browsers do not know which sequences are emoji. */
function emojiPattern() {
  try {
    return new RegExp(`^(?:\\p{RGI_Emoji}\\s*){1,${MAX_EMOJI}}$`, 'v');
  } catch {
    const one = '(?:\\p{Emoji_Presentation}|\\p{Extended_Pictographic}\\ufe0f)\\p{Emoji_Modifier}?';
    return new RegExp(`^(?:(?:\\p{RI}\\p{RI}|[\\d#*]\\ufe0f\\u20e3|${one}(?:\\u200d${one})*)\\s*){1,${MAX_EMOJI}}$`, 'u');
  }
}

const EMOJI = emojiPattern();

/** Returns true if a text is one to eight emoji. @param {string} text */
export const isEmojiOnly = (text) => text.length <= MAX_UNITS && EMOJI.test(text.trim());
