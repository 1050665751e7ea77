import assert from 'node:assert/strict';
import { test } from 'node:test';

import { iconFor } from '../../assets/notifications.js';

test('a mention takes precedence on the icon', () => {
  assert.equal(iconFor([{ unread: 0 }]), 'icon');
  assert.equal(iconFor([{ unread: 0 }, { unread: 2 }]), 'icon-unread');
  assert.equal(iconFor([{ unread: 2 }, { unread: 1, mention: true }]), 'icon-mention');
});
