// The first click, sliders, pauses, files: what people do.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { dist, drop, neverBlocked, press, ready, save, small, startedIn, tab, turn, until, visit } from './browser.mjs';

/** Keeps every step that the runs of the page tell. */
const listen = (page) =>
  page.evaluate(() => {
    globalThis.steps = [];
    globalThis.begun = 0;
    const run = pixgrad.run.bind(pixgrad);
    pixgrad.run = async (asked, model, options) => {
      globalThis.begun += 1;
      const { on } = options;
      const heard = (all) => {
        globalThis.steps.push(...all);
        on.steps(all);
      };
      return run(asked, model, { ...options, on: { ...on, steps: heard } });
    };
  });

export async function the_module_is_small() {
  const module = fs.readFileSync(path.join(dist, 'package/pixgrad_bg.wasm'));
  const packed = zlib.gzipSync(module, { level: 9 }).length;
  assert(packed <= 4e6, `${packed} bytes gzipped`);
}

export async function the_first_click_paints_the_sample(session) {
  await neverBlocked(async () => {
    const page = await visit(session, { quiet: true });
    const start = await startedIn(page);
    await ready(page);
    await listen(page);
    await small(page, 64, 12);
    await press(page, 'Paint the sample');
    await until(page, 'finished');
    const losses = await page.evaluate(() => steps.map((step) => step.loss));
    assert.equal(losses.length, 12);
    assert(losses.at(-1) < 0.5 * losses[0], `${losses}`);
    const shown = await page.locator('#canvas').evaluate((canvas) => [canvas.width, canvas.height]);
    assert.deepEqual(shown, [64, 43]);
    assert.match(await page.locator('#fit').textContent(), /64 × 43 fits: \d+ MiB/);
    assert.deepEqual(page.faults, []);
    const run = await page.evaluate(() => longestTask());
    await page.context().close();
    return Math.max(start, run);
  });
}

export async function a_slider_acts_on_the_run(session) {
  const page = await visit(session);
  await ready(page);
  await listen(page);
  await small(page, 64, 400);
  await press(page, 'Paint the sample');
  await page.waitForFunction(() => steps.length >= 3);
  await press(page, 'Pause');
  await until(page, 'paused');
  const before = await page.evaluate(() => steps.length);
  // Sixteen times the weight of the photo.
  await turn(page, 'Photo', 4);
  await press(page, 'Go on');
  await page.waitForFunction((n) => steps.length > n, before);
  const all = await page.evaluate(() => steps.map((step) => step.terms[0]));
  assert(all[before] > 8 * all[before - 1], `${all}`);
  assert.equal(await page.evaluate(() => begun), 1, 'nothing was restarted');
  await page.waitForFunction((n) => steps.length > n + 2, before);
  await press(page, 'Stop');
  await until(page, 'stopped');
  const iterations = await page.evaluate(() => steps.map((step) => step.iteration));
  assert.deepEqual(
    iterations,
    iterations.map((_, i) => i),
    'each iteration once',
  );
  assert(iterations.length < 400);
  assert.deepEqual(page.faults, []);
}

export async function a_saved_picture_repeats_itself(session) {
  const page = await visit(session);
  await ready(page);
  await tab(page, 'Texture');
  await small(page, 48, 4);
  await press(page, 'Weave the sample');
  await until(page, 'finished');
  const first = await save(page, session.folder, 'first.png');
  const other = await visit(session);
  await ready(other);
  const [chooser] = await Promise.all([other.waitForEvent('filechooser'), press(other, 'Open')]);
  await chooser.setFiles(first);
  await other.waitForFunction(() => /carries its recipe/.test(document.querySelector('#message p').textContent));
  await press(other, 'Paint');
  await until(other, 'finished');
  const again = await save(other, session.folder, 'again.png');
  const recipe = (file) =>
    page.evaluate(async (bytes) => {
      const file = new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], 'x.png');
      return (await pixgrad.read(file)).recipe;
    }, fs.readFileSync(file).toString('base64'));
  assert.deepEqual(await recipe(again), await recipe(first));
  assert(fs.readFileSync(again).equals(fs.readFileSync(first)), 'the same picture');
  assert.deepEqual([...page.faults, ...other.faults], []);
}

export async function a_run_that_ends_gives_its_memory_back(session) {
  const page = await visit(session);
  await ready(page);
  const [between, after] = await page.evaluate(async () => {
    const model = 'squeezenet1_1';
    await pixgrad.network(model);
    await pixgrad.picture('brick.png', await (await fetch('samples/brick.png')).blob());
    const asked = { method: 'texture', styles: ['brick.png'], size: 48, iterations: 2 };
    const once = async () => {
      const state = Promise.withResolvers();
      const run = await pixgrad.run(asked, model, {
        on: { state: (now) => now === 'finished' && state.resolve(), failed: state.reject },
      });
      await run.go();
      await state.promise;
      await run.free();
      return (await pixgrad.allocated())[0];
    };
    return [await once(), await once()];
  });
  assert.equal(after, between, 'only the network stays');
}

export async function an_attack_changes_what_the_network_sees(session) {
  const page = await visit(session);
  await ready(page);
  await tab(page, 'Attack');
  await small(page, 96, 6);
  await press(page, 'Attack the sample');
  await until(page, 'finished');
  await page.getByLabel('The change, magnified').waitFor();
  const [before, after] = await page
    .locator('#found table')
    .evaluateAll((all) => all.map((table) => table.rows[0].cells[0].textContent));
  assert.notEqual(before, after);
  assert.deepEqual(page.faults, []);
}

export async function a_file_that_is_no_picture_and_one_that_is_large(session) {
  const page = await visit(session);
  await ready(page);
  const text = path.join(session.folder, 'notes.txt');
  fs.writeFileSync(text, 'no picture');
  await drop(page, text, 'text/plain');
  await page.waitForFunction(() => /'notes.txt' is no picture/.test(document.querySelector('#message p').textContent));
  // 8000 × 5000 pixels, made by the browser.
  await neverBlocked(() =>
    page.evaluate(async () => {
      document.getElementById('dismiss').click();
      const canvas = new OffscreenCanvas(8000, 5000);
      canvas.getContext('2d').fillRect(100, 100, 4000, 2000);
      const file = new File([await canvas.convertToBlob({ type: 'image/jpeg' })], 'huge.jpg', { type: 'image/jpeg' });
      const transfer = new DataTransfer();
      transfer.items.add(file);
      longestTask();
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
      const box = document.getElementById('message');
      const told = /huge.jpg has 8000 × 5000 pixels; it is used at 2048 × 1280/;
      while (box.hidden || !told.test(box.textContent)) await new Promise((go) => setTimeout(go, 20));
      // Until the picture is drawn.
      await new Promise((go) => setTimeout(go, 500));
      return longestTask();
    }),
  );
  assert.deepEqual(page.faults, []);
}
