#!/usr/bin/env node
// A registry that has bad moments: refuses the first requests with a status, and passes the others on.
//
// usage: registry.mjs --state DIR --upstream URL --refuse N --status CODE [--only PATTERN]
// With PATTERN only requests that it matches are refused.
// Listens on 127.0.0.1 alone; writes its port to STATE/registry-port and a line for each request to STATE/registry.log.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { parseArgs } from 'node:util';

const text = { type: 'string' };
const { values: options } = parseArgs({ options: { state: text, upstream: text, refuse: text, status: text, only: text } });
const only = new RegExp(options.only ?? '');
let left = Number(options.refuse);
fs.mkdirSync(options.state, { recursive: true });
const log = (line) => fs.appendFileSync(path.join(options.state, 'registry.log'), `${line}\n`);

async function pass(request, response) {
  const url = new URL(request.url.replace(/^\/+/, ''), options.upstream);
  const answer = await fetch(url, { headers: { accept: request.headers.accept ?? '*/*' } });
  const body = Buffer.from(await answer.arrayBuffer());
  const type = answer.headers.get('content-type') ?? 'application/octet-stream';
  response.writeHead(answer.status, { 'content-type': type, 'content-length': body.length }).end(body);
}

const server = http.createServer((request, response) => {
  if (left > 0 && only.test(request.url)) {
    left -= 1;
    log(`${options.status} ${request.url}`);
    return response.writeHead(Number(options.status)).end();
  }
  log(`passed on ${request.url}`);
  return pass(request, response).catch((error) => response.writeHead(502).end(String(error)));
});
server.listen(0, '127.0.0.1', () => {
  fs.writeFileSync(path.join(options.state, 'registry-port'), String(server.address().port));
});
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
