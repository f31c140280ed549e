// Matrix: sources down, destinations across. Only what is in sight is drawn: the marks on a canvas as large
// as the window onto the matrix, the names beside it as elements. The scroll bars belong to an empty element
// of the matrix's whole size, so that scrolling is the browser's own.

const cellSize = 24;

// newMatrix builds the matrix in a view. show draws a grid; draw draws it again.
function newMatrix(host) {
  const canvas = el('canvas', { 'aria-hidden': 'true' });
  const rows = el('div', { class: 'rows', 'aria-hidden': 'true' });
  const columns = el('div', { class: 'columns', 'aria-hidden': 'true' });
  const corner = el(
    'div',
    { class: 'corner', 'aria-hidden': 'true' },
    el('span', { class: 'to' }, 'to \u2192'),
    el('span', { class: 'from' }, 'from \u2193'),
  );
  const layer = el('div', { class: 'layer', role: 'grid' });
  const frame = el('div', { class: 'frame' }, canvas, columns, rows, corner, layer);
  const sizer = el('div', { class: 'sizer' }, frame);
  const scroller = el('div', { class: 'matrix' }, sizer);
  const empty = el('p', { class: 'empty', hidden: true }, 'Nothing matches the filter.');
  host.append(scroller, empty);

  const matrix = {
    scroller,
    frame,
    canvas,
    rows,
    columns,
    corner,
    layer,
    sizer,
    empty,
    view: null,
    grid: { rows: [], columns: [], bitsAt: () => 0 },
    hover: null,
    selected: null,
    left: 0,
    top: 0,
    colours: null,
    mark: null,
    pending: false,
    afterDraw: () => {},
  };
  matrix.draw = () => {
    if (matrix.pending) return;
    matrix.pending = true;
    requestAnimationFrame(() => {
      matrix.pending = false;
      drawMatrix(matrix);
    });
  };
  matrix.show = (view, selected) => {
    matrix.view = view;
    matrix.grid = gridOf(view);
    matrix.selected = selected;
    matrix.hover = null;
    measure(matrix);
    matrix.draw();
  };
  scroller.addEventListener('scroll', matrix.draw, { passive: true });
  const sizes = new ResizeObserver(() => {
    if (matrix.view) measure(matrix);
    matrix.draw();
  });
  sizes.observe(host);
  sizes.observe(scroller);
  for (const query of [
    '(prefers-color-scheme: dark)',
    '(forced-colors: active)',
    '(prefers-contrast: more)',
  ]) {
    matchMedia(query).addEventListener('change', () => {
      matrix.colours = null;
      matrix.draw();
    });
  }
  return matrix;
}

// measure gives the names as much room as they need, up to a limit, and the sizer the size of all cells.
function measure(matrix) {
  const { grid, sizer, scroller, empty } = matrix;
  const pen = matrix.canvas.getContext('2d');
  const { font } = getComputedStyle(matrix.rows);
  const widest = (lines, most) => {
    let width = 60;
    for (const line of lines) {
      if (width >= most) break;
      pen.font = line.party ? font : `bold ${font}`;
      const indent = line.section && line.party ? 40 : 34;
      width = Math.max(width, pen.measureText(visible(line.label)).width + indent);
    }
    return Math.ceil(Math.min(width, most));
  };
  const narrow = document.documentElement.clientWidth < 700;
  matrix.left = widest(grid.rows, narrow ? 128 : 260);
  matrix.top = widest(grid.columns, narrow ? 112 : 190);
  sizer.style.width = `${matrix.left + grid.columns.length * cellSize + 1}px`;
  sizer.style.height = `${matrix.top + grid.rows.length * cellSize + 1}px`;
  const none = grid.rows.length === 0 || grid.columns.length === 0;
  scroller.hidden = none;
  empty.hidden = !none;
}

// drawMatrix draws what is in sight.
function drawMatrix(matrix) {
  const { scroller, frame, canvas, corner, grid, left, top } = matrix;
  const width = scroller.clientWidth;
  const height = scroller.clientHeight;
  if (!matrix.view || width === 0) return;
  const scale = window.devicePixelRatio || 1;
  if (!matrix.colours || matrix.scale !== scale) {
    matrix.colours = readColours();
    matrix.scale = scale;
    matrix.mark = marker(matrix.view.model, matrix.colours, scale);
  }
  frame.style.width = canvas.style.width = `${width}px`;
  frame.style.height = canvas.style.height = `${height}px`;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  corner.style.width = `${left}px`;
  corner.style.height = `${top}px`;
  const sight = {
    x: scroller.scrollLeft,
    y: scroller.scrollTop,
    width,
    height,
    firstRow: Math.floor(scroller.scrollTop / cellSize),
    firstColumn: Math.floor(scroller.scrollLeft / cellSize),
  };
  sight.lastRow = Math.min(grid.rows.length - 1, Math.floor((sight.y + height - top) / cellSize));
  sight.lastColumn = Math.min(grid.columns.length - 1, Math.floor((sight.x + width - left) / cellSize));
  drawCells(matrix, sight, scale);
  drawNames(matrix, sight);
  matrix.afterDraw();
}

// drawCells draws bands, marks and lines on the canvas.
function drawCells(matrix, sight, scale) {
  const { canvas, grid, left, top, colours, hover } = matrix;
  const pen = canvas.getContext('2d');
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.fillStyle = colours['--page'];
  pen.fillRect(0, 0, canvas.width, canvas.height);
  const x = (column) => left + column * cellSize - sight.x;
  const y = (row) => top + row * cellSize - sight.y;
  const right = Math.min(sight.width, x(grid.columns.length));
  const bottom = Math.min(sight.height, y(grid.rows.length));
  const fill = (colour, fromX, fromY, toX, toY) => {
    pen.fillStyle = colour;
    pen.fillRect(fromX * scale, fromY * scale, (toX - fromX) * scale, (toY - fromY) * scale);
  };
  pen.save();
  pen.beginPath();
  pen.rect(left * scale, top * scale, canvas.width, canvas.height);
  pen.clip();
  for (let row = sight.firstRow; row <= sight.lastRow; row++) {
    if (!grid.rows[row].party) fill(colours['--band'], left, y(row), right, y(row + 1));
  }
  for (let column = sight.firstColumn; column <= sight.lastColumn; column++) {
    if (!grid.columns[column].party) fill(colours['--band'], x(column), top, x(column + 1), bottom);
  }
  if (hover && hover.row >= 0) fill(colours['--cross'], left, y(hover.row), right, y(hover.row + 1));
  if (hover && hover.column >= 0) fill(colours['--cross'], x(hover.column), top, x(hover.column + 1), bottom);
  for (let row = sight.firstRow; row <= sight.lastRow; row++) {
    for (let column = sight.firstColumn; column <= sight.lastColumn; column++) {
      matrix.mark(pen, grid.bitsAt(grid.rows[row], grid.columns[column]), x(column), y(row));
    }
  }
  for (let row = sight.firstRow; row <= sight.lastRow + 1; row++) {
    if (row === 0 || !grid.rows[row]?.party || row === grid.rows.length)
      fill(colours['--line'], left, y(row), right, y(row) + 1);
  }
  for (let column = sight.firstColumn; column <= sight.lastColumn + 1; column++) {
    if (column === 0 || !grid.columns[column]?.party || column === grid.columns.length) {
      fill(colours['--line'], x(column), top, x(column) + 1, bottom);
    }
  }
  outlineSelected(matrix, pen, { x, y, right, bottom, scale });
  pen.restore();
}

// outlineSelected frames the selected cell, or the row and column of one selected party.
function outlineSelected(matrix, pen, { x, y, right, bottom, scale }) {
  const { selected, grid, left, top, colours } = matrix;
  if (!selected) return;
  const row = grid.rows.findIndex((line) => lineKey(line) === selected.sel);
  const column = grid.columns.findIndex((line) => lineKey(line) === (selected.to || selected.sel));
  pen.strokeStyle = colours['--focus'];
  pen.lineWidth = 2 * scale;
  const frame = (fromX, fromY, toX, toY) => {
    pen.strokeRect(
      (fromX + 1) * scale,
      (fromY + 1) * scale,
      (toX - fromX - 1) * scale,
      (toY - fromY - 1) * scale,
    );
  };
  if (selected.to) {
    if (row >= 0 && column >= 0) frame(x(column), y(row), x(column + 1), y(row + 1));
    return;
  }
  if (row >= 0) frame(left, y(row), right, y(row + 1));
  if (column >= 0) frame(x(column), top, x(column + 1), bottom);
}

// drawNames puts the names of the lines in sight beside the canvas. Elements are used again.
function drawNames(matrix, sight) {
  const { grid, rows, columns, left, top, view } = matrix;
  rows.style.width = `${left}px`;
  rows.style.top = columns.style.height = `${top}px`;
  columns.style.left = `${left}px`;
  const place = (host, lines, first, last, offset, way) => {
    const count = Math.max(0, last - first + 1);
    while (host.children.length > count) host.lastChild.remove();
    while (host.children.length < count) host.append(el('div', { class: 'line' }, named('')));
    for (let i = 0; i < count; i++) {
      const line = lines[first + i];
      const node = host.children[i];
      const text = visible(line.label);
      node.className = lineClass(view, line);
      if (node.firstChild.textContent !== text) node.firstChild.textContent = text;
      node.style[way] = `${(first + i) * cellSize - offset}px`;
    }
  };
  place(rows, grid.rows, sight.firstRow, sight.lastRow, sight.y, 'top');
  place(columns, grid.columns, sight.firstColumn, sight.lastColumn, sight.x, 'left');
}

function lineClass(view, line) {
  if (!line.party) return `line section ${line.open ? 'open' : 'shut'}`;
  const presence = line.party.groups[0]?.presence;
  const changed = presence === 'PRESENCE_BEFORE' ? ' before' : presence === 'PRESENCE_AFTER' ? ' after' : '';
  const beside = view.matched[line.party.index] ? '' : ' beside';
  return `line party${line.section ? ' inner' : ''}${changed}${beside}`;
}

// cellAt returns the lines under a point of the frame; -1 stands for the names. Null outside.
function cellAt(matrix, clientX, clientY) {
  const { scroller, frame, grid, left, top } = matrix;
  const box = frame.getBoundingClientRect();
  const x = clientX - box.left;
  const y = clientY - box.top;
  const row = y < top ? -1 : Math.floor((y - top + scroller.scrollTop) / cellSize);
  const column = x < left ? -1 : Math.floor((x - left + scroller.scrollLeft) / cellSize);
  if (x < 0 || y < 0 || row >= grid.rows.length || column >= grid.columns.length || (row < 0 && column < 0))
    return null;
  return { row, column };
}

// boxOf returns where a cell, or a name, is in the frame.
function boxOf(matrix, { row, column }) {
  const { scroller, left, top } = matrix;
  return {
    x: column < 0 ? 0 : left + column * cellSize - scroller.scrollLeft,
    width: column < 0 ? left : cellSize,
    y: row < 0 ? 0 : top + row * cellSize - scroller.scrollTop,
    height: row < 0 ? top : cellSize,
  };
}

// reveal scrolls so that a cell is in sight.
function reveal(matrix, { row, column }) {
  const { scroller, left, top } = matrix;
  const into = (at, from, length, size) =>
    at < from ? at : at + size > from + length ? at + size - length : from;
  if (column >= 0)
    scroller.scrollLeft = into(column * cellSize, scroller.scrollLeft, scroller.clientWidth - left, cellSize);
  if (row >= 0)
    scroller.scrollTop = into(row * cellSize, scroller.scrollTop, scroller.clientHeight - top, cellSize);
}
