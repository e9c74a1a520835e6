// The page: what people choose, and the run that shows it. It knows an engine only by its calls, see engine.js.

import { Chart } from './chart.js';
import { Easel, magnified } from './easel.js';
import { openEngine, engines } from './engine.js';
import { Knobs } from './knobs.js';
import { METHODS, SAMPLES } from './methods.js';
import { Runs } from './runs.js';

const element = (id) => document.getElementById(id);
const easel = new Easel();
const chart = new Chart(element('chart'), element('legend'));

/** Everything that the page knows. */
const state = {
  engine: null,
  method: 'style',
  /** Pictures that were given: name → { blob, bitmap, width, height }. */
  pictures: new Map(),
  content: null,
  styles: [],
  networks: new Map(),
  run: null,
  runState: 'idle',
  opened: null,
  /** The class before an attack, and the picture that was attacked. */
  seen: null,
};

const runs = new Runs(element('runs'), element('list'), (number) => attempt(() => attach(number)));
const knobs = new Knobs(element('knobs'), { changed: () => later(plan), turned });

// ---- messages

function tell(text, kind = 'error') {
  const box = element('message');
  box.hidden = false;
  box.className = kind === 'error' ? '' : 'note';
  box.querySelector('p').textContent = text;
}

function quiet() {
  element('message').hidden = true;
}

/** Runs what a person asked for; what goes wrong is told on the page. */
async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    tell(String(error.message ?? error));
    return undefined;
  }
}

const HOW_TO = [
  [
    /Firefox/,
    'In Firefox: open about:config and set dom.webgpu.enabled to true. It is on by default in Firefox for Windows and for Macs.',
  ],
  [
    /Edg\//,
    'In Edge: open edge://flags, enable “Unsafe WebGPU Support” on Linux, and switch hardware acceleration on in the settings.',
  ],
  [
    /Chrom/,
    'In Chrome: switch “Use graphics acceleration when available” on in chrome://settings/system. On Linux also enable chrome://flags/#enable-unsafe-webgpu and #enable-vulkan.',
  ],
  [/Safari/, 'In Safari 26 WebGPU is on. In older ones: Develop, Feature Flags, WebGPU.'],
];

function noWebGpu(reason) {
  const found = HOW_TO.find(([browser]) => browser.test(navigator.userAgent));
  const hint = found?.[1] ?? 'Chrome, Edge, Safari 26 and Firefox have WebGPU.';
  tell(`${reason}, and pixgrad paints with it.\n${hint}`);
  element('dot').className = 'dot off';
}

// ---- the engine

async function open() {
  element('dot').className = 'dot';
  state.networks.clear();
  state.run = null;
  setRunState('idle');
  try {
    state.engine = await openEngine(element('device').value);
  } catch (error) {
    state.engine = null;
    if ('served' in document.documentElement.dataset) {
      tell(error.message);
      element('dot').className = 'dot off';
      return enable();
    }
    const reason = navigator.gpu ? `WebGPU does not work here (${error.message})` : 'This browser has no WebGPU';
    noWebGpu(reason);
    enable();
    return;
  }
  globalThis.pixgrad = state.engine;
  state.engine.onruns = (list) => runs.tell(list);
  state.engine.onlost = lost;
  element('dot').className = 'dot on';
  const { name, backend } = state.engine.info;
  const option = element('device').selectedOptions[0];
  if (option && !state.engine.queues) option.textContent = name || (backend === 'webgpu' ? 'WebGPU' : backend);
  // What was given before a device was lost.
  for (const [name, { blob }] of state.pictures) await state.engine.picture(name, blob);
  enable();
}

/** The server of the page answers no more, or again. */
function lost(isLost) {
  if (isLost === (document.body.dataset.lost === 'yes')) return;
  document.body.dataset.lost = isLost ? 'yes' : 'no';
  element('dot').className = isLost ? 'dot off' : 'dot on';
  const words = state.engine?.watchOnly
    ? 'The command has ended, or does not answer.'
    : 'The server does not answer. A run goes on without this page, which tries again by itself.';
  if (isLost) tell(words, 'note');
  else if (element('message').textContent.includes(words)) quiet();
}

async function network(model) {
  if (state.networks.has(model)) return state.networks.get(model);
  const veil = element('veil');
  element('waiting').textContent = `Fetching the network ${model}`;
  const slow = setTimeout(() => (veil.hidden = false), 80);
  try {
    const found = await state.engine.network(model, {
      progress: (done, total) => {
        element('fetching').value = total > 0 ? done / total : 0;
        element('waiting').textContent =
          `Fetching the network ${model}: ${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
      },
    });
    state.networks.set(model, found);
    knobs.setNetwork(found);
    return found;
  } finally {
    clearTimeout(slow);
    veil.hidden = true;
  }
}

// ---- pictures

/** The name of a file as recipes may have it: no place on any disk. */
const plain = (name) =>
  name
    .replace(/[\\/:\p{Cc}]/gu, '_')
    .replace(/^(\.*|-)$/, 'picture')
    .slice(0, 200);

/** Takes a file as the photo or as a painting. */
async function take(file, as, name = plain(file.name)) {
  if (!state.engine) return;
  const { bitmap, width, height, full } = await state.engine.picture(name, file);
  if (full && (full.width !== width || full.height !== height)) {
    tell(`${name} has ${full.width} × ${full.height} pixels; it is used at ${width} × ${height}.`, 'note');
  }
  state.pictures.get(name)?.bitmap.close();
  state.pictures.set(name, { blob: file, bitmap, width, height });
  state.opened = null;
  if (as === 'content') {
    state.content = name;
    if (!busy()) showContent();
  } else if (!state.styles.includes(name)) {
    state.styles.push(name);
  }
  slots();
  enable();
  later(plan);
}

async function takeSample({ name, as }) {
  const response = await fetch(`samples/${name}`);
  if (!response.ok) throw new Error(`the sample ${name} cannot be fetched: ${response.status}`);
  if (as === 'styles') state.styles = [];
  const place = METHODS[state.method].slots.includes(as) ? as : METHODS[state.method].slots[0];
  if (place) await take(await response.blob(), place, name);
}

function showContent() {
  const picture = state.pictures.get(state.content);
  const wanted = METHODS[state.method].slots.includes('content') && picture;
  easel.setBefore(wanted ? picture.bitmap : null);
  easel.clear();
  element('empty').hidden = Boolean(wanted);
}

/** The pictures of the method, with buttons to change them. */
function slots() {
  const labels = {
    content: ['Photo', 'Drop one here, or choose a sample'],
    styles: [state.method === 'texture' ? 'Sample' : 'Painting', 'One or more pictures to paint like'],
  };
  const rows = METHODS[state.method].slots.flatMap((as) => {
    const names = as === 'content' ? [state.content] : [...state.styles, null];
    return names.map((name) => slot(as, name, labels[as]));
  });
  element('pictures').replaceChildren(...rows);
}

function slot(as, name, [label, hint]) {
  const row = document.createElement('div');
  row.className = 'slot';
  const thumb = document.createElement('canvas');
  thumb.width = thumb.height = 128;
  thumb.setAttribute('aria-hidden', 'true');
  const picture = state.pictures.get(name);
  if (picture) {
    const short = Math.min(picture.width, picture.height);
    const [x, y] = [(picture.width - short) / 2, (picture.height - short) / 2];
    const context = thumb.getContext('2d');
    context.imageSmoothingQuality = 'high';
    context.drawImage(picture.bitmap, x, y, short, short, 0, 0, 128, 128);
  }
  const text = document.createElement('div');
  const title = document.createElement('b');
  title.textContent = label;
  const about = document.createElement('small');
  about.textContent = picture ? `${picture.width} × ${picture.height} · ${name}` : hint;
  about.title = about.textContent;
  text.append(title, about);
  const button = document.createElement('button');
  button.type = 'button';
  const remove = as === 'styles' && picture;
  button.textContent = remove ? 'Remove' : picture ? 'Change' : 'Choose';
  button.setAttribute('aria-label', `${button.textContent} ${label.toLowerCase()}`);
  button.onclick = () => {
    if (remove) {
      state.styles = state.styles.filter((other) => other !== name);
      slots();
      enable();
      later(plan);
    } else {
      choose(as);
    }
  };
  row.append(thumb, text, button);
  row.ondragover = (event) => event.preventDefault();
  row.ondrop = (event) => drop(event, as);
  return row;
}

function choose(as) {
  const input = element('file');
  input.value = '';
  input.onchange = () =>
    attempt(async () => {
      for (const file of input.files) {
        if (as === 'recipe') await openFile(file);
        else await take(file, as);
      }
    });
  input.click();
}

function drop(event, as) {
  event.preventDefault();
  event.stopPropagation();
  element('easel').classList.remove('dragged');
  const files = [...event.dataTransfer.files];
  attempt(async () => {
    quiet();
    for (const file of files) {
      const { slots: wanted } = METHODS[state.method];
      const free = wanted.includes('content') && !state.content ? 'content' : wanted.at(-1);
      await take(file, as ?? (files.length > 1 ? free : wanted[0]) ?? 'content');
    }
  });
}

/** Opens a picture that carries a recipe, to repeat it; any other is a photo. */
async function openFile(file) {
  let read;
  try {
    read = await state.engine.read(file);
  } catch (error) {
    if (!/holds no recipe/.test(error.message)) throw error;
    return take(file, METHODS[state.method].slots[0] ?? 'content');
  }
  const missing = [];
  for (const name of read.pictures) {
    if (state.pictures.has(name)) continue;
    const sample = SAMPLES.find((sample) => sample.name === name);
    if (!sample) {
      missing.push(name);
      continue;
    }
    const blob = await (await fetch(`samples/${name}`)).blob();
    await take(blob, sample.as, name);
  }
  state.opened = { recipe: read.recipe, model: read.model, name: file.name };
  knobs.showRecipe(read.recipe);
  const needs = missing.length > 0 ? ` It needs ${missing.join(' and ')}: drop that in first.` : '';
  tell(
    `${file.name} carries its recipe. ${METHODS[state.method].verb} repeats it.${needs}`,
    missing.length > 0 ? 'error' : 'note',
  );
  enable();
}

// ---- asking

/** What is asked for, as a request or as the recipe that was opened. */
function asked() {
  if (state.opened) return { asked: state.opened.recipe, model: state.opened.model };
  const method = METHODS[state.method];
  const values = knobs.values();
  const { model = 'squeezenet1_1', ...request } = values;
  request.method = state.method;
  if (method.slots.includes('content')) request.content = state.content;
  if (method.slots.includes('styles')) request.styles = state.styles;
  return { asked: request, model };
}

function isComplete() {
  if (!state.engine || state.engine.watchOnly) return false;
  if (state.opened) return true;
  const { slots: wanted } = METHODS[state.method];
  return !(wanted.includes('content') && !state.content) && !(wanted.includes('styles') && state.styles.length === 0);
}

let timer;
function later(action) {
  clearTimeout(timer);
  timer = setTimeout(action, 200);
}

const rateKey = () => `pixgrad rate of ${state.engine.info.name}`;

/** Says whether the size fits and about how long it takes. */
async function plan() {
  if (!isComplete() || busy()) return;
  try {
    const { asked: wanted, model } = asked();
    await network(model);
    if (busy()) return;
    fits(await state.engine.plan(await ready(wanted), model));
  } catch (error) {
    knobs.setFit(String(error.message ?? error), false);
  }
}

/** Tells the memory of a plan, and the time by the pace of earlier runs. */
function fits(scales) {
  const last = scales.at(-1);
  const bytes = Math.max(...scales.map((scale) => scale.bytes));
  const work = scales.reduce((all, scale) => all + scale.gflop * scale.iterations, 0);
  const rate = Number(localStorage.getItem(rateKey()) ?? 0);
  const time = rate > 0 ? `, about ${duration(work / rate)}` : '';
  knobs.setFit(`${last.width} × ${last.height} fits: ${Math.ceil(bytes / 2 ** 20)} MiB${time}`, true);
}

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** An attack sees a square of the size asked for. */
async function ready(wanted) {
  if (wanted.method !== 'attack') return wanted;
  const name = `${wanted.content} @${wanted.size}`;
  const { blob } = state.pictures.get(wanted.content);
  const { bitmap } = await state.engine.square(name, blob, wanted.size);
  state.square = bitmap;
  return { ...wanted, content: name };
}

// ---- running

const busy = () => ['queued', 'preparing', 'running', 'paused'].includes(state.runState);

/** Whether another run may be asked for. */
const canStart = () => !state.asking && (state.engine?.queues || !['preparing', 'running'].includes(state.runState));

function setRunState(now) {
  state.runState = now;
  document.body.dataset.run = now;
  enable();
}

async function start() {
  if (!isComplete()) return;
  if (!canStart()) return;
  quiet();
  state.asking = true;
  setRunState('preparing');
  element('status').textContent = 'Getting ready';
  element('progress').removeAttribute('value');
  try {
    const { asked: request, model } = asked();
    await network(model);
    const wanted = await ready(request);
    state.seen = null;
    if (wanted.method === 'attack') {
      easel.setBefore(state.square);
      state.seen = await state.engine.classify(wanted.content, model, 3);
    } else {
      const before = wanted.content ?? (state.opened ? state.content : null);
      easel.setBefore(before ? state.pictures.get(before).bitmap : null);
    }
    found(null);
    state.run = await state.engine.run(wanted, model, { on: heard(whole) });
    state.model = model;
    state.work = { ms: 0, gflop: 0 };
    state.scales = await state.engine.plan(wanted, model);
    fits(state.scales);
    chart.begin(state.run.terms);
    if (state.engine.queues) runs.shown = state.run.id;
    await state.run.go();
  } catch (error) {
    failed(String(error.message ?? error));
  } finally {
    state.asking = false;
    enable();
  }
}

/** What is told of a run, for as long as the page shows no other. */
function heard(everything) {
  const ticket = {};
  state.ticket = ticket;
  const own =
    (action) =>
    (...values) =>
      state.ticket === ticket ? action(...values) : undefined;
  return { whole: own(everything), steps: own(steps), image: own(shown), state: own(ended), failed: own(failed) };
}

// ---- the runs of a server

/** Shows a run that this page did not begin, or began before. */
async function attach(number) {
  quiet();
  found(null);
  state.seen = null;
  state.opened = null;
  setRunState('preparing');
  easel.setBefore(null);
  easel.clear();
  element('empty').hidden = true;
  runs.shown = number;
  let isNew = true;
  state.run = state.engine.watch(number, {
    on: heard(async (run) => {
      if (isNew) await adopt(run);
      isNew = false;
      whole(run);
    }),
  });
}

/** Takes over what a run was asked for. */
async function adopt({ label, model, asked, pictures, recipe }) {
  state.model = model;
  if (label in METHODS && label !== state.method) show(label);
  for (const [name, id] of Object.entries(pictures ?? {})) {
    try {
      state.pictures.set(name, await state.engine.adopt(name, id));
    } catch (error) {
      // The run has it; the server keeps it for others only for a while.
      if (error.status !== 410) throw error;
    }
  }
  const has = (name) => state.pictures.has(name);
  const { content, styles } = asked ?? {};
  easel.setBefore(state.pictures.get(content)?.bitmap ?? null);
  // An attack's picture is a square of the one that was given.
  if (has(content) && label !== 'attack') state.content = content;
  if (styles?.length > 0 && styles.every(has)) state.styles = styles;
  if (recipe) knobs.showRecipe(recipe);
  slots();
}

/** Everything that a run has told so far. */
function whole(run) {
  state.scales = run.scales;
  state.work = { ms: 0, gflop: 0 };
  element('progress').removeAttribute('value');
  chart.begin(run.terms);
  if (run.steps.length === 0) return;
  steps(run.steps);
  // Of a long run not every step is told.
  const part = state.work.ms / run.ms;
  state.work = { ms: run.ms, gflop: state.work.gflop / part };
}

function shown(image) {
  state.image = image;
  easel.show(image);
}

function steps(all) {
  chart.add(all);
  const last = all.at(-1);
  for (const step of all) {
    const scale = state.scales.find((scale) => scale.width === step.width && scale.height === step.height);
    state.work.ms += step.ms;
    state.work.gflop += scale?.gflop ?? 0;
  }
  const left = last.remaining === null ? '' : ` · ${duration(last.remaining)} left`;
  element('progress').value = (last.iteration + 1) / last.iterations;
  element('status').textContent = `${last.iteration + 1} of ${last.iterations} · ${last.width} × ${last.height}${left}`;
}

async function ended(now, { scales, file } = {}) {
  if (scales?.length > 0) state.scales = scales;
  setRunState(now);
  if (state.work?.ms > 0) localStorage.setItem(rateKey(), state.work.gflop / (state.work.ms / 1e3));
  if (now === 'running') return;
  const words = {
    queued: 'Waiting for its turn',
    preparing: 'Getting ready',
    paused: 'Paused',
    stopped: 'Stopped',
    finished: 'Done',
  };
  const isOver = now === 'stopped' || now === 'finished';
  const took = isOver && state.work?.ms > 0 ? ` · it took ${duration(state.work.ms / 1e3)}` : '';
  const written = isOver && file ? ` · ${file}` : '';
  element('status').textContent = `${words[now]}${took}${written}`;
  if (isOver && state.seen) await attempt(judged);
}

/** What the network sees after an attack, and the change magnified. */
async function judged() {
  await state.run.keep('result of the attack');
  const after = await state.engine.classify('result of the attack', state.model, 3);
  found({ before: state.seen, after });
}

function found(scores) {
  const card = element('found');
  card.hidden = scores === null;
  if (scores === null) return;
  const table = (title, list) => {
    const head = document.createElement('h2');
    head.textContent = title;
    const rows = document.createElement('table');
    for (const { label, probability } of list) {
      const row = rows.insertRow();
      row.insertCell().textContent = label;
      row.insertCell().textContent = `${(100 * probability).toFixed(1)} %`;
    }
    return [head, rows];
  };
  const before = new OffscreenCanvas(state.image.width, state.image.height).getContext('2d');
  before.drawImage(state.square, 0, 0);
  const noise = document.createElement('canvas');
  noise.width = state.image.width;
  noise.height = state.image.height;
  noise.setAttribute('role', 'img');
  noise.setAttribute('aria-label', 'The change, magnified');
  const was = before.getImageData(0, 0, noise.width, noise.height);
  noise.getContext('2d').putImageData(magnified(was, state.image, 15), 0, 0);
  const caption = document.createElement('h2');
  caption.textContent = 'The change, 15 times as large';
  card.replaceChildren(...table('It saw', scores.before), ...table('It sees', scores.after), caption, noise);
}

function failed(message) {
  setRunState('failed');
  element('progress').value = 0;
  element('status').textContent = 'Failed';
  if (/device (failed|lost)|failed: |lost/i.test(message) && state.engine?.canReopen) {
    tell(`The GPU was lost: ${message}\nIt is being opened again; what was painted so far is still shown.`);
    state.engine.close();
    attempt(open);
  } else {
    tell(message);
  }
}

/** A slider of a weight: it acts on the run. */
function turned(name, value) {
  if (!busy() || !state.run) return;
  const is = {
    content: (kind) => kind === 'content',
    tv: (kind) => kind === 'tv',
    style: (kind) => ['gram', 'bn', 'mmd', 'wasserstein', 'sliced_wasserstein'].includes(kind),
  }[name];
  const term = state.run.terms.findIndex(is);
  if (term >= 0) attempt(() => state.run.setWeight(term, value));
}

async function save() {
  const blob = await state.run.png();
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = `pixgrad-${state.method}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const pauseOrGoOn = () => attempt(() => (state.runState === 'paused' ? state.run.go() : state.run.pause()));

/** Which buttons can be pressed. */
function enable() {
  const { verb } = METHODS[state.method];
  const set = (id, on, label) => {
    element(id).disabled = !on;
    if (label) element(id).querySelector('span').textContent = label;
  };
  const at = state.runState;
  set('start', isComplete() && canStart(), at === 'finished' || at === 'stopped' ? `${verb} again` : verb);
  set('pause', at === 'running' || at === 'paused', at === 'paused' ? 'Go on' : 'Pause');
  set('stop', at === 'running' || at === 'paused' || (state.engine?.queues && busy() && !state.asking));
  set('save', ['running', 'paused', 'stopped', 'finished'].includes(at) && state.run);
  set('open', Boolean(state.engine));
  element('sample').disabled = element('choose').disabled = !state.engine;
}

// ---- the controls

function show(method) {
  state.method = method;
  state.opened = null;
  for (const tab of element('tabs').children) {
    const own = tab.id === `tab-${method}`;
    tab.setAttribute('aria-selected', own);
    tab.tabIndex = own ? 0 : -1;
  }
  const { about, slots: wanted, verb } = METHODS[method];
  element('panel').setAttribute('aria-labelledby', `tab-${method}`);
  element('about').textContent = about;
  element('samples').hidden = wanted.length === 0;
  element('invitation').textContent =
    { content: 'Drop a photo here', styles: 'Drop a surface here' }[wanted[0]] ?? 'Out of nothing';
  const where = state.engine?.place ?? 'the GPU of this computer';
  element('explanation').textContent =
    wanted.length > 1
      ? `and a painting beside it. It is painted by ${where}, and goes nowhere else.`
      : `It is computed by ${where}.`;
  element('sample').textContent = wanted.length > 0 ? `${verb} the sample` : verb;
  element('choose').hidden = wanted.length === 0;
  knobs.show(METHODS[method].knobs);
  slots();
  found(null);
  if (!busy()) {
    setRunState('idle');
    showContent();
  }
  enable();
  later(plan);
}

async function firstClick() {
  const { slots: wanted } = METHODS[state.method];
  if (wanted.includes('content') && !state.content) await takeSample(SAMPLES[0]);
  if (wanted.includes('styles') && state.styles.length === 0) {
    const usual = state.method === 'texture' ? 'brick.png' : 'starry_night.jpg';
    await takeSample(SAMPLES.find(({ name }) => name === usual) ?? SAMPLES.find(({ as }) => as === 'styles'));
  }
  await start();
}

function build() {
  for (const [method, { label }] of Object.entries(METHODS)) {
    const tab = document.createElement('button');
    tab.type = 'button';
    tab.id = `tab-${method}`;
    tab.role = 'tab';
    tab.setAttribute('aria-controls', 'panel');
    tab.textContent = label;
    tab.onclick = () => show(method);
    element('tabs').append(tab);
  }
  element('tabs').onkeydown = ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!step) return;
    const all = Object.keys(METHODS);
    const next = all[(all.indexOf(state.method) + step + all.length) % all.length];
    show(next);
    element(`tab-${next}`).focus();
  };
  for (const sample of SAMPLES) {
    const button = document.createElement('button');
    button.type = 'button';
    button.title = sample.label;
    button.setAttribute('aria-label', `Sample: ${sample.label}`);
    const image = document.createElement('img');
    image.src = `samples/${sample.name}`;
    image.alt = '';
    button.append(image);
    button.onclick = () => attempt(() => takeSample(sample));
    element('samples').append(button);
  }
  for (const [id, action] of Object.entries({ start, sample: firstClick, stop: () => state.run.stop(), save })) {
    element(id).onclick = () => attempt(action);
  }
  element('pause').onclick = pauseOrGoOn;
  element('choose').onclick = () => choose(METHODS[state.method].slots[0]);
  element('open').onclick = () => choose('recipe');
  element('dismiss').onclick = quiet;
  element('theme').onclick = () => {
    const dark = document.documentElement.dataset.theme !== 'light';
    setTheme(dark ? 'light' : 'dark');
    localStorage.setItem('theme', dark ? 'light' : 'dark');
  };
  const box = element('easel');
  document.body.ondragover = (event) => {
    event.preventDefault();
    box.classList.add('dragged');
  };
  document.body.ondragleave = (event) => event.relatedTarget === null && box.classList.remove('dragged');
  document.body.ondrop = (event) => drop(event);
  document.onkeydown = keyboard;
  element('device').onchange = () => {
    if (state.engine?.choose) {
      state.engine.choose(element('device').value);
      if (!busy()) later(plan);
      return;
    }
    state.engine?.close();
    attempt(open);
  };
}

function keyboard(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { target, key } = event;
  if (target.matches('select, input:not([type="range"]), textarea')) return;
  const onButton = target.matches('button');
  const press = (id) => {
    event.preventDefault();
    if (!element(id).disabled) element(id).click();
  };
  if (key === 'Enter' && !onButton) press('start');
  else if (key === ' ' && !onButton) press('pause');
  else if (key === 'Escape') press('stop');
  else if (key === 's') press('save');
  else if (key === 'o') press('open');
  else if (key === 'b') easel.flip();
  else if (/^[1-6]$/.test(key)) show(Object.keys(METHODS)[Number(key) - 1]);
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  chart.draw();
}

const dark = matchMedia('(prefers-color-scheme: dark)');
setTheme(localStorage.getItem('theme') ?? (dark.matches ? 'dark' : 'light'));
dark.onchange = () => localStorage.getItem('theme') ?? setTheme(dark.matches ? 'dark' : 'light');
build();
show('style');
const choices = (await attempt(engines)) ?? [];
element('device').replaceChildren(...choices.map(({ value, label }) => new Option(label, value)));
await open();
show(state.method);
await attempt(resume);

/** A page that is opened while a run is at work shows it. */
async function resume() {
  if (!state.engine?.queues) return;
  if (state.engine.watchOnly) {
    document.body.dataset.watch = 'only';
    element('invitation').textContent = 'A run of the command line';
    element('explanation').textContent = 'It is shown here as soon as it begins.';
    state.engine.onruns = (list) => {
      runs.tell(list);
      // A command may have several runs, of which the last one is at work.
      const [latest] = list;
      if (latest && latest.number !== state.run?.id) attempt(() => attach(latest.number));
    };
  }
  const list = await state.engine.runs();
  runs.tell(list);
  const order = ['running', 'paused', 'preparing', 'queued'];
  const current = order.map((now) => list.findLast(({ state: own }) => own === now)).find(Boolean);
  const wanted = current ?? (state.engine.watchOnly ? list[0] : undefined);
  if (wanted && wanted.number !== state.run?.id) await attach(wanted.number);
}
