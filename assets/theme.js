// Before the first paint, so that nothing flashes.
let theme;
try {
  theme = localStorage.getItem('tiny-chat:theme');
} catch {}
document.documentElement.dataset.theme = theme || 'system';
