#!/usr/bin/env node
// A fake Gitea for one Renovate run: /api/v1 (api.mjs) and git over HTTP (git.mjs), both for the holder of the token.
//
// usage: main.mjs --root DIR --state DIR --token TOKEN
// Listens on 127.0.0.1 alone and writes its port to STATE/port.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { answer } from './api.mjs';
import { Repositories } from './git.mjs';
import { State } from './state.mjs';

const API = '/api/v1/';
const text = { type: 'string' };
const { values: options } = parseArgs({ options: { root: text, state: text, token: text } });
const state = new State(options.state);
const git = new Repositories(options.root);
const log = fs.createWriteStream(path.join(options.state, 'access.log'));

/** Whether the token came along, as the API's `token ...` or as either half of git's user and password. */
function allowed({ headers: { authorization = '' } }) {
  const [, basic] = /^Basic (.+)$/i.exec(authorization) ?? [];
  const parts = basic ? Buffer.from(basic, 'base64').toString().split(':') : authorization.split(' ');
  return parts.includes(options.token);
}

function api(request, url, body) {
  const context = {
    state, git, method: request.method, query: url.searchParams,
    body: body.length ? JSON.parse(body.toString()) : {}, base: `http://127.0.0.1:${server.address().port}`,
  };
  try {
    return answer(context, url.pathname.slice(API.length));
  } catch (error) {
    return { status: 500, value: { message: String(error.stack) } };
  }
}

/** An archive as GitHub makes them, for everybody. */
function archive(response, repo, ref) {
  const bytes = git.archive(repo, decodeURIComponent(ref));
  return response.writeHead(bytes ? 200 : 404, { 'content-type': 'application/x-gzip' }).end(bytes ?? undefined);
}

/** Tags as GitHub's GraphQL answers Renovate's question for them; releases there are none. */
function graphql(body) {
  const { query, variables } = JSON.parse(body.toString());
  const repo = `${variables.owner}/${variables.name}`;
  const nodes = !query.includes('refs/tags/') ? [] : git.tags(repo).map(({ name, commit, date }) => (
    { version: name, target: { type: 'Commit', oid: commit, releaseTimestamp: date } }));
  const payload = { nodes, pageInfo: { hasNextPage: false, endCursor: null } };
  return { status: 200, value: { data: { repository: { isRepoPrivate: true, payload } } } };
}

function respond(request, response, body) {
  const url = new URL(request.url, 'http://127.0.0.1');
  const [, repo, ref] = /^\/([^/]+\/[^/]+)\/archive\/(.+)\.tar\.gz$/.exec(url.pathname) ?? [];
  if (repo && git.has(repo)) return archive(response, repo, ref);
  if (!allowed(request)) {
    return response.writeHead(401, { 'www-authenticate': 'Basic realm="fake"' }).end('{"message":"token required"}');
  }
  if (url.pathname === '/api/graphql') return send(response, graphql(body));
  if (!url.pathname.startsWith(API)) return git.serve(request, response, url, body);
  const answered = api(request, url, body);
  if (request.method !== 'GET') state.save();
  return send(response, answered);
}

function send(response, { status, value }) {
  const count = Array.isArray(value) ? { 'x-total-count': String(value.length) } : {};
  response.writeHead(status, { 'content-type': 'application/json', ...count });
  return response.end(status === 204 ? undefined : JSON.stringify(value));
}

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => respond(request, response, Buffer.concat(chunks)));
  response.on('finish', () => log.write(`${response.statusCode} ${request.method} ${request.url}\n`));
});
server.listen(0, '127.0.0.1', () => {
  state.save();
  fs.writeFileSync(path.join(options.state, 'port'), String(server.address().port));
});
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
