// forms.mjs: every form of comment in forms.json before the real Renovate's regex manager, with the preset's settings.
// What it finds has to be what the form expects, no more and no less; a version has to be replaceable where it stands;
// and README.md's table has to have the form.
// Needs RENOVATE_HOME (see install.sh). Exit code 0 only if all forms pass.
import fs from 'node:fs';

const home = process.env.RENOVATE_HOME ?? (console.error('RENOVATE_HOME is not set'), process.exit(2));
process.env.LOG_LEVEL ??= 'fatal';
const read = (name) => JSON.parse(fs.readFileSync(new URL(name, import.meta.url), 'utf8'));
const { extractPackageFile } = await import(`${home}/node_modules/renovate/dist/modules/manager/custom/regex/index.js`);
const readme = fs.readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const managers = read('../default.json').customManagers.filter(({ customType }) => customType === 'regex');

const { matchRegexOrGlob } = await import(`${home}/node_modules/renovate/dist/util/string-match.js`);
const sees = ({ managerFilePatterns }, file) => managerFilePatterns.some((pattern) => matchRegexOrGlob(file, pattern));

async function found({ file, lines }) {
  const content = `${lines.join('\n')}\n`;
  const results = await Promise.all(
    managers.filter((manager) => sees(manager, file)).map((manager) => extractPackageFile(content, file, manager)),
  );
  return results.flatMap((result) => result?.deps ?? []);
}

function complaint(form, deps) {
  if (form.expect.length > 0 && !readme.includes(`| ${form.form} |`)) return 'README.md does not show it';
  if (deps.length !== form.expect.length) return `${deps.length} dependencies instead of ${form.expect.length}`;
  for (const [index, expected] of form.expect.entries()) {
    for (const [key, value] of Object.entries(expected)) {
      const got = JSON.stringify(deps[index][key]);
      if (got !== JSON.stringify(value)) return `${key} is ${got} instead of ${JSON.stringify(value)}`;
    }
    const { replaceString, currentValue } = deps[index];
    // Renovate replaces every occurrence in what matched.
    const times = replaceString.split(currentValue).length - 1;
    if (times !== (form.times ?? 1)) return `${currentValue} stands ${times} times in what matched`;
  }
  return null;
}

let failed = 0;
const forms = read('forms.json');
for (const form of forms) {
  const why = complaint(form, await found(form));
  if (why) failed += 1;
  console.log(`${why ? 'FAILED' : 'ok    '} ${form.form}${why ? `: ${why}` : ''}`);
}
console.log(`${forms.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
