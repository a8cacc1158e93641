#!/usr/bin/env node
// api.mjs TASK: what the action asks of the forge, GitHub or one with the same API (Forgejo, Gitea). Needs Node 18 or later.
//
//   branch   prints the tip of PR_BRANCH (nothing, if there is none), and `same` behind it if it already is a commit with
//            TREE on PARENT. Exit code 2 if the branch has commits of somebody else, which a push would lose.
//   open     one pull request of PR_BRANCH to BRANCH, with TITLE and the text of the file REPORT: opened, or updated
//   close    closes it
//   comment  REPORT as one comment on the pull request PULL_NUMBER: edited in place, or made unless FINE is `true`. With
//            SUGGEST=true also suggestions on the lines that PATCH changes, where the pull request's diff shows them.
//
// The token comes as TOKEN in the environment, and goes into one header of requests to GITHUB_API_URL.
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const env = process.env;
const AUTHOR = 'npm-nixhash@users.noreply.github.com';
/** GitHub takes 65536 characters. */
const LONGEST = 60_000;
const MOST_SUGGESTIONS = 20;

class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Text for a workflow command, which ends with its line. */
const escaped = (text) => String(text).replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
const text = (file) => (file && fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');
const part = encodeURIComponent;

/** The answer to a request below the repository; null for 404 with `missing`. Only what can be repeated is. */
async function ask(method, path, body, { missing = false } = {}) {
  const request = {
    method,
    headers: { accept: 'application/json', authorization: `token ${env.TOKEN}`, 'content-type': 'application/json', 'user-agent': 'npm-nixhash' },
    body: body && JSON.stringify(body),
  };
  const tries = method === 'GET' ? 3 : 1;
  for (let attempt = 1; ; attempt += 1) {
    let answer;
    try {
      answer = await fetch(`${env.GITHUB_API_URL}/${path}`, { ...request, signal: AbortSignal.timeout(30_000) });
    } catch (error) {
      if (attempt === tries) throw new Refusal(`${method} ${decodeURIComponent(path)}: ${error.cause?.message ?? error.message}`);
    }
    if (answer?.ok) return answer.status === 204 ? null : answer.json();
    if (answer?.status === 404 && missing) return null;
    if (answer && (answer.status < 500 || attempt === tries)) {
      const { message = '' } = await answer.json().catch(() => ({}));
      throw new Refusal(`${method} ${decodeURIComponent(path)}: ${answer.status} ${message}`, answer.status);
    }
    await sleep(attempt * 1000);
  }
}

/** Below the repository. */
const repository = (method, path, body, options) => ask(method, `repos/${env.GITHUB_REPOSITORY}/${path}`, body, options);

/** All pages of a list. GitHub calls their size `per_page`, Gitea `limit`; the end is a page that brings nothing new. */
async function all(path) {
  const found = new Map();
  for (let page = 1; page <= 50; page += 1) {
    const before = found.size;
    const entries = await repository('GET', `${path}${path.includes('?') ? '&' : '?'}per_page=50&limit=50&page=${page}`);
    for (const entry of entries) found.set(entry.id ?? entry.filename, entry);
    if (entries.length < 50 || found.size === before) break;
  }
  return [...found.values()];
}

/** The branch's tip, or '': and whether it holds this commit's tree on this parent. */
async function branch() {
  const there = await repository('GET', `branches/${part(env.PR_BRANCH)}`, undefined, { missing: true });
  if (!there) return { tip: '', same: false };
  const tip = there.commit.sha ?? there.commit.id;
  const { commits = [] } = await repository('GET', `compare/${part(env.BRANCH)}...${part(env.PR_BRANCH)}`);
  // A merge that brought the branch up to date has nothing of its own.
  const foreign = commits.find(({ commit, parents }) => parents.length < 2 && commit.author.email !== AUTHOR);
  if (foreign) {
    throw new Refusal(`the branch ${env.PR_BRANCH} has a commit of somebody else (${foreign.sha.slice(0, 10)}), which would be lost: merge it, delete it, or set the input branch`);
  }
  const last = commits.find(({ sha }) => sha === tip);
  return { tip, same: last?.commit.tree.sha === env.TREE && last?.parents.length === 1 && last.parents[0].sha === env.PARENT };
}

async function pullRequest() {
  const owner = env.GITHUB_REPOSITORY.split('/')[0];
  const open = await all(`pulls?state=open&base=${part(env.BRANCH)}&head=${part(`${owner}:${env.PR_BRANCH}`)}`);
  return open.find(({ head, base }) => head.ref === env.PR_BRANCH && base.ref === env.BRANCH && head.repo?.full_name === env.GITHUB_REPOSITORY);
}

async function open() {
  const report = text(env.REPORT);
  const about = `The branch is written again on every run; commits of others on it are refused, not lost. Once \`${env.BRANCH}\` is right by itself, this is closed.`;
  const wanted = { title: env.TITLE.split('\n')[0], body: `${fitting(report)}\n---\n${about}\n` };
  let pull = await pullRequest();
  if (!pull) {
    pull = await repository('POST', 'pulls', { ...wanted, head: env.PR_BRANCH, base: env.BRANCH });
    console.log(`opened pull request ${pull.number}`);
  } else if (pull.title !== wanted.title || normal(pull.body) !== normal(wanted.body)) {
    await repository('PATCH', `pulls/${pull.number}`, wanted);
    console.log(`updated pull request ${pull.number}`);
  } else {
    console.log(`pull request ${pull.number} is as it should be`);
  }
  const url = pull.html_url ?? pull.url ?? '';
  if (env.GITHUB_OUTPUT && !/\s/.test(url)) fs.appendFileSync(env.GITHUB_OUTPUT, `pull-request-url=${url}\n`);
}

async function close() {
  const pull = await pullRequest();
  if (!pull) return;
  await repository('PATCH', `pulls/${pull.number}`, { state: 'closed' });
  console.log(`closed pull request ${pull.number}: ${env.BRANCH} is right by itself`);
}

const fitting = (report) => (report.length > LONGEST ? '### npm-nixhash\n\nToo long for this place: see the summary of the job.\n' : report);
/** Forges keep texts with line endings of their own, and without the last one. */
const normal = (body) => (body ?? '').replace(/\r\n/g, '\n').trimEnd();

/**
 * Whether we wrote something: anybody can write our mark. An app's token, as a job's own is one, must not ask whose it is,
 * and writes as a bot.
 */
async function ours() {
  const me = await ask('GET', 'user').catch((error) => {
    if ([401, 403, 404].includes(error.status)) return null;
    throw error;
  });
  const bot = (user) => user?.type === 'Bot' || /\[bot\]$|^(gitea|forgejo)-actions$/.test(user?.login ?? '');
  return ({ user }) => (me ? user?.login === me.login : bot(user));
}

async function comment() {
  const report = text(env.REPORT);
  // Two jobs that look at different things have a comment each.
  const mark = `<!-- npm-nixhash ${part(env.ABOUT ?? '')} -->`;
  const own = await ours();
  const thread = `issues/${env.PULL_NUMBER}/comments`;
  const there = (await all(thread)).find((one) => normal(one.body).startsWith(mark) && own(one));
  const body = `${mark}\n${fitting(report)}`;
  if (!there && env.FINE !== 'true') await repository('POST', thread, { body });
  else if (there && normal(there.body) !== normal(body)) await repository('PATCH', `issues/comments/${there.id}`, { body });
  if (env.SUGGEST === 'true') await suggest(`${mark}\n`, own);
}

/** The runs of lines that a patch replaces: {path, first, last, lines}, numbers as they are before it. */
function replacements(patch) {
  const found = [];
  let path, line, current;
  let before = 0, after = 0; // how many lines of the hunk are still to come, on either side
  for (const row of patch.split('\n')) {
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@/.exec(row);
    if (before <= 0 && after <= 0) {
      current = undefined;
      if (row.startsWith('+++ ')) path = row.startsWith('+++ b/') ? row.slice(6).replace(/\t$/, '') : undefined;
      if (hunk) [line, before, after] = [Number(hunk[1]), Number(hunk[2] ?? 1), Number(hunk[3] ?? 1)];
    } else if (row.startsWith('-')) {
      if (!current || current.lines.length > 0) found.push((current = { path, first: line, last: line, lines: [] }));
      current.last = line;
      line += 1;
      before -= 1;
    } else if (row.startsWith('+')) {
      current?.lines.push(row.slice(1));
      after -= 1;
    } else if (!row.startsWith('\\')) {
      current = undefined;
      line += 1;
      before -= 1;
      after -= 1;
    }
  }
  return found.filter(({ path: named, lines }) => named && lines.length > 0);
}

/** The lines of a file that the pull request's diff shows: a comment elsewhere is refused. */
function shown(patch = '') {
  const lines = new Set();
  let line;
  for (const row of patch.split('\n')) {
    const hunk = /^@@ -\d+(?:,\d+)? \+(\d+)/.exec(row);
    if (hunk) line = Number(hunk[1]);
    else if (line !== undefined && !row.startsWith('-') && !row.startsWith('\\')) lines.add(line++);
  }
  return lines;
}

/** Suggestions of this run instead of those of earlier ones, without touching what is right already. */
async function suggest(mark, own) {
  const files = new Map((await all(`pulls/${env.PULL_NUMBER}/files`)).map((file) => [file.filename, shown(file.patch)]));
  const visible = ({ path, first, last }) => files.get(path)?.has(first) && files.get(path).has(last);
  const wanted = replacements(text(env.PATCH)).filter(visible).slice(0, MOST_SUGGESTIONS);
  const old = (await all(`pulls/${env.PULL_NUMBER}/comments`)).filter((one) => normal(one.body).startsWith(mark.trim()) && own(one));
  for (const { path, first, last, lines } of wanted) {
    const fence = '`'.repeat(Math.max(2, ...lines.join('\n').match(/`+/g)?.map((run) => run.length) ?? []) + 1);
    const body = `${mark}${fence}suggestion\n${lines.join('\n')}\n${fence}`;
    const at = old.findIndex((one) => one.path === path && one.line === last);
    const [there] = at < 0 ? [] : old.splice(at, 1);
    if (!there) {
      const range = first < last ? { start_line: first, start_side: 'RIGHT' } : {};
      await repository('POST', `pulls/${env.PULL_NUMBER}/comments`, { commit_id: env.PULL_HEAD, path, line: last, side: 'RIGHT', ...range, body });
    } else if (normal(there.body) !== normal(body)) {
      await repository('PATCH', `pulls/comments/${there.id}`, { body });
    }
  }
  for (const one of old) await repository('DELETE', `pulls/comments/${one.id}`);
}

const tasks = {
  branch: async () => {
    const { tip, same } = await branch();
    console.log(`${tip}${same ? ' same' : ''}`);
  },
  open,
  close,
  comment,
};

try {
  await tasks[process.argv[2]]();
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(`::${env.SEVERITY ?? 'error'}::${escaped(error.message)}`);
  process.exitCode = 2;
}
