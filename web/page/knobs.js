// The sliders and choices of a method.

import { MODELS } from './methods.js';

/** Powers of two that a weight's slider spans to either side. */
const SPAN = 6;

const make = (tag, attributes) => Object.assign(document.createElement(tag), attributes);

export class Knobs {
  #box;
  #heard;
  #knobs = [];
  #fit = make('p', { id: 'fit' });
  #network = null;
  /** What was set, by knob, so that a change of tabs loses nothing. */
  #kept = new Map();
  #method = '';

  constructor(box, heard) {
    this.#box = box;
    this.#heard = heard;
    this.#fit.setAttribute('aria-live', 'polite');
  }

  show(knobs) {
    this.#knobs = knobs.map((knob) => ({ ...knob, ...this.#made(knob) }));
    this.#box.replaceChildren(...this.#knobs.map(({ row }) => row), this.#fit);
    this.#fit.textContent = '';
    if (this.#network) this.setNetwork(this.#network);
  }

  #made(knob) {
    const id = `knob-${knob.id}`;
    const row = make('div', { className: `knob ${knob.kind === 'check' ? 'check' : ''}` });
    const label = make('label', { htmlFor: id, textContent: knob.label });
    const output = make('output', {});
    output.setAttribute('for', id);
    let input;
    let read;
    let write = (value) => {
      input.value = value;
    };
    const usual = knob.usual;
    if (knob.kind === 'weight') {
      input = make('input', { type: 'range', min: -SPAN, max: SPAN, step: 0.05 });
      read = () => usual * 2 ** Number(input.value);
      write = (value) => {
        input.value = Math.log2(Math.max(value, 1e-9) / usual);
      };
      write(usual);
    } else if (knob.kind === 'choice') {
      input = make('input', { type: 'range', min: 0, max: knob.values.length - 1, step: 1 });
      read = () => knob.values[Number(input.value)];
      write = (value) => {
        const at = knob.values.findIndex((other) => other >= value);
        input.value = at < 0 ? knob.values.length - 1 : at;
      };
      write(usual);
    } else if (knob.kind === 'number') {
      input = make('input', { type: 'range', min: knob.least, max: knob.most, step: 1, value: usual });
      read = () => Number(input.value);
    } else if (knob.kind === 'check') {
      input = make('input', { type: 'checkbox' });
      read = () => input.checked;
      write = (value) => {
        input.checked = value;
      };
    } else if (knob.kind === 'model') {
      input = make('select', {});
      input.append(...MODELS.map(({ name, label: text }) => new Option(text, name)));
      read = () => input.value;
    } else if (knob.kind === 'layer') {
      input = make('select', {});
      input.append(new Option('The usual one', ''));
      read = () => input.value || undefined;
    } else {
      input = make('input', { type: 'text', placeholder: knob.none ?? '', autocomplete: 'off' });
      input.setAttribute('list', 'classes');
      read = () => this.#class(input.value, knob);
    }
    input.id = id;
    const tell = () => {
      const value = read();
      const isWeight = knob.kind === 'weight';
      const shown = isWeight ? `× ${Number((value / usual).toPrecision(2))}` : `${value}${knob.unit ?? ''}`;
      output.textContent = ['weight', 'choice', 'number'].includes(knob.kind) ? shown : '';
    };
    const key = `${knob.id} of ${knob.label} ${usual}`;
    if (this.#kept.has(key)) write(this.#kept.get(key));
    input.addEventListener('input', () => {
      tell();
      this.#kept.set(key, knob.kind === 'class' ? input.value : read());
      if (knob.kind === 'weight') this.#heard.turned(knob.id, read());
      this.#heard.changed();
    });
    tell();
    if (knob.kind === 'check') row.append(input, label);
    else row.append(label, output, input);
    return { row, input, read, write, tell };
  }

  /** The index of a class by its name or number. */
  #class(text, knob) {
    if (text === '') return knob.usual;
    if (/^\d+$/.test(text)) return Number(text);
    const at = this.#network?.classes.indexOf(text) ?? -1;
    return at < 0 ? knob.usual : at;
  }

  /** What a request says of the knobs. */
  values() {
    const values = {};
    for (const { id, kind, read } of this.#knobs) {
      const value = read();
      if (value === undefined) continue;
      if (kind === 'weight') values.weights = { ...values.weights, [id]: value };
      else values[id] = value;
    }
    return values;
  }

  /** The layers and classes of a network, to choose among. */
  setNetwork(network) {
    this.#network = network;
    for (const knob of this.#knobs) {
      if (knob.kind === 'layer' && knob.input.options.length === 1) {
        const layers = network.layers.filter((layer) => !/^(input|normalize|prob|logits)$/.test(layer));
        knob.input.append(...layers.map((layer) => new Option(layer, layer)));
        const kept = this.#kept.get(`${knob.id} of ${knob.label} ${knob.usual}`);
        if (kept) knob.input.value = kept;
      }
      if (knob.kind === 'class' && knob.input.value === '' && knob.usual !== undefined) {
        knob.input.value = network.classes[knob.usual] ?? '';
      }
    }
    if (!document.getElementById('classes') && network.classes.length > 0) {
      const list = make('datalist', { id: 'classes' });
      list.append(...network.classes.map((name) => new Option(name)));
      document.body.append(list);
    }
  }

  /** Turns the knobs to what a recipe says. */
  showRecipe(recipe) {
    const set = (id, value) => {
      const knob = this.#knobs.find((other) => other.id === id);
      if (!knob || value === undefined || value === null) return;
      knob.write(value);
      knob.tell();
    };
    set('size', recipe.image?.size);
    set('iterations', recipe.optimizer?.iterations);
    for (const term of recipe.term ?? []) {
      set(['content', 'tv'].includes(term.kind) ? term.kind : 'style', term.weight ?? 1);
    }
  }

  setFit(text, fits) {
    this.#fit.textContent = text;
    this.#fit.className = fits ? '' : 'no';
  }
}
