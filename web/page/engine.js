// What runs for the page. An engine has the calls of `Pixgrad` in package/index.js, and says where it runs.

import { Pixgrad } from './package/index.js';

/** What people can choose among. */
export async function engines() {
  return [{ value: 'webgpu', label: 'The GPU of this browser' }];
}

/** Opens an engine. */
export async function openEngine() {
  if (!navigator.gpu) throw new Error('navigator.gpu is not there');
  const engine = await Pixgrad.open();
  engine.place = 'the GPU of this computer';
  engine.canReopen = true;
  return engine;
}
