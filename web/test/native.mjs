// The page against the command line tool on `cpu`.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { pixgrad as native, press, psnr, ready, save, small, tab, until, visit } from './browser.mjs';

/** Reads a tensor of a safetensors file. */
function tensor(file, name) {
  const bytes = fs.readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length));
  const [begin, end] = header[name].data_offsets;
  return new Float32Array(new Uint8Array(bytes.subarray(8 + length + begin, 8 + length + end)).buffer);
}

/** Chooses samples that are PNG files, which every decoder reads alike. */
async function choose(page, ...labels) {
  for (const label of labels) await press(page, `Sample: ${label}`);
  await page.waitForFunction(() => !document.getElementById('start').disabled);
}

/** What the tool makes of the recipe in a picture of the page. */
async function repeated(page, session, name) {
  const made = await save(page, session.folder, `${name}.png`);
  const again = path.join(session.folder, `${name}-native.png`);
  native('run', made, '-o', again, '--device', 'cpu', '-q');
  return psnr(page, made, again);
}

/** Of two pictures that differ by one step everywhere: 20 · log₁₀ 255. */
export async function the_comparison_sees_a_step(session) {
  const page = await visit(session);
  const files = await page.evaluate(() =>
    Promise.all(
      [10, 11].map(async (value) => {
        const canvas = new OffscreenCanvas(8, 8);
        const context = canvas.getContext('2d');
        context.fillStyle = `rgb(${value} ${value} ${value})`;
        context.fillRect(0, 0, 8, 8);
        return [...new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer())];
      }),
    ),
  );
  const [a, b] = files.map((bytes, i) => {
    const file = path.join(session.folder, `step-${i}.png`);
    fs.writeFileSync(file, Uint8Array.from(bytes));
    return file;
  });
  assert(Math.abs((await psnr(page, a, b)) - 48.13) < 0.01);
}

export async function a_style_comes_out_as_natively(session) {
  const page = await visit(session);
  await ready(page);
  await small(page, 64, 10);
  await choose(page, 'Cat', 'Bricks');
  await press(page, 'Paint');
  await until(page, 'finished');
  const close = await repeated(page, session, 'style');
  assert(close >= 35, `${close} dB`);
  console.log(`    style: ${close.toFixed(1)} dB`);
}

export async function a_dream_comes_out_as_natively(session) {
  const page = await visit(session);
  await ready(page);
  await tab(page, 'Dream');
  await small(page, 64, 3);
  await choose(page, 'Cat');
  await press(page, 'Dream');
  await until(page, 'finished');
  const close = await repeated(page, session, 'dream');
  assert(close >= 35, `${close} dB`);
  console.log(`    dream: ${close.toFixed(1)} dB`);
}

export async function a_gradient_is_that_of_cpu(session) {
  const page = await visit(session);
  await ready(page);
  const gradient = await page.evaluate(async () => {
    const model = 'squeezenet1_1';
    await pixgrad.network(model);
    for (const name of ['chelsea.png', 'gravel.png']) {
      await pixgrad.picture(name, await (await fetch(`samples/${name}`)).blob());
    }
    const asked = {
      model,
      image: { init: 'noise', size: 40 },
      term: [
        { kind: 'content', target: 'chelsea.png', layers: ['fire3/concat'], weight: 2 },
        { kind: 'gram', target: ['gravel.png'], layers: ['relu_conv1', 'fire2/concat'], weight: 1000 },
        { kind: 'tv', weight: 0.5 },
      ],
      optimizer: { kind: 'adam', iterations: 1 },
    };
    return [...(await pixgrad.gradient(asked, model))];
  });
  const recipe = path.join(session.folder, 'gradient.toml');
  fs.writeFileSync(
    recipe,
    `model = "squeezenet1_1"
[image]
init = "noise"
size = 40
[[term]]
kind = "content"
target = "chelsea.png"
layers = ["fire3/concat"]
weight = 2
[[term]]
kind = "gram"
target = ["gravel.png"]
layers = ["relu_conv1", "fire2/concat"]
weight = 1000
[[term]]
kind = "tv"
weight = 0.5
[optimizer]
kind = "adam"
iterations = 1
`,
  );
  for (const name of ['chelsea.png', 'gravel.png'])
    fs.copyFileSync(path.join('../../samples/images', name), path.join(session.folder, name));
  const file = path.join(session.folder, 'gradient.safetensors');
  native('grad', recipe, '-o', file, '--device', 'cpu', '-q');
  const expected = tensor(file, 'gradient');
  assert.equal(gradient.length, expected.length);
  const norm = (values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  const error = norm(gradient.map((value, i) => value - expected[i])) / norm([...expected]);
  assert(norm([...expected]) > 0 && error <= 1e-4, `${error}`);
  console.log(`    gradient: ${error.toExponential(1)}`);
}
