/** What a device is. Sizes in bytes. */
export interface Info {
  name: string;
  backend: string;
  driver: string;
  type: string;
  max_binding_bytes: number;
  max_buffer_bytes: number;
  features: string[];
  version: string;
}

export type Method = 'style' | 'texture' | 'dream' | 'visualize' | 'attack' | 'invert';

/** What is asked for: a method, the names of its pictures, and what people turn. */
export interface Request {
  method: Method;
  content?: string;
  styles?: string[];
  /** Long side of the result in pixels; 256 where it is absent. */
  size?: number;
  /** Iterations of every scale. */
  iterations?: number;
  weights?: { content?: number; style?: number; tv?: number };
  class?: number;
  layer?: string;
  channel?: number;
  /** How far an attack may change a value of a pixel, in steps of 1/255. */
  epsilon?: number;
  keep_colors?: boolean;
  tile?: boolean;
  seed?: number;
}

/** The fields of a recipe file, see docs/recipe.md. */
export type Recipe = { [field: string]: unknown };

export interface Scale {
  width: number;
  height: number;
  iterations: number;
  /** The most memory at one time. */
  bytes: number;
  gflop: number;
  bands: number;
}

/** A report of `pixgrad bench --output`, see docs/bench.md. */
export interface Benchmark {
  report: { [field: string]: unknown };
  /** Its name as a file. */
  file: string;
  /** Its row of the project's table, in Markdown. */
  row: string;
  /** What in it cannot be. */
  doubts: string[];
}

/** A completed iteration; `ms` is its time, `remaining` the seconds that are left. */
export interface Step {
  iteration: number;
  iterations: number;
  width: number;
  height: number;
  loss: number;
  terms: number[];
  ms: number;
  remaining: number | null;
}

export interface Picture {
  name: string;
  width: number;
  height: number;
  full?: { width: number; height: number };
  bitmap: ImageBitmap;
}

export interface Score {
  class: number;
  label: string;
  probability: number;
  logit: number;
}

export interface Network {
  name: string;
  classes: string[];
  layers: string[];
}

export type State = 'running' | 'paused' | 'stopped' | 'finished';

/** What a run tells. */
export interface On {
  steps?(steps: Step[]): void;
  image?(image: ImageData): void;
  state?(state: State): void;
  failed?(message: string): void;
}

export class Pixgrad {
  static open(options?: { cpu?: boolean; base?: URL }): Promise<Pixgrad>;
  info: Info;
  network(name: string, options?: { url?: string; progress?(done: number, total: number): void }): Promise<Network>;
  picture(name: string, blob: Blob): Promise<Picture>;
  square(name: string, blob: Blob, side: number): Promise<Picture>;
  forget(name: string): Promise<void>;
  classify(name: string, model: string, top?: number): Promise<Score[]>;
  recipe(asked: Request | Recipe, model: string): Promise<{ recipe: Recipe; terms: string[] }>;
  plan(asked: Request | Recipe, model: string): Promise<Scale[]>;
  /** `[3, height, width]`, at the start image. */
  gradient(asked: Request | Recipe, model: string): Promise<Float32Array>;
  read(file: File): Promise<{ recipe: Recipe; model: string; pictures: string[] }>;
  run(asked: Request | Recipe, model: string, options?: { on?: On; checkpoint?: ArrayBuffer }): Promise<Run>;
  /** Measures the GPU with networks that are loaded; `stage` sees what comes next. */
  bench(models?: string[], options?: { host?: string; stage?: (text: string) => void }): Promise<Benchmark>;
  allocated(): Promise<[now: number, most: number]>;
  close(): void;
}

export class Run {
  readonly terms: string[];
  readonly recipe: Recipe;
  go(): Promise<void>;
  pause(): Promise<void>;
  stop(): Promise<void>;
  setWeight(term: number, weight: number): Promise<void>;
  png(): Promise<Blob>;
  checkpoint(): Promise<ArrayBuffer>;
  keep(name: string): Promise<void>;
  free(): Promise<void>;
}
