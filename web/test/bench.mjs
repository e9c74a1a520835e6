// The benchmark page.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { pixgrad, press, visit } from './browser.mjs';

export async function the_benchmark_measures_and_gives_a_report_that_the_tool_reads(session) {
  const page = await visit(session);
  await page.getByRole('link', { name: 'Benchmark' }).click();
  await press(page, 'Measure');
  await page.waitForFunction(
    () => !document.getElementById('save').disabled || !document.getElementById('message').hidden,
    null,
    { timeout: 400_000 },
  );
  assert.equal(await page.locator('#message').isHidden(), true, await page.locator('#message').textContent());
  const shown = await page.locator('#results').innerText();
  assert.match(shown, /squeezenet1_1/);
  assert.match(shown, /vgg19/);
  assert.doesNotMatch(shown, /WRONG/);
  const [download] = await Promise.all([page.waitForEvent('download'), press(page, 'Save the results')]);
  const file = path.join(session.folder, 'report.json');
  await download.saveAs(file);
  const report = JSON.parse(fs.readFileSync(file));
  assert.equal(report.schema, 1);
  assert.match(report.host, /Chrom/);
  // Chromium names its software adapter by vendor and architecture.
  assert.match(report.device.name, /swiftshader/i);
  assert.equal(report.software, true);
  assert.match(download.suggestedFilename(), /swiftshader/);
  assert.ok(report.iterations.length >= 2 && report.kernels.length > 10);
  // The tool names the file as the page does, and the row is one of its table.
  const row = pixgrad('bench', 'submit', file, '--output', session.folder);
  assert.ok(fs.existsSync(path.join(session.folder, download.suggestedFilename())), download.suggestedFilename());
  assert.match(row, /webgpu/);
  assert.match(row, /a software adapter/);
  assert.doesNotMatch(row, /WRONG/);
  assert.deepEqual(page.faults, []);
}
