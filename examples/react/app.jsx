/** A room as a React component. */

import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';

import { useRoom } from './use-room.js';

function Room({ name }) {
  const { messages, live, isIncomplete, send } = useRoom(name);
  const [problem, setProblem] = useState('');

  const submit = (event) => {
    event.preventDefault();
    const { sender, message } = event.target.elements;
    send({ sender: sender.value, message: message.value }).then(
      () => setProblem(''),
      (error) => setProblem(error.message),
    );
    message.value = '';
  };

  return (
    <>
      <h1>{name}</h1>
      <p role="status">{live ? 'live' : 'connecting'}</p>
      {isIncomplete && <p>Some messages are missing.</p>}
      <div role="log">
        {messages.map(({ id, sender, message }) => (
          <p className="message" key={id}>
            {sender}: {message}
          </p>
        ))}
      </div>
      <form onSubmit={submit}>
        <input name="sender" aria-label="Your name" placeholder="Your name" maxLength={64} />
        <input name="message" aria-label="Message" placeholder="Message" maxLength={4000} autoComplete="off" required />
        <button>Send</button>
      </form>
      <p role="alert">{problem}</p>
    </>
  );
}

createRoot(document.querySelector('#root')).render(
  <StrictMode>
    <Room name="everyone" />
  </StrictMode>,
);
