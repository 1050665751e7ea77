// A Node.js server as tutorials on Server-Sent Events design it: one EventEmitter and one Redis subscription per
// process, and a `res.write` per client. The benchmark runs it: node eventemitter.cjs PORT REDIS_URL, with ioredis in
// NODE_PATH.
'use strict';
const http = require('node:http');
const { EventEmitter } = require('node:events');
const Redis = require('ioredis');

const [port, url] = process.argv.slice(2);
const rooms = new EventEmitter();
rooms.setMaxListeners(0);

const publisher = new Redis(url);
const subscriber = new Redis(url);
let number = 0;
subscriber.on('pmessage', (_pattern, room, data) => rooms.emit(room, `id: ${++number}\ndata: ${data}\n\n`));

function subscribe(room, res) {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  res.flushHeaders();
  const send = (frame) => res.write(frame);
  rooms.on(room, send);
  res.on('close', () => rooms.off(room, send));
}

function publish(room, req, res) {
  let body = '';
  req.setEncoding('utf8');
  req.on('data', (part) => { body += part; });
  req.on('end', () => publisher.publish(room, body).then(() => res.end('{}'), () => res.writeHead(503).end()));
}

const server = http.createServer((req, res) => {
  if (req.method === 'POST') publish(req.url, req, res);
  else subscribe(req.url, res);
});
server.keepAliveTimeout = 0;
subscriber.psubscribe('/*').then(() => server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 }));
