// What runs for the page. An engine has the calls of `Pixgrad` in package/index.js, and says where it runs. A page of
// `pixgrad serve` has the devices of the server's machine, see remote.js; any other has the GPU of the browser.

import { Remote, devices } from './remote.js';

const isServed = 'served' in document.documentElement.dataset;

/** What people can choose among. */
export async function engines() {
  if (isServed) return devices();
  return [{ value: 'webgpu', label: 'The GPU of this browser' }];
}

/** Opens an engine. */
export async function openEngine(value) {
  if (isServed) return Remote.open(value);
  if (!navigator.gpu) throw new Error('navigator.gpu is not there');
  const { Pixgrad } = await import('./package/index.js');
  const engine = await Pixgrad.open();
  engine.place = 'the GPU of this computer';
  engine.canReopen = true;
  return engine;
}
