// What can go wrong: no WebGPU, a lost device. Each is a message on the page.

import assert from 'node:assert/strict';
import { message, press, ready, small, until, visit } from './browser.mjs';

export async function without_webgpu_the_page_says_how_to_switch_it_on(session) {
  const page = await visit(session, {});
  await page.addInitScript(() => Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined }));
  await page.reload();
  await page.waitForFunction(() => !document.getElementById('message').hidden);
  assert.match(await message(page), /has no WebGPU.*\n.*(Chrome|Edge|Firefox|Safari)/);
  assert(await page.getByRole('button', { name: 'Paint', exact: true }).isDisabled());
}

export async function a_device_that_is_lost_is_told_and_another_is_opened(session) {
  const page = await visit(session);
  await ready(page);
  await small(page, 64, 200);
  await press(page, 'Paint the sample');
  await page.waitForFunction(
    () => document.body.dataset.run === 'running' && document.getElementById('progress').value > 0,
  );
  await page.evaluate(() => {
    globalThis.before = pixgrad;
    pixgrad.call('destroy');
  });
  await page.waitForFunction(() => /The GPU was lost/.test(document.querySelector('#message p').textContent));
  await page.waitForFunction(
    () => globalThis.pixgrad !== globalThis.before && !document.getElementById('start').disabled,
  );
  await small(page, 64, 2);
  await press(page, 'Paint');
  await until(page, 'finished');
  assert.deepEqual(page.faults, []);
}
