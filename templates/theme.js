{# Applies the chosen colours and lines before the first paint, so that others do not flash, and keeps those of the browser's own
   bars in step with them. Pages contain it: the policy allows this text and no other. #}
{
  const { dataset } = document.documentElement;
  const show = () => {
    for (const meta of document.querySelectorAll('[name=theme-color]')) {
      const { theme } = meta.dataset;
      meta.media = dataset.theme === 'system' ? `(prefers-color-scheme: ${theme})` : dataset.theme === theme ? '' : 'not all';
    }
  };
  try {
    dataset.theme = localStorage['tiny-chat:theme'] || 'system';
    dataset.lines = localStorage['tiny-chat:lines'] || '';
  } catch {
    dataset.theme = 'system';
  }
  show();
  new MutationObserver(show).observe(document.documentElement, { attributeFilter: ['data-theme'] });
}
