// As much of Gitea's /api/v1 as Renovate and the action ask for, and of GitHub's API what the action asks of it besides
// (comments on lines). A route is a method, a pattern and what answers it.
import path from 'node:path';

import { BOT } from './state.mjs';

const ok = (value, status = 200) => ({ status, value });
const missing = () => ({ status: 404, value: { message: 'not found' } });

function repository({ repo, base }) {
  const [owner, name] = repo.split('/');
  return ok({
    id: 1, name, full_name: repo, owner: { id: 2, login: owner, username: owner, full_name: owner, email: 'owner@example.invalid' },
    default_branch: 'main', empty: false, archived: false, mirror: false, fork: false, has_issues: true,
    has_pull_requests: true, allow_rebase: true, allow_rebase_explicit: true, allow_squash_merge: true,
    allow_merge_commits: true, allow_fast_forward_only_merge: true, default_merge_style: 'squash',
    permissions: { admin: false, pull: true, push: true },
    clone_url: `${base}/${repo}.git`, ssh_url: `ssh://unused.invalid/${repo}.git`,
  });
}

/** A pull request as it stands; one whose head is part of its base counts as merged. */
function pull({ state, git, repo, base }, stored) {
  const head = git.commit(repo, stored.headRef) ?? stored.headSha;
  if (git.contains(repo, stored.baseRef, head)) state.merged(stored);
  const side = (ref, more) => ({ label: ref, ref, repo: { full_name: repo }, ...more });
  const html_url = `${base}/${repo}/pulls/${stored.number}`;
  return { ...stored, html_url, mergeable: true, user: BOT, head: side(stored.headRef, { sha: head }), base: side(stored.baseRef) };
}

function openPull(context) {
  const { state, git, repo, body } = context;
  const headSha = git.commit(repo, body.head);
  if (!headSha) return missing();
  const same = ({ headRef, baseRef, state: now }) => headRef === body.head && baseRef === body.base && now === 'open';
  if (state.list(state.pulls, repo).some(same)) return { status: 409, value: { message: 'pull request already exists' } };
  const stored = state.thread(body, { headRef: body.head, baseRef: body.base, headSha, merged: false });
  state.list(state.pulls, repo).push(stored);
  return ok(pull(context, stored), 201);
}

function onePull(context, number) {
  const { state, repo, method, body } = context;
  const stored = state.list(state.pulls, repo).find((one) => one.number === Number(number));
  if (!stored) return missing();
  if (method === 'PATCH') state.patch(stored, body);
  return ok(pull(context, stored));
}

function openIssue({ state, repo, body }) {
  const issue = state.thread(body);
  state.list(state.issues, repo).push(issue);
  return ok(issue, 201);
}

function oneIssue({ state, repo, method, body }, number) {
  const threads = [...state.list(state.issues, repo), ...state.list(state.pulls, repo)];
  const thread = threads.find((one) => one.number === Number(number));
  if (!thread) return missing();
  return ok(method === 'PATCH' ? state.patch(thread, body) : thread);
}

/** `user`, which no forge takes, lets a test speak for somebody else. */
function comment({ state, repo, body }, number) {
  const made = { id: state.id(), body: body.body, user: body.user ?? BOT, created_at: new Date().toISOString() };
  state.list(state.comments, `${repo}#${number}`).push(made);
  return ok(made, 201);
}

/** GitHub's: on a line that the pull request's diff shows. */
function lineComment({ state, git, repo, body }, number) {
  const stored = state.list(state.pulls, repo).find((one) => one.number === Number(number));
  const file = stored && git.files(repo, stored.baseRef, stored.headRef).find(({ filename }) => filename === body.path);
  if (body.commit_id !== git.commit(repo, stored?.headRef)) return { status: 422, value: { message: 'commit_id is not the head' } };
  const shows = [...(file?.patch ?? '').matchAll(/^@@ -\S+ \+(\d+)(?:,(\d+))? @@/gm)]
    .some(([, start, count = 1]) => body.line >= Number(start) && body.line < Number(start) + Number(count));
  if (!shows) return { status: 422, value: { message: 'line must be part of the diff' } };
  const made = { id: state.id(), path: body.path, line: body.line, body: body.body, user: BOT };
  state.list(state.lineComments, `${repo}#${number}`).push(made);
  return ok(made, 201);
}

function filesOf({ state, git, repo }, number) {
  const stored = state.list(state.pulls, repo).find((one) => one.number === Number(number));
  return stored ? ok(git.files(repo, stored.baseRef, stored.headRef)) : missing();
}

function compare({ git, repo }, base, head) {
  if (!git.commit(repo, base) || !git.commit(repo, head)) return missing();
  const commits = git.between(repo, base, head);
  return ok({ total_commits: commits.length, commits });
}

/** Of either kind: their ids differ. */
function oneComment({ state, method, body }, id) {
  for (const thread of [...Object.values(state.comments), ...Object.values(state.lineComments)]) {
    const at = thread.findIndex((one) => one.id === Number(id));
    if (at < 0) continue;
    if (method === 'DELETE') return thread.splice(at, 1), ok(null, 204);
    thread[at].body = body.body;
    return ok(thread[at]);
  }
  return missing();
}

function contents({ git, repo, query }, file) {
  const blob = git.file(repo, query.get('ref') || 'main', file);
  if (!blob) return missing();
  return ok({ name: path.basename(file), path: file, type: 'file', encoding: 'base64', content: blob.toString('base64') });
}

function branch({ git, repo }, name) {
  const id = git.commit(repo, name);
  return id ? ok({ name, commit: { id, sha: id } }) : missing();
}

function statusesOf({ state, git, repo }, ref) {
  return ok(state.list(state.statuses, `${repo}@${git.commit(repo, ref)}`));
}

function setStatus({ state, repo, body }, commit) {
  const { state: status, context, description = '', target_url = '' } = body;
  const made = { id: state.id(), status, context, description, target_url, created_at: new Date().toISOString() };
  state.list(state.statuses, `${repo}@${commit}`).push(made);
  return ok(made, 201);
}

/** Below /api/v1/repos/<owner>/<name>. */
const ROUTES = [
  ['GET', /^$/, repository],
  ['GET', /^labels$/, () => ok([])],
  ['GET', /^branches\/(.+)$/, branch],
  ['GET', /^compare\/(.+)\.\.\.(.+)$/, compare],
  ['GET', /^contents\/(.+)$/, contents],
  ['GET', /^commits\/(.+)\/statuses$/, statusesOf],
  ['POST', /^statuses\/([0-9a-f]+)$/, setStatus],
  ['GET', /^pulls$/, (context) => ok(context.state.list(context.state.pulls, context.repo).map((one) => pull(context, one)).reverse())],
  ['POST', /^pulls$/, openPull],
  ['GET|PATCH', /^pulls\/(\d+)$/, onePull],
  ['GET', /^pulls\/(\d+)\/files$/, filesOf],
  ['GET', /^pulls\/(\d+)\/comments$/, ({ state, repo }, number) => ok(state.list(state.lineComments, `${repo}#${number}`))],
  ['POST', /^pulls\/(\d+)\/comments$/, lineComment],
  ['PATCH|DELETE', /^pulls\/comments\/(\d+)$/, oneComment],
  ['GET', /^issues$/, ({ state, repo }) => ok(state.list(state.issues, repo))],
  ['POST', /^issues$/, openIssue],
  ['PATCH|DELETE', /^issues\/comments\/(\d+)$/, oneComment],
  ['GET', /^issues\/(\d+)\/comments$/, ({ state, repo }, number) => ok(state.list(state.comments, `${repo}#${number}`))],
  ['POST', /^issues\/(\d+)\/comments$/, comment],
  ['GET|PATCH', /^issues\/(\d+)$/, oneIssue],
];

/** Answers a request: {status, value}. `context`: state, git, method, query, body, base (this server's URL). */
export function answer(context, rest) {
  if (rest === 'version') return ok({ version: '1.24.0' });
  if (rest === 'user') return ok(BOT);
  if (rest === 'repos/search') return ok({ ok: true, data: [] });
  if (/^orgs\/.*\/labels$/.test(rest)) return ok([]);
  const [, repo, below = ''] = /^repos\/([^/]+\/[^/]+)(?:\/(.*))?$/.exec(rest) ?? [];
  if (!repo || !context.git.has(repo)) return missing();
  for (const [methods, pattern, handler] of ROUTES) {
    const match = pattern.exec(below);
    if (match && methods.split('|').includes(context.method)) {
      return handler({ ...context, repo }, ...match.slice(1).map(decodeURIComponent));
    }
  }
  return missing();
}
