/**
 * The box that leads to any room by its name. It needs JavaScript, so it is hidden until it works.
 */

import { ROOM_RULE, roomPath } from './text.js';

export function offerRooms(box, form, error) {
  const { room } = form.elements;
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const path = roomPath(room.value);
    error.textContent = path ? '' : ROOM_RULE;
    room.setAttribute('aria-invalid', !path);
    if (path) location.assign(path);
  });
  box.hidden = false;
}
