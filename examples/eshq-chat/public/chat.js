/**
 * The page of the chat. What others wrote is set as text and never as markup: the hub passes on what it is sent.
 */

const log = document.querySelector('.messages');
const status = document.querySelector('.status');
const problem = document.querySelector('.problem');
const composer = document.querySelector('.composer');
const overlay = document.querySelector('dialog');
const { msg } = composer.elements;

let nick = '';

/** Returns the members of an event's data, or undefined for what is no message of this app. */
function parsed(data) {
  try {
    const { nick, msg } = JSON.parse(data);
    return typeof nick === 'string' && typeof msg === 'string' ? { nick, msg } : undefined;
  } catch {
    return undefined;
  }
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

/** Returns a hue for a name, the same on every page. */
function hueOf(name) {
  let hue = 0;
  for (const character of name) hue = (hue * 31 + character.codePointAt(0)) % 360;
  return hue;
}

function show({ nick: sender, msg: text }) {
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const line = element('li', sender === nick ? 'message mine' : 'message', '');
  const name = element('bdi', 'nick', sender);
  name.style.setProperty('--hue', hueOf(sender));
  line.append(name, element('p', 'text', text));
  log.append(line);
  if (isAtEnd || sender === nick) log.scrollTop = log.scrollHeight;
}

function setStatus(state, text) {
  status.dataset.state = state;
  status.textContent = text;
}

function subscribe() {
  const es = new ESHQ('chat');
  es.onopen = () => setStatus('live', 'Live');
  es.onerror = ({ status: code }) => setStatus('connecting', code ? 'Not let in. Trying again…' : 'Reconnecting…');
  es.onmessage = ({ data }) => {
    const message = parsed(data);
    if (message) show(message);
  };
}

async function send(text) {
  const answer = await fetch('/message', { method: 'POST', body: new URLSearchParams({ nick, msg: text }) });
  if (!answer.ok) throw new Error(await answer.text());
}

composer.addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = msg.value;
  if (!text.trim()) return;
  problem.textContent = '';
  msg.value = '';
  try {
    await send(text);
  } catch (error) {
    problem.textContent = `Not sent. ${error.message}`;
    msg.value ||= text;
  }
});

overlay.addEventListener('cancel', (event) => event.preventDefault());
overlay.addEventListener('close', () => {
  nick = overlay.querySelector('#nick').value.trim();
  if (!nick) return overlay.showModal();
  msg.focus();
  subscribe();
});

overlay.showModal();
