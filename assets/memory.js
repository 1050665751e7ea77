/**
 * What this browser remembers for its user. Where storage is denied or full, it just forgets.
 */

const PREFIX = 'tiny-chat:';

export function recall(key) {
  try {
    return localStorage.getItem(PREFIX + key) ?? '';
  } catch {
    return '';
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(PREFIX + key, value);
  } catch {
    // Nothing depends on it.
  }
}
