// Loss curves, one for each term, on a logarithmic axis.

const NAMES = {
  gram: 'style',
  bn: 'style',
  mmd: 'style',
  wasserstein: 'style',
  sliced_wasserstein: 'style',
  inversion: 'content',
};
const COLOURS = ['--content', '--style', '--tv', '--other'];

export class Chart {
  #canvas;
  #legend;
  #terms = [];
  #values = [];
  #asked = false;

  constructor(canvas, legend) {
    this.#canvas = canvas;
    this.#legend = legend;
  }

  /** Begins anew with terms of these kinds. */
  begin(terms) {
    this.#terms = terms.map((kind, i) => {
      const own = `--${NAMES[kind] ?? kind}`;
      return { kind, colour: COLOURS.includes(own) ? own : COLOURS[(i + 3) % COLOURS.length] };
    });
    this.#values = terms.map(() => []);
    this.#legend.replaceChildren(
      ...this.#terms.map(({ kind }) => {
        const entry = document.createElement('li');
        entry.append(document.createElement('i'), `${kind} `, document.createElement('b'));
        return entry;
      }),
    );
    this.draw();
  }

  add(steps) {
    for (const { terms } of steps) terms.forEach((value, i) => this.#values[i]?.push(value));
    this.draw();
  }

  /** Draws with the next frame, once for all that changed before it. */
  draw() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => this.#drawn());
  }

  #drawn() {
    this.#asked = false;
    const canvas = this.#canvas;
    const context = canvas.getContext('2d');
    const style = getComputedStyle(document.documentElement);
    const { width, height } = canvas;
    context.clearRect(0, 0, width, height);
    const sizes = this.#values.map((values) => values.map(Math.abs).filter((value) => value > 0));
    const fold = (pick, none) => sizes.reduce((all, values) => values.reduce((a, b) => pick(a, b), all), none);
    const top = Math.log10(fold(Math.max, 1e-12)) + 0.1;
    const bottom = Math.max(Math.log10(fold(Math.min, 1e12)) - 0.1, top - 6);
    const empty = sizes.every((values) => values.length === 0);
    const y = (value) => height - 8 - ((Math.log10(value) - bottom) / (top - bottom)) * (height - 16);
    context.font = '20px system-ui';
    context.lineWidth = 1;
    context.strokeStyle = style.getPropertyValue('--line');
    context.fillStyle = style.getPropertyValue('--soft');
    if (!empty) {
      for (let power = Math.ceil(bottom); power <= top; power += 1) {
        const at = Math.round(y(10 ** power)) + 0.5;
        context.beginPath();
        context.moveTo(62, at);
        context.lineTo(width, at);
        context.stroke();
        context.fillText(power >= -2 && power <= 4 ? `${10 ** power}` : `1e${power}`, 0, at + 7);
      }
    } else {
      context.beginPath();
      context.moveTo(0, height - 8.5);
      context.lineTo(width, height - 8.5);
      context.stroke();
    }
    this.#terms.forEach(({ colour }, i) => {
      const values = this.#values[i];
      const own = style.getPropertyValue(colour);
      const entry = this.#legend.children[i];
      entry.firstChild.style.background = own;
      entry.lastChild.textContent = values.length > 0 ? values.at(-1).toPrecision(3) : '';
      context.strokeStyle = own;
      context.lineWidth = 3.5;
      context.lineJoin = 'round';
      context.beginPath();
      values.forEach((value, at) => {
        const x = 66 + (at / Math.max(values.length - 1, 1)) * (width - 70);
        context.lineTo(x, Math.min(y(Math.max(Math.abs(value), 1e-12)), height - 4));
      });
      context.stroke();
    });
  }
}
