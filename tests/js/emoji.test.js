import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isEmojiOnly } from '../../assets/emoji.js';

test('one to eight emoji are shown large', () => {
  for (const text of ['👋', ' 👋\n', '👍🏽', '❤️', '👩‍💻', '👨‍👩‍👧‍👦', '🇫🇷', '1️⃣', '👋 🎉', '🎉'.repeat(8), '👨‍👩‍👧‍👦'.repeat(8)]) assert.ok(isEmojiOnly(text), text);
});

test('other texts are not', () => {
  for (const text of ['', ' ', 'a', '1', '#', '👋!', 'hi 👋', '©', '🎉'.repeat(9), '👋'.repeat(2000), '🏽'.repeat(1500), '👋\u0301']) {
    assert.ok(!isEmojiOnly(text), text);
  }
});
