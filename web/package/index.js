// pixgrad for pages: everything runs in a Web Worker, so that the page stays responsive. See index.d.ts for the types.

let runs = 0;

/** An open GPU with its networks and pictures. */
export class Pixgrad {
  #worker;
  #calls = new Map();
  #count = 0;
  #runs = new Map();
  #base;

  /** Opens the browser's GPU. */
  static async open(options = {}) {
    const pixgrad = new Pixgrad(options);
    try {
      pixgrad.info = await pixgrad.call('open', { cpu: options.cpu ?? false });
    } catch (error) {
      pixgrad.close();
      throw error;
    }
    return pixgrad;
  }

  constructor({ base = new URL('.', import.meta.url) } = {}) {
    this.#base = base;
    this.#worker = new Worker(new URL('worker.js', base), { type: 'module' });
    this.#worker.onmessage = ({ data }) => this.#hear(data);
    this.#worker.onerror = (event) => this.#fail(new Error(event.message || 'the worker could not be loaded'));
  }

  #fail(error) {
    for (const { reject } of this.#calls.values()) reject(error);
    this.#calls.clear();
  }

  #hear(data) {
    if (data.event === 'fetching') {
      this.#calls.get(data.call)?.tell?.(data.done, data.total);
    } else if (data.event === 'stage') {
      this.#calls.get(data.call)?.tell?.(data.stage);
    } else if (data.event) {
      this.#runs.get(data.run)?.hear(data);
    } else {
      const { resolve, reject } = this.#calls.get(data.id) ?? {};
      this.#calls.delete(data.id);
      if (data.error === undefined) resolve?.(data.value);
      else reject?.(new Error(data.error));
    }
  }

  /** A call of the worker; for the classes here. */
  call(call, args = {}, { transfer = [], tell } = {}) {
    if (!this.#worker) return Promise.reject(new Error('the GPU has been closed'));
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, tell });
      this.#worker.postMessage({ id, call, args }, transfer);
    });
  }

  /** Loads a network, from `networks/NAME.safetensors` beside the module unless told otherwise. */
  network(name, { url = new URL(`networks/${name}.safetensors`, this.#base).href, progress } = {}) {
    return this.call('network', { name, url }, { tell: progress });
  }

  /** Adds a picture under a name: a blob of any format that the browser reads. */
  picture(name, blob) {
    return this.call('picture', { name, blob });
  }

  /** Adds the central square of a picture, brought to `side` pixels. */
  square(name, blob, side) {
    return this.call('square', { name, blob, side });
  }

  forget(name) {
    return this.call('forget', { name });
  }

  classify(name, model, top = 5) {
    return this.call('classify', { name, model, top });
  }

  recipe(asked, model) {
    return this.call('recipe', { asked, model });
  }

  plan(asked, model) {
    return this.call('plan', { asked, model });
  }

  gradient(asked, model) {
    return this.call('gradient', { asked, model });
  }

  /** The recipe that a picture file carries. */
  async read(file) {
    const bytes = await file.arrayBuffer();
    return this.call('read', { name: file.name ?? 'picture', bytes }, { transfer: [bytes] });
  }

  /** A run of a request or a recipe, before its first iteration; `checkpoint` goes on where another run stood. */
  async run(asked, model, { on = {}, checkpoint } = {}) {
    const id = ++runs;
    const made = await this.call('run', { run: id, asked, model, checkpoint });
    const run = new Run(this, id, on, made);
    this.#runs.set(id, run);
    return run;
  }

  /** Measures the GPU with networks that are loaded; `stage` sees what comes next. */
  bench(models = ['squeezenet1_1', 'vgg19'], { host = navigator.userAgent, stage } = {}) {
    return this.call('bench', { models, host }, { tell: stage });
  }

  /** Bytes of all buffers on the GPU, now and at most. */
  allocated() {
    return this.call('allocated');
  }

  /** Ends the worker, and with it everything on the GPU. */
  close() {
    this.#worker?.terminate();
    this.#worker = null;
    this.#fail(new Error('the GPU has been closed'));
  }
}

/** A run: `go`, `pause` and `stop` it; it tells of itself through the functions given as `on`. */
export class Run {
  #pixgrad;
  #on;

  constructor(pixgrad, id, on, { terms, recipe }) {
    this.#pixgrad = pixgrad;
    this.#on = on;
    this.id = id;
    this.terms = terms;
    this.recipe = recipe;
  }

  hear({ event, steps, width, height, rgba, state, message }) {
    if (event === 'steps') this.#on.steps?.(steps);
    else if (event === 'image') this.#on.image?.(new ImageData(new Uint8ClampedArray(rgba), width, height));
    else if (event === 'state') this.#on.state?.(state);
    else if (event === 'failed') this.#on.failed?.(message);
  }

  #call(call, args = {}) {
    return this.#pixgrad.call(call, { run: this.id, ...args });
  }

  go() {
    return this.#call('go');
  }

  pause() {
    return this.#call('pause');
  }

  stop() {
    return this.#call('stop');
  }

  setWeight(term, weight) {
    return this.#call('weight', { term, weight });
  }

  async png() {
    return new Blob([await this.#call('png')], { type: 'image/png' });
  }

  checkpoint() {
    return this.#call('checkpoint');
  }

  /** Keeps the image as a picture of this name. */
  keep(name) {
    return this.#call('keep', { name });
  }

  free() {
    return this.#call('free');
  }
}
