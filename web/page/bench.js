// The benchmark page: measures the GPU of this browser, shows the report, and gives it as a file.

import { Pixgrad } from './package/index.js';

const MODELS = ['squeezenet1_1', 'vgg19'];

/** Kernels that are shown. */
const MOST = 8;

const element = (id) => document.getElementById(id);
const number = (value, digits = 1) => (value === null ? 'none' : value.toFixed(digits));
const verdict = ({ right, deviation }) =>
  right ? `right (${deviation.toExponential(0)})` : `WRONG (${deviation.toExponential(0)})`;

function tell(text) {
  element('message').hidden = false;
  element('message').querySelector('p').textContent = text;
}

function rows(table, all) {
  const body = element(table).querySelector('tbody');
  body.replaceChildren(
    ...all.map((cells) => {
      const row = document.createElement('tr');
      row.append(
        ...cells.map((text) => {
          const cell = document.createElement('td');
          cell.textContent = text;
          return cell;
        }),
      );
      return row;
    }),
  );
}

function show({ report, doubts }) {
  const { device, ceilings, iterations, kernels, notes } = report;
  // Most browsers keep the adapter's name to themselves.
  element('device').textContent =
    [device.name, device.driver].filter(Boolean).join(', ') || 'An adapter that the browser does not name';
  rows('ceilings', [
    ['f32', `${number(ceilings.fp32_gflops)} GFLOP/s`],
    ['f16', ceilings.fp16_gflops === null ? 'none' : `${number(ceilings.fp16_gflops)} GFLOP/s`],
    ['copy', `${number(ceilings.copy_gbps)} GB/s`],
    ['dispatch', `${number(ceilings.dispatch_us)} µs`],
  ]);
  rows(
    'iterations',
    iterations.map((one) => [
      one.model,
      `${one.size} px`,
      number(one.min_ms, 2),
      number(one.median_ms, 2),
      number(one.gflops),
      verdict(one),
    ]),
  );
  const largest = kernels.toSorted((a, b) => b.share - a.share).slice(0, MOST);
  rows(
    'kernels',
    largest.map((one) => [one.call, one.model, `${number(one.share)} %`, number(one.gflops), verdict(one)]),
  );
  element('doubts').textContent = [...notes, ...doubts.map((doubt) => `Doubtful: ${doubt}.`)].join(' ');
  element('results').hidden = false;
}

async function measure() {
  element('measure').disabled = true;
  element('message').hidden = true;
  let pixgrad;
  try {
    pixgrad = await Pixgrad.open();
    for (const model of MODELS) {
      element('stage').textContent = `Fetching the network ${model}`;
      await pixgrad.network(model);
    }
    const found = await pixgrad.bench(MODELS, {
      stage: (text) => (element('stage').textContent = `Measuring: ${text}`),
    });
    element('stage').textContent = `Measured in ${Math.round(found.report.seconds)} s`;
    show(found);
    element('save').onclick = () => save(found);
    element('copy').onclick = () => copy(found);
    element('save').disabled = element('copy').disabled = false;
  } catch (error) {
    element('stage').textContent = '';
    tell(
      navigator.gpu
        ? String(error.message ?? error)
        : 'This browser has no WebGPU, and there is nothing else to measure.',
    );
  } finally {
    pixgrad?.close();
    element('measure').disabled = false;
  }
}

function save({ file, report }) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([`${JSON.stringify(report, null, 2)}\n`], { type: 'application/json' }));
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function copy({ row }) {
  try {
    await navigator.clipboard.writeText(row);
    element('stage').textContent = 'The row is in the clipboard';
  } catch {
    tell(`The clipboard is closed to this page. The row is:\n${row}`);
  }
}

const light = matchMedia('(prefers-color-scheme: light)').matches;
document.documentElement.dataset.theme = localStorage.getItem('theme') ?? (light ? 'light' : 'dark');
element('measure').onclick = measure;
