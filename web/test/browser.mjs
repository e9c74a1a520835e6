// Headless Chromium with SwiftShader on the page in web/dist, and the words that the tests use.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const dist = path.join(root, 'web/dist');

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
};

/** The folder of the kernel calls that the tests ask, where they ask any. */
export const calls = process.env.PIXGRAD_CALLS;

/** Serves web/dist on a free port of this machine; under /calls/ the kernel calls, and takes the answers to them. */
async function serve() {
  const server = http.createServer((request, response) => {
    const name = new URL(request.url, 'http://localhost').pathname;
    if (calls && request.method === 'PUT' && /^\/calls\/[0-9a-f]{32}\.answer$/.test(name)) {
      const file = fs.createWriteStream(path.join(calls, path.basename(name)));
      request.pipe(file).on('finish', () => response.writeHead(204).end());
      return;
    }
    const file =
      name.startsWith('/calls/') && calls
        ? path.join(calls, path.basename(name))
        : path.join(dist, name === '/' ? 'index.html' : name);
    if (!(file.startsWith(dist) || (calls && file.startsWith(calls))) || !fs.existsSync(file))
      return void response.writeHead(404).end();
    const bytes = fs.readFileSync(file);
    const type = TYPES[path.extname(file)] ?? 'application/octet-stream';
    response.writeHead(200, { 'content-type': type, 'content-length': bytes.length }).end(bytes);
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  return server;
}

/** A browser with its server, and a folder for files; all of it ends with `close`. */
export async function open({ webgpu = true } = {}) {
  const server = await serve();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pixgrad-web-'));
  const flags = webgpu ? ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'] : [];
  const browser = await chromium.launch({
    executablePath: process.env.PIXGRAD_CHROMIUM ?? '/usr/bin/chromium',
    args: [...flags, '--no-sandbox'],
  });
  const close = async () => {
    await browser.close();
    server.close();
    fs.rmSync(folder, { recursive: true });
  };
  return { browser, folder, url: `http://127.0.0.1:${server.address().port}/`, close };
}

/** The page, opened, with what must never happen kept in `page.faults`. */
export async function visit(session, { quiet = false, ...options } = {}) {
  const context = await session.browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(`an error nobody caught: ${error.message}`));
  page.on('console', (message) => {
    // What the browser itself says of WebGPU is no fault of the page.
    const text = message.text();
    if (message.type() === 'error' && !/WebGPU|GPU|powerPreference/.test(text))
      page.faults.push(`the console: ${text}`);
  });
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(session.url) && !/^(blob|data):/.test(url)) page.faults.push(`it loads ${url}`);
  });
  await page.addInitScript(() => {
    const tasks = [];
    const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries()));
    observer.observe({ type: 'longtask', buffered: true });
    /** The milliseconds of the longest task since the last call; 0 where none took 50. */
    globalThis.longestTask = () => {
      tasks.push(...observer.takeRecords());
      return Math.max(0, ...tasks.splice(0).map(({ duration }) => duration));
    };
  });
  // A new window loads pages of the browser's own, which take the processor from this one for a while.
  if (quiet) await delay(2000);
  await page.goto(session.start ?? session.url);
  return page;
}

/** The longest task of the main thread since the page was opened, in ms, without what the tests' own script takes. */
export async function startedIn(page) {
  await delay(2000);
  // The first evaluation brings the script of playwright, 300 KB, which is a task of its own.
  const longest = await page.evaluate(() => longestTask());
  await page.evaluate(() => longestTask());
  return longest;
}

/**
 * No task of the main thread takes 100 ms, where `act` gives the longest one in milliseconds. Other work of the machine
 * only makes tasks longer, so `act` is asked up to three times.
 */
export async function neverBlocked(act) {
  const all = [];
  do all.push(await act());
  while (all.at(-1) >= 100 && all.length < 3);
  console.log(`    longest task of the main thread: ${all.join(', ')} ms`);
  assert(all.at(-1) < 100, `the page was blocked for ${all.join(', ')} ms`);
}

export const ready = (page) =>
  page.waitForFunction(() => globalThis.pixgrad && !document.getElementById('open').disabled);

/** Turns a slider. */
export const turn = (page, label, value) =>
  page.getByLabel(label, { exact: true }).evaluate((input, to) => {
    input.value = to;
    input.dispatchEvent(new Event('input', { bubbles: true }));
  }, value);

/** Sets the size, one of those that the slider has, and the iterations of each scale. */
export async function small(page, size, iterations) {
  const sizes = await page.evaluate(async () => {
    const { METHODS } = await import('./methods.js');
    const chosen = document.querySelector('[role="tab"][aria-selected="true"]').id.slice('tab-'.length);
    return METHODS[chosen].knobs.find(({ id }) => id === 'size').values;
  });
  await turn(page, 'Size', sizes.indexOf(size));
  await turn(page, 'Iterations of each scale', iterations);
}

export const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
export const tab = (page, name) => page.getByRole('tab', { name }).click();
export const until = (page, state) => page.waitForFunction((wanted) => document.body.dataset.run === wanted, state);
export const message = (page) => page.locator('#message p').textContent();

/** Drops a file onto the page. */
export async function drop(page, file, type) {
  const bytes = fs.readFileSync(file).toString('base64');
  await page.evaluate(
    ({ bytes, name, type }) => {
      const data = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([data], name, { type }));
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
    },
    { bytes, name: path.basename(file), type },
  );
}

/** Saves the picture into the folder. */
export async function save(page, folder, name) {
  const [download] = await Promise.all([page.waitForEvent('download'), press(page, 'Save PNG')]);
  const file = path.join(folder, name);
  await download.saveAs(file);
  return file;
}

/** The command line tool, which must succeed. */
export function pixgrad(...args) {
  const binary = process.env.PIXGRAD_BINARY ?? path.join(root, 'target/release/pixgrad');
  const ran = spawnSync(binary, args, { cwd: path.join(root, 'samples/images'), encoding: 'utf8' });
  if (ran.status !== 0) throw new Error(`pixgrad ${args.join(' ')}: ${ran.stderr}`);
  return ran.stdout;
}

/** The peak signal-to-noise ratio of two picture files, in dB. */
export async function psnr(page, a, b) {
  const files = [a, b].map((file) => fs.readFileSync(file).toString('base64'));
  return page.evaluate(async (files) => {
    const [one, other] = await Promise.all(
      files.map(async (file) => {
        const bytes = Uint8Array.from(atob(file), (c) => c.charCodeAt(0));
        const bitmap = await createImageBitmap(new Blob([bytes]));
        const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
        context.drawImage(bitmap, 0, 0);
        return context.getImageData(0, 0, bitmap.width, bitmap.height);
      }),
    );
    if (one.width !== other.width || one.height !== other.height) throw new Error('two sizes');
    let sum = 0;
    for (let i = 0; i < one.data.length; i += 1) if (i % 4 < 3) sum += (one.data[i] - other.data[i]) ** 2;
    return 10 * Math.log10((255 ** 2 * one.width * one.height * 3) / Math.max(sum, 1e-9));
  }, files);
}
