// The engine of a page that `pixgrad serve` shows: the devices of the server's machine. A run there goes on without the
// page, and other pages may watch it.

/** Asks the server; what it refuses is an error. */
async function ask(path, { body, type = 'application/json', method = 'POST' } = {}) {
  const post = { method, headers: { 'content-type': type }, body: body ?? '{}' };
  let response;
  try {
    response = await fetch(`api/${path}`, method === 'POST' ? post : { method });
  } catch {
    throw new Error('The server does not answer: is `pixgrad serve` still running?');
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  throw Object.assign(new Error(told.error ?? `the server answers ${response.status}`), { status: response.status });
}

const read = async (path, options) => (await ask(path, options)).json();
const get = (path) => read(path, { method: 'GET' });
const send = (path, object = {}) => read(path, { body: JSON.stringify(object) });

let about;

async function machine() {
  about ??= await get('devices');
  return about;
}

/** What people can choose among. */
export async function devices() {
  const { devices: all } = await machine();
  return all.map(({ index, name, backend }) => ({
    value: String(index),
    label: backend === name ? name : `${name} (${backend})`,
  }));
}

export class Remote {
  /** Runs may be asked for while others are at work. */
  queues = true;
  /** Told of the list of runs, and of whether the server answers. */
  onruns = null;
  onlost = null;
  #ids = new Map();
  #blobs = new Map();
  #stream = null;
  #watched = null;
  #device;

  static async open(value) {
    // The token is in a cookie by now.
    if (location.search !== '') history.replaceState(null, '', location.pathname);
    const { watch } = await machine();
    const remote = new Remote();
    remote.watchOnly = watch;
    remote.choose(value);
    document.addEventListener('visibilitychange', remote.#listen);
    remote.#listen();
    return remote;
  }

  /** Chooses the device of later runs. */
  choose(value) {
    const all = about.devices;
    const { index, ...info } = all.find((device) => String(device.index) === value) ?? all[0] ?? { name: 'a command' };
    this.#device = index;
    this.info = { ...info, version: about.version };
    const own = /^(localhost|127\.|\[::1\])/.test(location.hostname);
    this.place = `${info.name} on ${own ? 'this computer' : location.hostname}`;
  }

  // ---- what is asked

  /** A question about pictures. The server may have forgotten them; then they are given again. */
  async #about(path, model, asked, names) {
    const question = () => {
      const pictures = Object.fromEntries(names.map((name) => [name, this.#ids.get(name)]));
      return send(path, { device: this.#device, model, asked, pictures });
    };
    try {
      return await question();
    } catch (error) {
      if (error.status !== 410) throw error;
      for (const name of names) await this.#give(name, this.#blobs.get(name));
      return question();
    }
  }

  /** The pictures that a request or a recipe names. */
  #named(asked) {
    const text = JSON.stringify(asked);
    return [...this.#ids.keys()].filter((name) => text.includes(JSON.stringify(name)));
  }

  async #give(name, from) {
    let given;
    if (from.of) {
      const { id } = await this.#give(from.of, this.#blobs.get(from.of));
      given = await send(`pictures/${id}/square?side=${from.side}`);
    } else {
      const type = from.type.startsWith('image/') ? from.type : 'application/octet-stream';
      given = await read(`pictures?name=${encodeURIComponent(name)}`, { body: from, type });
    }
    this.#ids.set(name, given.id);
    this.#blobs.set(name, from);
    return given;
  }

  async #bitmap(id) {
    return createImageBitmap(await (await ask(`pictures/${id}`, { method: 'GET' })).blob());
  }

  async network(name) {
    return send('network', { device: this.#device, model: name });
  }

  async picture(name, blob) {
    const { id, width, height, full } = await this.#give(name, blob);
    // The server reads formats that the browser does not, and makes large pictures smaller.
    const isWhole = full.width === width && full.height === height;
    let bitmap = isWhole ? await createImageBitmap(blob).catch(() => null) : null;
    bitmap ??= await this.#bitmap(id);
    return { name, width, height, full, bitmap };
  }

  async square(name, blob, side) {
    const [of] = [...this.#blobs].find(([, other]) => other === blob);
    const { id } = await this.#give(name, { of, side });
    return { name, width: side, height: side, bitmap: await this.#bitmap(id) };
  }

  /** Takes over a picture that the server has. */
  async adopt(name, id) {
    const blob = await (await ask(`pictures/${id}`, { method: 'GET' })).blob();
    this.#ids.set(name, id);
    this.#blobs.set(name, blob);
    const bitmap = await createImageBitmap(blob);
    return { blob, bitmap, width: bitmap.width, height: bitmap.height };
  }

  async forget(name) {
    this.#ids.delete(name);
    this.#blobs.delete(name);
  }

  classify(name, model, top = 5) {
    return this.#about(`classify?top=${top}`, model, null, [name]);
  }

  plan(asked, model) {
    return this.#about('plan', model, asked, this.#named(asked));
  }

  read(file) {
    return read('recipe', { body: file, type: 'application/octet-stream' });
  }

  async run(asked, model, { on = {} } = {}) {
    const made = await this.#about('runs', model, asked, this.#named(asked));
    return new Run(this, made.number, on, made);
  }

  /** A run that somebody has begun; it tells of itself from the beginning. */
  watch(number, { on = {} } = {}) {
    const run = new Run(this, number, on);
    run.follows = true;
    this.follow(run);
    return run;
  }

  runs() {
    return get('runs');
  }

  /** A picture of a run as a picture of its own. */
  async keep(number, name) {
    const { id } = await send(`runs/${number}/keep`);
    this.#ids.set(name, id);
  }

  close() {
    document.removeEventListener('visibilitychange', this.#listen);
    this.#stream?.close();
  }

  // ---- what is told

  /** Hears of one run from now on. */
  follow(run) {
    this.#watched = run;
    this.#listen();
  }

  /** Opens the stream of events anew. A page that nobody sees has none: browsers have few connections to a server. */
  #listen = () => {
    this.#stream?.close();
    this.#stream = null;
    if (document.hidden) return;
    const run = this.#watched;
    const stream = new EventSource(run ? `api/events?run=${run.id}` : 'api/events');
    this.#stream = stream;
    const hear = (name, action) =>
      stream.addEventListener(name, ({ data }) => {
        if (this.#stream === stream) action(JSON.parse(data));
      });
    hear('runs', (list) => this.onruns?.(list));
    for (const name of ['run', 'steps', 'image', 'state']) hear(name, (data) => run?.hear(name, data));
    stream.onopen = () => this.onlost?.(false);
    stream.onerror = async () => {
      this.onlost?.(true);
      // The browser tries again by itself, but not after an answer that says no.
      if (stream.readyState !== EventSource.CLOSED || this.#stream !== stream) return;
      const isGone =
        run &&
        (await get(`runs/${run.id}`).then(
          () => false,
          ({ status }) => status === 404,
        ));
      if (isGone && this.#watched === run) {
        this.#watched = null;
        run.hear('state', {
          state: 'failed',
          error: 'The server was started anew. Pictures of before are in its folder.',
        });
      }
      setTimeout(() => this.#stream === stream && this.#listen(), isGone ? 0 : 2000);
    };
  };
}

/** A run on the server. */
export class Run {
  #remote;
  #on;
  #done = Promise.resolve();
  #latest = 0;
  /** Whether it is heard. */
  follows = false;

  constructor(remote, number, on, { terms = [], recipe = null } = {}) {
    this.#remote = remote;
    this.#on = on;
    this.id = number;
    this.terms = terms;
    this.recipe = recipe;
  }

  /** Does one event after the other, since pictures take a moment to come. */
  hear(name, data) {
    if (data.image) this.#latest = data.image;
    this.#done = this.#done.then(() => this.#tell(name, data)).catch(() => {});
  }

  async #tell(name, data) {
    if (name === 'steps') return this.#on.steps?.(data.steps);
    if (name === 'run') {
      this.terms = data.terms;
      this.recipe = data.recipe;
      await this.#on.whole?.(data);
    }
    if (data.image && data.image === this.#latest) await this.#show(data.image);
    if (data.state === 'failed') this.#on.failed?.(data.error);
    else if (data.state) this.#on.state?.(data.state, data);
    return undefined;
  }

  async #show(number) {
    const response = await ask(`runs/${this.id}/image?n=${number}`, { method: 'GET' });
    const bitmap = await createImageBitmap(await response.blob());
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    this.#on.image?.(context.getImageData(0, 0, context.canvas.width, context.canvas.height));
  }

  /** A run begins when its turn comes; what is asked for here is to hear of it, or that it goes on after a pause. */
  async go() {
    if (this.follows) return send(`runs/${this.id}/go`);
    this.follows = true;
    return this.#remote.follow(this);
  }

  pause() {
    return send(`runs/${this.id}/pause`);
  }

  stop() {
    return send(`runs/${this.id}/stop`);
  }

  setWeight(term, weight) {
    return send(`runs/${this.id}/weights`, { term, weight });
  }

  async png() {
    return (await ask(`runs/${this.id}/file`, { method: 'GET' })).blob();
  }

  keep(name) {
    return this.#remote.keep(this.id, name);
  }
}
