// Socket.IO 4 as its documentation recommends for several servers: the adapter for Redis streams and connection state
// recovery, on all cores (node:cluster; clients use WebSocket only, which needs no sticky sessions). A client joins the
// room of its query; a POST to a room is emitted to it, and answered when the entry is in the stream of Redis.
//
// A post that Redis refuses is a 503. On SIGTERM the connections are closed, which stores their sessions in Redis.
//
//     node socketio.cjs PORT REDIS_URL, with socket.io, @socket.io/redis-streams-adapter and redis in NODE_PATH
'use strict';
const cluster = require('node:cluster');
const http = require('node:http');
const os = require('node:os');

const [port, url] = process.argv.slice(2);

async function serve() {
  const { createClient } = require('redis');
  const { Server } = require('socket.io');
  const { createAdapter } = require('@socket.io/redis-streams-adapter');
  const redis = createClient({ url });
  redis.on('error', () => {}); // it connects again by itself
  await redis.connect();
  const server = http.createServer();
  const io = new Server({
    adapter: createAdapter(redis),
    connectionStateRecovery: {},
    transports: ['websocket'],
    serveClient: false,
  });
  io.attach(server);
  io.on('connection', (socket) => { if (!socket.recovered) socket.join(socket.handshake.query.room); });
  server.on('request', (req, res) => {
    if (req.method === 'POST') publish(io, req.url.slice(1), req, res);
  });
  server.keepAliveTimeout = 0;
  server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 });
  process.on('SIGTERM', async () => {
    io.close();
    await redis.quit(); // after the sessions, which are stored without a word of it
    process.exit();
  });
}

// `emit` of a room, but waits for Redis: emit itself returns before the message is anywhere.
function publish(io, room, req, res) {
  let body = '';
  req.setEncoding('utf8');
  req.on('data', (part) => { body += part; });
  req.on('end', async () => {
    const packet = { type: 2, data: ['message', JSON.parse(body)], nsp: '/' };
    try {
      await io.of('/').adapter.broadcast(packet, { rooms: new Set([room]), except: new Set(), flags: {} });
      res.end('{}');
    } catch {
      res.writeHead(503).end();
    }
  });
}

function replace() {
  cluster.fork();
}

if (cluster.isPrimary) {
  for (let core = 0; core < os.availableParallelism(); core += 1) cluster.fork();
  process.on('SIGTERM', () => {
    cluster.removeListener('exit', replace);
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGTERM');
    cluster.on('exit', () => { if (Object.keys(cluster.workers).length === 0) process.exit(); });
  });
  cluster.on('exit', replace);
} else {
  serve();
}
