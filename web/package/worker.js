// The worker that everything runs in. It answers requests `{id, call, args}` with `{id, value}` or `{id, error}`, and
// tells of a run by `{event, ...}`.

import load, * as wasm from './pixgrad.js';

/** Pictures are used at most this large: a photo in f32 takes twelve bytes a pixel. */
const LONGEST = 2048;

/** A picture of the run is shown at most this often, and no more than a fifth of the time is spent on it. */
const SHOW_EVERY_MS = 120;

let device;
let pictures;
const networks = new Map();
let current = null;

const lines = (text) => (text === '' ? [] : text.split('\n'));
const send = (message, transfer) => postMessage(message, transfer ?? []);

/** A picture brought to the size at which it is used, as a bitmap. */
async function decoded(name, blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { premultiplyAlpha: 'none' });
  } catch {
    throw new Error(`'${name}' is no picture that this browser can read`);
  }
  const full = { width: bitmap.width, height: bitmap.height };
  const scale = LONGEST / Math.max(full.width, full.height);
  if (scale < 1) {
    const size = (side) => Math.max(1, Math.round(side * scale));
    const options = {
      resizeWidth: size(full.width),
      resizeHeight: size(full.height),
      resizeQuality: 'high',
      premultiplyAlpha: 'none',
    };
    const smaller = await createImageBitmap(bitmap, options);
    bitmap.close();
    bitmap = smaller;
  }
  return { bitmap, full };
}

function pixelsOf(bitmap, width = bitmap.width, height = bitmap.height) {
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** The bytes of a file, telling how far they have come. */
async function fetched(url, tell) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} cannot be fetched: ${response.status} ${response.statusText}`);
  const total = Number(response.headers.get('content-length') ?? 0);
  const parts = [];
  let done = 0;
  for (const reader = response.body.getReader(); ; ) {
    const part = await reader.read();
    if (part.done) break;
    parts.push(part.value);
    done += part.value.length;
    tell(done, Math.max(total, done));
  }
  const bytes = new Uint8Array(done);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function network(name) {
  const found = networks.get(name);
  if (!found) throw new Error(`the network ${name} has not been loaded`);
  return found;
}

/** A recipe of a request, which has a method, or of a recipe object. */
async function recipeOf(asked, model) {
  if (asked.method) return wasm.Recipe.for_method(JSON.stringify(asked), network(model), pictures);
  return wasm.Recipe.of(JSON.stringify(asked));
}

async function show(run, of) {
  const frame = await of.image();
  const { width, height } = frame;
  const rgba = frame.rgba();
  frame.free();
  send({ event: 'image', run, width, height, rgba: rgba.buffer }, [rgba.buffer]);
}

/** Does what was asked for meanwhile; each tells its own failure. */
async function fulfil(state) {
  while (state.wishes.length > 0) await state.wishes.shift()();
}

/** Runs the current run until it is finished, paused or stopped. Nothing else touches it meanwhile: what is asked for
 * is put into `wishes` and done between two slices. */
async function loop(state) {
  const { id, run } = state;
  state.looping = true;
  let shown = 0;
  let cost = 0;
  const tell = (steps) => {
    if (steps !== '[]') send({ event: 'steps', run: id, steps: JSON.parse(steps) });
    return steps !== '[]';
  };
  try {
    send({ event: 'state', run: id, state: 'running' });
    let fresh = false;
    while (!state.stopped && !run.is_finished()) {
      await fulfil(state);
      if (state.paused || state.stopped) break;
      fresh = tell(await run.advance()) || fresh;
      const now = performance.now();
      if (fresh && now - shown > Math.max(SHOW_EVERY_MS, 5 * cost)) {
        tell(await run.settle());
        await show(id, run);
        shown = performance.now();
        cost = shown - now;
        fresh = false;
      }
    }
    tell(await run.settle());
    await show(id, run);
    await fulfil(state);
    const ended = run.is_finished() ? 'finished' : state.stopped ? 'stopped' : 'paused';
    state.looping = false;
    send({ event: 'state', run: id, state: ended });
  } catch (error) {
    await fulfil(state);
    state.looping = false;
    send({ event: 'failed', run: id, message: String(error.message ?? error) });
  }
}

/** Does something with the run, between two slices where it is at work. */
function onRun(id, action) {
  if (!current || current.id !== id) throw new Error('there is no such run any more');
  const state = current;
  if (!state.looping) return action(state);
  return new Promise((resolve, reject) => {
    state.wishes.push(async () => {
      try {
        resolve(await action(state));
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** Ends the current run and frees its memory. */
async function end() {
  const before = current;
  current = null;
  if (!before) return;
  before.stopped = true;
  while (before.looping) await new Promise((next) => setTimeout(next, 5));
  before.run.free();
}

const calls = {
  async open({ cpu }) {
    await load({ module_or_path: new URL('pixgrad_bg.wasm', import.meta.url) });
    device = await wasm.open(cpu);
    pictures = new wasm.Pictures();
    return { ...JSON.parse(device.info()), version: wasm.version() };
  },

  async network({ name, url, id }) {
    if (!networks.has(name)) {
      const tell = (done, total) => send({ event: 'fetching', call: id, done, total });
      networks.set(name, device.network(name, await fetched(url, tell)));
    }
    const found = network(name);
    return { name, classes: lines(found.classes()), layers: lines(found.layers()) };
  },

  async picture({ name, blob }) {
    const { bitmap, full } = await decoded(name, blob);
    const data = pixelsOf(bitmap);
    pictures.add(name, data.width, data.height, data.data);
    return { value: { name, width: data.width, height: data.height, full, bitmap }, transfer: [bitmap] };
  },

  /** A picture of which the central square is brought to a size, as classifiers see it. */
  async square({ name, blob, side }) {
    const { bitmap } = await decoded(name, blob);
    const short = Math.min(bitmap.width, bitmap.height);
    const [x, y] = [(bitmap.width - short) / 2, (bitmap.height - short) / 2];
    const part = await createImageBitmap(bitmap, x, y, short, short, {
      resizeWidth: side,
      resizeHeight: side,
      resizeQuality: 'high',
      premultiplyAlpha: 'none',
    });
    bitmap.close();
    const data = pixelsOf(part);
    pictures.add(name, side, side, data.data);
    return { value: { name, width: side, height: side, bitmap: part }, transfer: [part] };
  },

  forget({ name }) {
    pictures.remove(name);
  },

  async classify({ name, model, top }) {
    return JSON.parse(await network(model).classify(pictures, name, top));
  },

  async recipe({ asked, model }) {
    const recipe = await recipeOf(asked, model);
    const value = { recipe: JSON.parse(recipe.to_json()), terms: lines(recipe.terms()) };
    recipe.free();
    return value;
  },

  async plan({ asked, model }) {
    const recipe = await recipeOf(asked, model);
    try {
      return JSON.parse(recipe.plan(network(model), pictures));
    } finally {
      recipe.free();
    }
  },

  async gradient({ asked, model }) {
    const recipe = await recipeOf(asked, model);
    try {
      return await recipe.gradient(network(model), pictures);
    } finally {
      recipe.free();
    }
  },

  read({ name, bytes }) {
    const recipe = wasm.Recipe.in_picture(name, new Uint8Array(bytes));
    const value = { recipe: JSON.parse(recipe.to_json()), model: recipe.model(), pictures: lines(recipe.pictures()) };
    recipe.free();
    return value;
  },

  async run({ run, asked, model, checkpoint }) {
    await end();
    const recipe = await recipeOf(asked, model);
    try {
      const made = checkpoint
        ? await recipe.resume(network(model), pictures, new Uint8Array(checkpoint))
        : await recipe.compile(network(model), pictures);
      current = { id: run, run: made, wishes: [], paused: false, stopped: false, looping: false };
      return { terms: lines(recipe.terms()), recipe: JSON.parse(recipe.to_json()) };
    } finally {
      recipe.free();
    }
  },

  go({ run }) {
    if (!current || current.id !== run) throw new Error('there is no such run any more');
    current.paused = false;
    if (!current.looping) loop(current);
  },

  pause({ run }) {
    return onRun(run, (state) => void (state.paused = true));
  },

  stop({ run }) {
    return onRun(run, (state) => {
      if (!state.looping) send({ event: 'state', run, state: 'stopped' });
      state.stopped = true;
    });
  },

  weight({ run, term, weight }) {
    return onRun(run, (state) => state.run.set_weight(term, weight));
  },

  async png({ run }) {
    return onRun(run, async (state) => {
      await state.run.settle();
      const bytes = await state.run.png();
      return { value: bytes.buffer, transfer: [bytes.buffer] };
    });
  },

  async checkpoint({ run }) {
    return onRun(run, async (state) => {
      await state.run.settle();
      const bytes = await state.run.checkpoint();
      return { value: bytes.buffer, transfer: [bytes.buffer] };
    });
  },

  /** Keeps the run's image as a picture, to be classified for example. */
  async keep({ run, name }) {
    return onRun(run, async (state) => {
      await state.run.settle();
      const frame = await state.run.image();
      pictures.add(name, frame.width, frame.height, frame.rgba());
      frame.free();
    });
  },

  async free({ run }) {
    if (current?.id === run) await end();
  },

  /** Runs a kernel call of the tests. */
  async replay({ bytes }) {
    const answer = await device.replay(new Uint8Array(bytes));
    return { value: answer.buffer, transfer: [answer.buffer] };
  },

  /** Measures the device with networks that are loaded. */
  async bench({ models, host, id }) {
    await end();
    const tell = (stage) => send({ event: 'stage', call: id, stage });
    // `wgpu` tells only the description, which most browsers leave empty.
    const info = (await navigator.gpu.requestAdapter())?.info ?? {};
    const adapter = ['vendor', 'architecture', 'device', 'description'].map((part) => info[part] ?? '');
    const shares = models.map((name) => network(name).share());
    return JSON.parse(await device.bench(shares, host, adapter, info.isFallbackAdapter ?? false, tell));
  },

  allocated() {
    return [...device.allocated()];
  },

  destroy() {
    device.destroy();
  },
};

onmessage = async ({ data: { id, call, args } }) => {
  try {
    const answer = await calls[call]({ ...args, id });
    if (answer?.transfer) send({ id, value: answer.value }, answer.transfer);
    else send({ id, value: answer });
  } catch (error) {
    send({ id, error: String(error?.message ?? error) });
  }
};
