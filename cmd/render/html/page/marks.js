// Marks: a shape for each state, so that colour is never the only sign. The matrix, the legend and the list
// draw the same shapes, in a square of 24.

const square = 'M7 5h10a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H7a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2z';
const lowerHalf = 'M5 7v10a2 2 0 0 0 2 2h10a2 2 0 0 0 1.4-.6L5.6 5.6A2 2 0 0 0 5 7z';
const upperHalf = 'M18.4 5.6A2 2 0 0 0 17 5H7a2 2 0 0 0-2 2v10a2 2 0 0 0 .6 1.4z';
const plus = 'M12 8v8M8 12h8';
const minus = 'M8 12h8';
const wave = 'M7.5 13.5c1.5-3 3-3 4.5-1.5s3 1.5 4.5-1.5';

// shapesOf returns the parts of a mark: [fill or stroke, path, colour], colour being a CSS variable.
function shapesOf(model, bits) {
  if (!model.diff) {
    if (bits === 0) return [];
    if (bits === listBits.closed) return [['fill', 'M9 11h6v2H9z', '--closed']];
    if (bits === listBits.open) return [['fill', square, '--open']];
    return [
      ['fill', lowerHalf, '--partly'],
      ['stroke', square, '--partly'],
    ];
  }
  const opened = bits & diffBits.opened;
  const closed = bits & diffBits.closed;
  if (opened && closed)
    return [
      ['fill', upperHalf, '--open'],
      ['stroke', square, '--partly'],
      ['stroke', 'M13 15.5h4', '--partly'],
    ];
  if (opened)
    return [
      ['fill', square, '--open'],
      ['stroke', plus, '--on-mark'],
    ];
  if (closed)
    return [
      ['stroke', square, '--partly'],
      ['stroke', minus, '--partly'],
    ];
  if (bits & diffBits.families)
    return [
      ['stroke', square, '--other'],
      ['stroke', wave, '--other'],
    ];
  return [];
}

// marker returns a function that draws marks on a canvas, each painted once and then copied.
function marker(model, colours, scale) {
  const kept = new Map();
  const side = Math.ceil(cellSize * scale);
  const paint = (bits) => {
    const canvas = el('canvas', { width: side, height: side });
    const pen = canvas.getContext('2d');
    pen.scale(side / 24, side / 24);
    pen.lineWidth = 1.6;
    pen.lineCap = 'round';
    for (const [how, path, colour] of shapesOf(model, bits)) {
      pen[how + 'Style'] = colours[colour];
      pen[how](new Path2D(path));
    }
    return canvas;
  };
  return (pen, bits, x, y) => {
    if (bits === 0) return;
    if (!kept.has(bits)) kept.set(bits, paint(bits));
    pen.drawImage(kept.get(bits), Math.round(x * scale), Math.round(y * scale));
  };
}

// markOf returns the same mark as an element, for text.
function markOf(model, bits) {
  return drawn(
    'svg',
    { class: 'mark', viewBox: '0 0 24 24', width: 18, height: 18, 'aria-hidden': 'true' },
    shapesOf(model, bits).map(([how, path, colour]) => drawn('path', { d: path, class: how + colour })),
  );
}

// badge returns a state as mark and word.
function badge(model, bits) {
  return el('span', { class: 'badge' }, markOf(model, bits), stateName(model, bits));
}

// legendOf returns what each mark means.
function legendOf(model) {
  const entries = model.diff
    ? [
        [1, 'opened: denied before, allowed after'],
        [2, 'closed: allowed before, denied after'],
        [3, 'both, on different ports'],
        [4, 'allowed in other address families'],
        [0, 'blank: unchanged'],
      ]
    : [
        [4, 'open: every port'],
        [2, 'partly open: some ports, Pods or addresses'],
        [1, 'closed'],
        [0, 'blank: not in this list'],
      ];
  return el(
    'ul',
    { class: 'legend', 'aria-label': 'Marks' },
    entries.map(([bits, text]) =>
      el('li', {}, bits ? markOf(model, bits) : el('span', { class: 'blank' }), text),
    ),
  );
}

// readColours returns the colours of the style sheet, which follow the reader's scheme and contrast.
function readColours() {
  const style = getComputedStyle(document.documentElement);
  const colours = {};
  for (const name of [
    '--open',
    '--partly',
    '--closed',
    '--other',
    '--on-mark',
    '--page',
    '--band',
    '--line',
    '--cross',
    '--focus',
  ]) {
    colours[name] = style.getPropertyValue(name).trim();
  }
  return colours;
}
