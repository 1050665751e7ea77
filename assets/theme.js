/**
 * Applies the chosen colours before the first paint, so that others do not flash.
 */

let theme;
try {
  theme = localStorage.getItem('tiny-chat:theme');
} catch {} // denied
document.documentElement.dataset.theme = theme || 'system';
