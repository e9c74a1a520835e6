// The methods as people see them: what each needs, and what can be turned.

const SIZES = [48, 64, 96, 128, 192, 256, 384, 512, 640, 768, 1024, 1280, 1536, 2048];

/** A weight that acts on the run: the slider multiplies the usual weight by powers of two. */
const weight = (id, label, usual) => ({ id, label, kind: 'weight', usual });
const size = (usual) => ({ id: 'size', label: 'Size', kind: 'choice', values: SIZES, usual, unit: ' px' });
const iterations = (usual, most = 400) => ({
  id: 'iterations',
  label: 'Iterations of each scale',
  kind: 'number',
  least: 2,
  most,
  usual,
});
const seed = { id: 'seed', label: 'Seed', kind: 'number', least: 0, most: 99, usual: 0 };
const model = { id: 'model', label: 'Network', kind: 'model' };

export const METHODS = {
  style: {
    label: 'Style',
    verb: 'Paint',
    about: 'Your photo, painted like another picture. Turn the sliders while it paints: they act at once.',
    slots: ['content', 'styles'],
    knobs: [
      weight('content', 'Photo', 1),
      weight('style', 'Painting', 1),
      weight('tv', 'Smoothness', 4),
      size(256),
      iterations(60),
      { id: 'keep_colors', label: 'Keep the photo’s colours', kind: 'check' },
      model,
    ],
  },
  texture: {
    label: 'Texture',
    verb: 'Weave',
    about: 'A new surface like the sample, from noise. As a seamless tile it can be laid side by side without end.',
    slots: ['styles'],
    knobs: [
      weight('style', 'Sample', 1),
      weight('tv', 'Smoothness', 4),
      size(256),
      iterations(100),
      { id: 'tile', label: 'Seamless tile', kind: 'check' },
      seed,
      model,
    ],
  },
  dream: {
    label: 'Dream',
    verb: 'Dream',
    about: 'The network looks for what it knows, and the picture gives in: eyes, feathers, facades.',
    slots: ['content'],
    knobs: [size(384), iterations(10, 100), { id: 'layer', label: 'Layer', kind: 'layer' }, seed],
  },
  visualize: {
    label: 'Visualize',
    verb: 'Imagine',
    about: 'What does the network imagine? The picture that it answers to most, out of nothing.',
    slots: [],
    knobs: [
      { id: 'class', label: 'What it imagines', kind: 'class', usual: 130 },
      size(192),
      iterations(256, 1024),
      seed,
    ],
  },
  attack: {
    label: 'Attack',
    verb: 'Attack',
    about:
      'A change that no eye sees, and the network sees something else. The classifier looks at the central square.',
    slots: ['content'],
    knobs: [
      { id: 'class', label: 'What it shall see', kind: 'class', none: 'anything else' },
      {
        id: 'epsilon',
        label: 'Largest change of a pixel',
        kind: 'number',
        least: 1,
        most: 32,
        usual: 6,
        unit: ' / 255',
      },
      { ...size(224), values: [96, 128, 160, 192, 224, 256, 320] },
      iterations(20, 100),
    ],
  },
  invert: {
    label: 'Invert',
    verb: 'Recall',
    about: 'What does a layer remember of a photo? A picture from noise that the layer cannot tell from it.',
    slots: ['content'],
    knobs: [{ id: 'layer', label: 'Layer', kind: 'layer' }, size(192), iterations(150), seed],
  },
};

/** Those that there are, where not all are. */
const THERE = document.documentElement.dataset.samples?.split(' ');

/** Samples that are there for one click, with the method's picture that they serve as. */
export const SAMPLES = [
  { name: 'chelsea.png', as: 'content', label: 'Cat' },
  { name: 'astronaut.jpg', as: 'content', label: 'Astronaut' },
  { name: 'rocket.jpg', as: 'content', label: 'Rocket' },
  { name: 'coffee.jpg', as: 'content', label: 'Coffee' },
  { name: 'starry_night.jpg', as: 'styles', label: 'The Starry Night' },
  { name: 'brick.png', as: 'styles', label: 'Bricks' },
  { name: 'gravel.png', as: 'styles', label: 'Gravel' },
  { name: 'grass.png', as: 'styles', label: 'Grass' },
].filter(({ name }) => !THERE || THERE.includes(name));

export const MODELS = [
  { name: 'squeezenet1_1', label: 'SqueezeNet, 2.5 MB, quick' },
  { name: 'vgg19', label: 'VGG-19, 7 MB, finer' },
];
