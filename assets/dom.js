/**
 * Shorthands for the DOM.
 */

/**
 * Creates an element.
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 */
export function element(name, className = '', text = '') {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

/** Returns a button that does something. @param {string} label @param {() => unknown} act */
export function button(label, act, className = '') {
  const made = element('button', className, label);
  made.type = 'button';
  made.onclick = act;
  return made;
}

/**
 * Returns the first match of a selector that the template is known to have.
 * @param {string} selector
 * @param {ParentNode} root
 */
export const find = (selector, root = document) => /** @type {HTMLElement} */ (root.querySelector(selector));
