// The picture on its easel, with what it was before behind a seam that can be moved.

const element = (id) => document.getElementById(id);

export class Easel {
  #canvas = element('canvas');
  #before = element('before');
  #wipe = element('wipe');
  #seam = element('seam');
  #asked = false;

  constructor() {
    this.#wipe.addEventListener('input', () => this.#draw());
    new ResizeObserver(() => this.#draw()).observe(element('easel'));
  }

  /** Draws with the next frame, so that what changed before it is laid out once. */
  #ask() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => this.#draw());
  }

  /** What the picture was before: a bitmap, which stays the caller's. */
  setBefore(bitmap) {
    this.#before.width = bitmap?.width ?? 3;
    this.#before.height = bitmap?.height ?? 2;
    if (bitmap) this.#before.getContext('2d').drawImage(bitmap, 0, 0);
    this.#before.dataset.there = bitmap ? 'yes' : 'no';
    this.#ask();
  }

  /** Shows the photo alone, before anything was made of it. */
  clear() {
    this.#canvas.width = 3;
    this.#canvas.height = 2;
    this.#canvas.dataset.there = 'no';
    this.#ask();
  }

  show(image) {
    if (this.#canvas.width !== image.width || this.#canvas.height !== image.height) {
      this.#canvas.width = image.width;
      this.#canvas.height = image.height;
    }
    this.#canvas.getContext('2d').putImageData(image, 0, 0);
    this.#canvas.dataset.there = 'yes';
    element('empty').hidden = true;
    this.#ask();
  }

  /** Shows the whole of either: what B switches between. */
  flip() {
    this.#wipe.value = Number(this.#wipe.value) > 0 ? 0 : 1000;
    this.#ask();
  }

  #draw() {
    this.#asked = false;
    const both = this.#before.dataset.there === 'yes' && this.#canvas.dataset.there === 'yes';
    this.#wipe.hidden = !both;
    const part = both ? Number(this.#wipe.value) / 1000 : 0;
    this.#seam.hidden = !both;
    const box = this.#canvas.getBoundingClientRect();
    const scale = Math.min(box.width / this.#canvas.width, box.height / this.#canvas.height);
    const wide = this.#canvas.width * scale;
    const left = (box.width - wide) / 2 + part * wide;
    const offset = this.#canvas.offsetLeft;
    this.#seam.style.left = `${offset + left}px`;
    this.#canvas.style.clipPath = both ? `inset(0 0 0 ${left}px)` : 'none';
    this.#before.style.clipPath = both ? `inset(0 ${Math.max(box.width - left, 0)}px 0 0)` : 'none';
  }
}

/** The difference of two pictures of one size, magnified about gray. */
export function magnified(before, after, factor) {
  const difference = new ImageData(after.width, after.height);
  for (let i = 0; i < after.data.length; i += 1) {
    const value = 128 + factor * (after.data[i] - before.data[i]);
    difference.data[i] = i % 4 === 3 ? 255 : value;
  }
  return difference;
}
