// Runs the tests one after the other in one browser; `node run.mjs NAME` runs those whose names contain NAME.

import { open } from './browser.mjs';
import * as paint from './paint.mjs';
import * as native from './native.mjs';
import * as faults from './faults.mjs';
import * as serve from './serve.mjs';
import * as bench from './bench.mjs';
import * as kernels from './kernels.mjs';

const tests = Object.entries({ ...paint, ...native, ...faults, ...serve, ...bench, ...kernels });
const wanted = process.argv[2] ?? '';
const chosen = tests.filter(([name]) => name.includes(wanted));
if (chosen.length === 0) {
  console.error(`no test has '${wanted}' in its name: ${tests.map(([name]) => name).join(', ')}`);
  process.exit(2);
}
let failed = 0;
const session = await open();
try {
  for (const [name, test] of chosen) {
    const begun = Date.now();
    let told = 'ok';
    try {
      await test(session);
    } catch (error) {
      failed += 1;
      told = `FAILED\n${error.stack}`;
    }
    for (const context of session.browser.contexts()) await context.close();
    console.log(`test ${name} ... ${told} (${((Date.now() - begun) / 1e3).toFixed(1)} s)`);
  }
} finally {
  await session.close();
}
console.log(`${chosen.length - failed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
