/**
 * Who is here: how many, and their names where there are not too many.
 */

/** `details` is the page's; whoever picks a name is told by `call(name)`. */
export function showPeople(details, { count, names }, call) {
  const [summary, list] = details.children;
  details.hidden = !count;
  const says = `${count} here`;
  if (summary.textContent !== says) summary.textContent = says;
  if (!names) list.replaceChildren('Too many to name.');
  else list.replaceChildren(...names.map((name) => person(name, call)), nameless(count - names.length));
}

function person(name, call) {
  const button = Object.assign(document.createElement('button'), { type: 'button', dir: 'auto', textContent: name });
  button.onclick = () => call(name);
  const item = document.createElement('li');
  item.append(button);
  return item;
}

function nameless(count) {
  return count > 0 ? `${count} without a name` : '';
}
