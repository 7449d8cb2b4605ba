// Checks a TypeScript program strictly, and runs it. Node's own type stripping is newer than some
// of the versions that are tested with.

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { pathToFileURL } from 'node:url';

const folder = process.env.CONSENTRY_TEST_NODE_DIR;
const ts = createRequire(join(folder, 'package.json'))('typescript');
const source = process.argv[2];
const options = {
  module: ts.ModuleKind.ESNext,
  moduleDetection: ts.ModuleDetectionKind.Force,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  noEmit: true,
  strict: true,
  target: ts.ScriptTarget.ES2022,
  typeRoots: [join(folder, 'node_modules/@types')],
  types: ['node'],
};
const problems = ts.getPreEmitDiagnostics(ts.createProgram([source], options));
for (const problem of problems) {
  console.error(ts.flattenDiagnosticMessageText(problem.messageText, '\n'));
}
if (problems.length > 0) process.exit(1);
const text = ts.transpileModule(readFileSync(source, 'utf8'), { compilerOptions: options });
const program = join(mkdtempSync(join(tmpdir(), 'program-')), 'program.mjs');
writeFileSync(program, text.outputText);
await import(pathToFileURL(program));
