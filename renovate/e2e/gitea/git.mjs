// The repositories: bare ones in ROOT/<owner>/<name>.git, asked with git and served over smart HTTP.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

export class Repositories {
  #root;

  constructor(root) {
    this.#root = path.resolve(root);
  }

  has(repo) {
    return /^[\w.-]+\/[\w.-]+$/.test(repo) && !repo.includes('..') && fs.existsSync(this.#folder(repo));
  }

  #folder(repo) {
    return path.join(this.#root, `${repo}.git`);
  }

  #git(repo, ...args) {
    const options = { maxBuffer: 64 << 20, stdio: ['ignore', 'pipe', 'ignore'] };
    return execFileSync('git', ['--git-dir', this.#folder(repo), ...args], options);
  }

  #attempt(...args) {
    try {
      return this.#git(...args);
    } catch {
      return null;
    }
  }

  /** The commit that a name stands for, or null. */
  commit(repo, ref) {
    return this.#attempt(repo, 'rev-parse', '--verify', `${ref}^{commit}`)?.toString().trim() ?? null;
  }

  file(repo, ref, name) {
    return this.#attempt(repo, 'show', `${ref}:${name}`);
  }

  /** The commits of `head` that `base` does not have, newest first, as the API shows them. */
  between(repo, base, head) {
    const lines = this.#git(repo, 'log', '--format=%H %T %ae %P', `${base}..${head}`).toString().split('\n').filter(Boolean);
    return lines.map((line) => {
      const [sha, tree, email, ...parents] = line.split(' ');
      return { sha, commit: { author: { email }, tree: { sha: tree } }, parents: parents.map((parent) => ({ sha: parent })) };
    });
  }

  /** What `head` changes since it left `base`. */
  files(repo, base, head) {
    const names = this.#git(repo, 'diff', '--name-only', '-z', `${base}...${head}`).toString().split('\0').filter(Boolean);
    return names.map((filename) => ({ filename, patch: this.#git(repo, 'diff', `${base}...${head}`, '--', filename).toString().replace(/^[^]*?(?=^@@)/m, '') }));
  }

  /** What GitHub calls an archive: a branch's, a tag's or a commit's files in one folder. */
  archive(repo, ref) {
    const name = repo.split('/')[1];
    return this.#attempt(repo, 'archive', '--format=tar.gz', `--prefix=${name}-${ref.replaceAll('/', '-')}/`, ref);
  }

  tags(repo) {
    const format = '--format=%(refname:short) %(objectname) %(creatordate:iso-strict)';
    const lines = this.#git(repo, 'for-each-ref', format, 'refs/tags').toString().split('\n').filter(Boolean);
    return lines.map((line) => line.split(' ')).map(([name, commit, date]) => ({ name, commit, date }));
  }

  contains(repo, branch, commit) {
    return this.#attempt(repo, 'merge-base', '--is-ancestor', commit, branch) !== null;
  }

  /** Answers a request of a git client through `git http-backend`. */
  serve(request, response, url, body) {
    const { headers } = request;
    const env = {
      PATH: process.env.PATH, HOME: this.#root, GIT_CONFIG_NOSYSTEM: '1',
      GIT_PROJECT_ROOT: this.#root, GIT_HTTP_EXPORT_ALL: '1', REMOTE_USER: 'renovate-bot', REMOTE_ADDR: '127.0.0.1',
      REQUEST_METHOD: request.method, PATH_INFO: decodeURIComponent(url.pathname), QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: headers['content-type'] ?? '', CONTENT_LENGTH: String(body.length),
      HTTP_CONTENT_ENCODING: headers['content-encoding'] ?? '', GIT_PROTOCOL: headers['git-protocol'] ?? '',
    };
    const backend = spawn('git', ['http-backend'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    const chunks = [];
    backend.stdout.on('data', (chunk) => chunks.push(chunk));
    backend.stdin.on('error', () => {}); // it may answer without having read everything
    backend.stdin.end(body);
    backend.on('close', () => answer(response, Buffer.concat(chunks)));
  }
}

/** Passes on what a CGI program wrote. */
function answer(response, output) {
  const end = output.indexOf('\r\n\r\n');
  if (end < 0) return response.writeHead(500).end();
  let status = 200;
  const headers = {};
  for (const line of output.subarray(0, end).toString('latin1').split('\r\n')) {
    const [, key, value] = /^([^:]+):\s*(.*)$/.exec(line) ?? [];
    if (key?.toLowerCase() === 'status') status = Number.parseInt(value, 10);
    else if (key) headers[key] = value;
  }
  return response.writeHead(status, headers).end(output.subarray(end + 4));
}
