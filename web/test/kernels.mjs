// The kernel calls of the tests, in the browser: each is run, and its answer goes beside it. The tests then compare.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { calls, ready, visit } from './browser.mjs';

/** Calls between two looks at the page. */
const BATCH = 50;

export async function every_kernel_call_is_answered(session) {
  if (!calls) return void console.log('no kernel calls: cargo xtask web --test asks them');
  const page = await visit(session);
  await ready(page);
  const names = fs
    .readdirSync(calls)
    .filter((name) => name.endsWith('.call'))
    .sort();
  assert.ok(names.length > 100, `${names.length} calls`);
  let refused = 0;
  for (let at = 0; at < names.length; at += BATCH) {
    refused += await page.evaluate(
      async (names) => {
        const { Pixgrad } = await import('./package/index.js');
        let refused = 0;
        for (const name of names) {
          const bytes = await (await fetch(`calls/${name}`)).arrayBuffer();
          let answer;
          try {
            answer = await globalThis.pixgrad.call('replay', { bytes }, { transfer: [bytes] });
          } catch (error) {
            refused += 1;
            answer = `cannot:${error.message}`;
            // What a device has refused once it tells of every later call.
            globalThis.pixgrad.close();
            globalThis.pixgrad = await Pixgrad.open();
          }
          const put = await fetch(`calls/${name.replace('.call', '.answer')}`, { method: 'PUT', body: answer });
          if (!put.ok) throw new Error(`${name}: ${put.status}`);
        }
        return refused;
      },
      names.slice(at, at + BATCH),
    );
  }
  console.log(`${names.length} kernel calls, of which ${refused} need what this adapter does not have`);
}
