/**
 * The rooms: which have something new, and the box that leads to any room by its name.
 */

import { element } from './log.js';
import { roomPath } from './words.js';

const RULE = 'A room’s name is 1 to 64 letters, marks, digits, - _ . or ~, and starts with a letter or digit.';

/** Shows what is unread in each room of `rooms`; one that was visited and is not offered gets a link of its own. */
export function showRooms(list, rooms) {
  const links = [...list.querySelectorAll('a')];
  for (const { name, unread, mention, current } of rooms) {
    let link = links.find((each) => each.firstChild.textContent === name);
    if (!link) {
      link = element('a');
      link.href = roomPath(name);
      link.append(element('bdi', '', name));
      const item = element('li');
      item.append(link);
      list.append(item);
    }
    link.querySelector('.badge')?.remove();
    if (!unread || current) continue;
    const badge = element('span', mention ? 'badge call' : 'badge', `${mention ? '@' : ''}${unread > 99 ? '99+' : unread}`);
    badge.append(element('span', 'sr', mention ? ' unread, you are mentioned' : ' unread'));
    link.append(badge);
  }
}

export function goTo(box, error) {
  const path = roomPath(box.value);
  error.textContent = path ? '' : RULE;
  box.ariaInvalid = `${!path}`;
  if (path) location.assign(path);
}
