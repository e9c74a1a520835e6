// The page of `pixgrad serve`: runs on the server, seen in any number of tabs.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {
  drop,
  message,
  pixgrad as native,
  press,
  ready,
  root,
  save,
  small,
  tab,
  turn,
  until,
  visit,
} from './browser.mjs';

const binary = process.env.PIXGRAD_BINARY ?? path.join(root, 'target/release/pixgrad');
const samples = path.join(root, 'samples/images');

/** Starts the tool; the address it tells is in the first line that matches. It is killed when the action is over. */
async function started(args, cwd, action) {
  const child = spawn(binary, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = () => child.kill('SIGKILL');
  process.on('exit', kill);
  const ended = new Promise((resolve) => child.on('exit', (code) => resolve(code)));
  try {
    const url = await new Promise((resolve, reject) => {
      let told = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (text) => {
          told += text;
          const found = /http:\/\/\S+\n/.exec(told);
          if (found) resolve(found[0].trim());
        });
      }
      ended.then((code) => reject(new Error(`it ended with ${code}: ${told}`)));
    });
    return await action({ url, child, ended });
  } finally {
    kill();
    await ended;
    process.off('exit', kill);
  }
}

/** A server with a folder of its own. */
function served(session, action, ...args) {
  const cwd = fs.mkdtempSync(path.join(session.folder, 'serve-'));
  const outputs = path.join(cwd, 'out');
  return started(
    ['serve', '--device', 'cpu', '-o', outputs, ...(args.includes('--port') ? [] : ['--port', '0']), ...args],
    cwd,
    (server) =>
      action({
        ...server,
        outputs: () => (fs.existsSync(outputs) ? fs.readdirSync(outputs).map((name) => path.join(outputs, name)) : []),
        run: async (number) => (await fetch(`${server.url}api/runs/${number}`)).json(),
      }),
  );
}

const open = (session, server) => visit({ ...session, url: server.url.replace(/\?.*/, ''), start: server.url });

/** How many pictures of runs the page has fetched. */
const pictures = (page) =>
  page.waitForFunction(
    () => performance.getEntriesByType('resource').filter(({ name }) => /\/image\?n=/.test(name)).length >= 3,
  );

/** A size, and more iterations than any test waits for. */
async function endless(page, size) {
  await page.getByLabel('Iterations of each scale').evaluate((input) => {
    input.max = 1e6;
  });
  await small(page, size, 1e6);
}

/** Waits until the server says something. */
async function eventually(question) {
  for (const end = Date.now() + 60_000; Date.now() < end;) {
    if (await question()) return;
    await new Promise((next) => setTimeout(next, 50));
  }
  throw new Error('it never came');
}

export const two_tabs_watch_a_run_of_the_server_turn_and_stop_it = (session) =>
  served(session, async (server) => {
    const first = await open(session, server);
    await ready(first);
    await endless(first, 64);
    await press(first, 'Paint the sample');
    await until(first, 'running');
    const second = await open(session, server);
    await until(second, 'running');
    await Promise.all([pictures(first), pictures(second)]);
    const sizes = await Promise.all(
      [first, second].map((page) => page.locator('#canvas').evaluate(({ width, height }) => [width, height])),
    );
    assert.deepEqual(sizes, [
      [64, 43],
      [64, 43],
    ]);
    // Sixteen times the weight of the photo.
    await turn(first, 'Photo', 4);
    await eventually(
      async () => (await server.run(1)).recipe.term.find(({ kind }) => kind === 'content').weight === 16,
    );
    await press(second, 'Stop');
    await Promise.all([until(first, 'stopped'), until(second, 'stopped')]);
    const [file, ...others] = server.outputs();
    assert.match(path.basename(file), /^style-\d{8}-\d{6}-1\.png$/);
    assert.deepEqual(others, []);
    assert.match(native('show', file), /weight = 16/);
    const saved = await save(second, session.folder, 'served.png');
    assert(fs.readFileSync(saved).equals(fs.readFileSync(file)), 'the same picture');
    assert.deepEqual([...first.faults, ...second.faults], []);
  });

export const a_run_goes_on_without_a_page_and_another_waits = (session) =>
  served(session, async (server) => {
    const page = await open(session, server);
    await ready(page);
    await tab(page, 'Texture');
    await endless(page, 48);
    await drop(page, path.join(samples, 'brick.png'), 'image/png');
    await page.getByText('brick.png').waitFor();
    await press(page, 'Weave');
    await until(page, 'running');
    // Another one, which waits.
    await small(page, 48, 3);
    await press(page, 'Weave');
    await until(page, 'queued');
    await page.close();
    assert.equal((await server.run(1)).state, 'running');
    assert.equal((await server.run(2)).state, 'queued');
    await fetch(`${server.url}api/runs/1/stop`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    await eventually(async () => (await server.run(2)).state === 'finished');
    assert.equal(server.outputs().length, 2);
    const later = await open(session, server);
    await later.getByRole('button', { name: /2 · texture/ }).click();
    await until(later, 'finished');
    assert.equal(await later.locator('#canvas').evaluate(({ width }) => width), 48);
    assert.deepEqual(later.faults, []);
  });

export const a_pause_and_an_attack_on_the_server = (session) =>
  served(session, async (server) => {
    const page = await open(session, server);
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
    await tab(page, 'Dream');
    await endless(page, 96);
    await press(page, 'Dream');
    await until(page, 'running');
    await press(page, 'Pause');
    await until(page, 'paused');
    const { steps } = await server.run(2);
    await page.waitForTimeout(300);
    assert.equal((await server.run(2)).steps.length, steps.length);
    await press(page, 'Go on');
    await until(page, 'running');
    await press(page, 'Stop');
    await until(page, 'stopped');
    const text = path.join(session.folder, 'served.txt');
    fs.writeFileSync(text, 'no picture');
    await drop(page, text, 'text/plain');
    await page.waitForFunction(() => /'served.txt'/.test(document.querySelector('#message p').textContent));
    assert.match(await message(page), /served.txt/);
    // The refusal is the only thing that the console tells.
    assert(
      page.faults.every((fault) => /400/.test(fault)),
      `${page.faults}`,
    );
  });

export const a_server_that_is_started_anew_is_found_again = (session) => {
  const begin = (port, action) => served(session, action, '--port', String(port));
  return begin(0, async (first) => {
    const page = await open(session, first);
    await ready(page);
    await endless(page, 48);
    await press(page, 'Paint the sample');
    await until(page, 'running');
    first.child.kill('SIGKILL');
    await first.ended;
    await page.waitForFunction(() => document.body.dataset.lost === 'yes');
    assert.match(await message(page), /does not answer/);
    await begin(new URL(first.url).port, async (second) => {
      await until(page, 'failed');
      assert.match(await message(page), /started anew/);
      await page.waitForFunction(() => document.body.dataset.lost === 'no');
      // The pictures are given again.
      await small(page, 48, 3);
      await press(page, 'Paint');
      await until(page, 'finished');
      assert.equal(second.outputs().length, 1);
    });
  });
};

export const a_page_at_any_address_needs_the_token_once = (session) =>
  served(
    session,
    async (server) => {
      assert.match(server.url, /\/\?token=[0-9a-f]{32}$/);
      const page = await open(session, server);
      await ready(page);
      assert(!page.url().includes('token'));
      await page.reload();
      await ready(page);
      assert.deepEqual(page.faults, []);
      const stranger = await fetch(server.url.replace(/\?.*/, ''));
      assert.equal(stranger.status, 401);
    },
    '--host',
    '0.0.0.0',
  );

export const a_command_is_watched_and_stopped = (session) => {
  const made = path.join(session.folder, 'watched.png');
  const args = [
    'style',
    'chelsea.png',
    'starry_night.jpg',
    '--size',
    '64',
    '--min-size',
    '64',
    '-i',
    '100000',
    '--device',
    'cpu',
    '--serve=0',
    '-o',
    made,
  ];
  return started(args, samples, async (command) => {
    const page = await open(session, command);
    await until(page, 'running');
    await pictures(page);
    assert(!(await page.locator('#panel').isVisible()));
    await press(page, 'Stop');
    await until(page, 'stopped');
    assert.equal(await command.ended, 130);
    assert.match(native('show', made), /squeezenet1_1/);
    const own = page.faults.filter((fault) => !/ERR_|EventSource/.test(fault));
    assert.deepEqual(own, []);
  });
};
