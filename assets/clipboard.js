/**
 * Copies text. Browsers have the clipboard API on https and localhost only; elsewhere a selection is copied.
 */

/** Copies a text, and resolves to whether that worked. @param {string} text */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelection(text);
  }
}

/** Copies by selecting the text in a field that is there for a moment. @param {string} text */
function copySelection(text) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'sr';
  field.readOnly = true;
  // Beside what has the focus: what closes when the focus leaves it stays open, and a modal dialog lets none out.
  (focused?.closest('body *')?.parentElement ?? document.body).append(field);
  field.select();
  const copied = document.execCommand('copy');
  field.remove();
  focused?.focus({ preventScroll: true });
  return copied;
}
