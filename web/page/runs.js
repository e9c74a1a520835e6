// The list of runs that a server has.

const WORDS = {
  queued: 'waits',
  preparing: 'gets ready',
  running: 'at work',
  paused: 'paused',
  stopped: 'stopped',
  finished: 'done',
  failed: 'failed',
};

export class Runs {
  #card;
  #list;
  #open;
  #told = [];
  #shown = null;

  constructor(card, list, open) {
    this.#card = card;
    this.#list = list;
    this.#open = open;
  }

  /** Which of them the page shows. */
  set shown(number) {
    if (this.#shown === number) return;
    this.#shown = number;
    this.tell(this.#told);
  }

  tell(runs) {
    this.#told = runs;
    this.#card.hidden = runs.length === 0;
    this.#list.replaceChildren(...runs.map((run) => this.#row(run)));
  }

  #row({ number, label, device, state, iterations, of }) {
    const row = document.createElement('li');
    const button = document.createElement('button');
    button.type = 'button';
    button.dataset.state = state;
    if (number === this.#shown) button.setAttribute('aria-current', 'true');
    const name = document.createElement('b');
    name.textContent = `${number} · ${label}`;
    const about = document.createElement('span');
    const part = state === 'running' && of > 0 ? ` · ${Math.floor((100 * iterations) / of)} %` : '';
    about.textContent = `${WORDS[state]}${part}`;
    button.title = `on ${device}`;
    button.append(name, about);
    button.onclick = () => this.#open(number);
    row.append(button);
    return row;
  }
}
