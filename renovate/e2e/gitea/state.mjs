// What the fake Gitea remembers: in memory, and after every change as STATE/*.json for whoever looks afterwards.
import fs from 'node:fs';
import path from 'node:path';

export const BOT = {
  id: 1, login: 'renovate-bot', username: 'renovate-bot', full_name: 'Renovate Bot', email: 'renovate-bot@example.invalid',
};

const now = () => new Date().toISOString();

export class State {
  pulls = {};
  issues = {};
  comments = {};
  lineComments = {};
  statuses = {};
  #folder;
  #nextId = 1;

  constructor(folder) {
    this.#folder = folder;
    fs.mkdirSync(folder, { recursive: true });
  }

  save() {
    const { pulls, issues, comments, lineComments, statuses } = this;
    for (const [name, data] of Object.entries({ pulls, issues, comments, lineComments, statuses })) {
      fs.writeFileSync(path.join(this.#folder, `${name}.json`), JSON.stringify(data, null, 2));
    }
  }

  id() {
    return this.#nextId++;
  }

  /** The list kept under a key of one of the maps. */
  list(map, key) {
    return (map[key] ??= []);
  }

  /** An issue or pull request as it is opened. */
  thread(body, extra = {}) {
    const id = this.id();
    return {
      id, number: id, state: 'open', title: body.title, body: body.body ?? '', labels: [], assignees: [],
      created_at: now(), updated_at: now(), user: BOT, ...extra,
    };
  }

  patch(thread, body) {
    for (const key of ['title', 'body', 'state']) if (body[key] !== undefined) thread[key] = body[key];
    thread.updated_at = now();
    if (thread.state === 'closed') thread.closed_at ??= now();
    return thread;
  }

  merged(pull) {
    const closed_at = pull.closed_at ?? now();
    Object.assign(pull, { state: 'closed', merged: true, closed_at, updated_at: closed_at });
  }
}
