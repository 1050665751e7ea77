/**
 * Serves the files of a folder, and passes everything else on to the chat, so that a page and the chat have one origin, as
 * they have behind a proxy. It is for trying the examples; for others take a proxy (deploy/).
 *
 * CHAT=http://localhost:8080 PORT=8000 node examples/serve.mjs FOLDER
 */

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, request as connect } from 'node:http';
import { extname, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream';

const { CHAT = 'http://localhost:8080', PORT = '8000' } = process.env;
const folder = resolve(process.argv[2] ?? '.');
const types = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.css': 'text/css' };

/** Returns the path of the file at an address, or undefined where the folder has none. */
async function fileAt(address) {
  let path = new URL(address, 'http://localhost').pathname;
  try {
    path = resolve(folder, `.${decodeURIComponent(path)}`);
  } catch {
    return undefined; // not UTF-8
  }
  if (path === folder) path += '/index.html';
  const isFile = path.startsWith(folder + sep) && (await stat(path).catch(() => null))?.isFile();
  return isFile ? path : undefined;
}

function passOn(request, response) {
  const { method, headers } = request;
  // A new connection for each request: one that was kept may lead to a node that is gone.
  const upstream = connect(new URL(request.url, CHAT), { method, headers, agent: false });
  upstream.on('response', (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    // A stream that is cut off has to be cut off for the browser too: a complete one would not be resumed.
    pipeline(answer, response, () => {});
  });
  // No answer rather than a 502, after which an EventSource would not come back.
  upstream.on('error', () => response.destroy());
  response.on('close', () => upstream.destroy());
  pipeline(request, upstream, () => {});
}

const server = createServer(async (request, response) => {
  const file = request.method === 'GET' && (await fileAt(request.url));
  if (!file) return passOn(request, response);
  response.writeHead(200, { 'Content-Type': `${types[extname(file)] ?? 'text/plain'}; charset=utf-8` });
  pipeline(createReadStream(file), response, () => {});
});

server.listen(Number(PORT), 'localhost', () => console.log(`open http://localhost:${server.address().port}/`));
