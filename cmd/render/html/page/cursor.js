// Cursor: the matrix by keyboard and pointer. Of the grid that assistive technology sees, one cell at a time
// exists: the one with the focus, with its row and column numbers. It lies over the canvas.

// newCursor gives a matrix its keyboard and pointer. app.choose selects lines, app.fold folds a section.
function newCursor(matrix, app) {
  const cursor = { matrix, app, row: 0, column: 0, cell: null };
  const { frame, layer } = matrix;
  matrix.afterDraw = () => placeCursor(cursor);
  frame.addEventListener('keydown', (event) => onKey(cursor, event));
  frame.addEventListener('pointermove', (event) => {
    if (event.pointerType !== 'touch') hoverAt(cursor, cellAt(matrix, event.clientX, event.clientY));
  });
  frame.addEventListener('pointerleave', () => hoverAt(cursor, null));
  frame.addEventListener('click', (event) => {
    const at = cellAt(matrix, event.clientX, event.clientY);
    if (!at) return;
    moveTo(cursor, at, true);
    activate(cursor);
  });
  layer.addEventListener('focusin', () => {
    if (cursor.cell) showTip(cursor, cursor);
  });
  layer.addEventListener('focusout', hideTip);
  return cursor;
}

// resetCursor keeps the cursor within a grid that has changed, and the focus on it if it had it.
function resetCursor(cursor, focused) {
  const { rows, columns } = cursor.matrix.grid;
  const at = {
    row: Math.min(cursor.row, rows.length - 1),
    column: Math.min(cursor.column, columns.length - 1),
  };
  // The corner has no name to be on; a grid that was empty leads there.
  if (at.row < 0 && at.column < 0) at.row = at.column = 0;
  moveTo(cursor, at, focused);
  hideTip();
}

// moveTo puts the cursor on a cell: a new element each time, so that a screen reader reads it.
function moveTo(cursor, { row, column }, focus) {
  const { matrix } = cursor;
  const { grid, layer, view } = matrix;
  cursor.row = row;
  cursor.column = column;
  if (grid.rows.length === 0 || grid.columns.length === 0) {
    layer.replaceChildren();
    cursor.cell = null;
    return;
  }
  layer.setAttribute(
    'aria-label',
    view.model.diff ? 'What changes, from row to column' : 'Who may reach whom, from row to column',
  );
  layer.setAttribute('aria-rowcount', grid.rows.length + 1);
  layer.setAttribute('aria-colcount', grid.columns.length + 1);
  const role = row < 0 ? 'columnheader' : column < 0 ? 'rowheader' : 'gridcell';
  const line = row < 0 ? grid.columns[column] : column < 0 ? grid.rows[row] : null;
  cursor.cell = el('div', {
    class: 'cursor',
    role,
    tabindex: 0,
    'aria-colindex': column + 2,
    'aria-label': cellLabel(matrix, row, column),
    'aria-expanded': line && !line.party ? String(line.open) : null,
  });
  layer.replaceChildren(el('div', { role: 'row', 'aria-rowindex': row + 2 }, cursor.cell));
  if (focus) {
    reveal(matrix, cursor);
    placeCursor(cursor);
    cursor.cell.focus({ preventScroll: true });
    matrix.hover = { row, column };
    matrix.draw();
  } else {
    placeCursor(cursor);
  }
}

// cellLabel is what a screen reader says of a cell.
function cellLabel(matrix, row, column) {
  const { grid, view } = matrix;
  if (row < 0) return `to ${visible(lineName(grid.columns[column]))}`;
  if (column < 0) return `from ${visible(lineName(grid.rows[row]))}`;
  return visible(cellText(view, grid.rows[row], grid.columns[column]));
}

function placeCursor(cursor) {
  if (!cursor.cell) return;
  const box = boxOf(cursor.matrix, cursor);
  const { style } = cursor.cell;
  style.left = `${box.x}px`;
  style.top = `${box.y}px`;
  style.width = `${box.width}px`;
  style.height = `${box.height}px`;
}

function onKey(cursor, event) {
  const { grid, scroller, top, left } = cursor.matrix;
  const page = {
    rows: Math.max(1, Math.floor((scroller.clientHeight - top) / cellSize) - 1),
    columns: Math.max(1, Math.floor((scroller.clientWidth - left) / cellSize) - 1),
  };
  const last = { row: grid.rows.length - 1, column: grid.columns.length - 1 };
  let { row, column } = cursor;
  switch (event.key) {
    case 'ArrowUp':
      row--;
      break;
    case 'ArrowDown':
      row++;
      break;
    case 'ArrowLeft':
      column--;
      break;
    case 'ArrowRight':
      column++;
      break;
    case 'PageUp':
      row = Math.max(0, row - page.rows);
      break;
    case 'PageDown':
      row += page.rows;
      break;
    case 'Home':
      column = 0;
      if (event.ctrlKey) row = 0;
      break;
    case 'End':
      column = last.column;
      if (event.ctrlKey) row = last.row;
      break;
    case 'Enter':
    case ' ':
      event.preventDefault();
      activate(cursor, true);
      return;
    case 'Escape':
      hideTip();
      return;
    default:
      return;
  }
  event.preventDefault();
  row = Math.max(-1, Math.min(last.row, row));
  column = Math.max(-1, Math.min(last.column, column));
  if (row < 0 && column < 0) return;
  moveTo(cursor, { row, column }, true);
}

// activate folds or unfolds a section by its name, and selects everything else. By keyboard the focus follows
// into the details; Escape there brings it back.
function activate(cursor, enter) {
  const { grid } = cursor.matrix;
  const { row, column, app } = cursor;
  if (row >= 0 && column >= 0) {
    app.choose(lineKey(grid.rows[row]), lineKey(grid.columns[column]), enter);
    return;
  }
  const line = row < 0 ? grid.columns[column] : grid.rows[row];
  if (line.party) {
    app.choose(line.party.key, '', enter);
  } else {
    app.fold(line.section);
  }
}

function hoverAt(cursor, at) {
  const { matrix } = cursor;
  const was = matrix.hover;
  if (was && at && was.row === at.row && was.column === at.column) return;
  matrix.hover = at;
  matrix.draw();
  if (at) {
    showTip(cursor, at);
  } else {
    hideTip();
  }
}

// showTip says beside a cell what is in it.
function showTip(cursor, at) {
  const { matrix } = cursor;
  const { grid, view } = matrix;
  const tip = byId('tip');
  if (at.row >= 0 && at.column >= 0) {
    replace(tip, pairTip(view, grid.rows[at.row], grid.columns[at.column]));
  } else {
    replace(tip, lineTip(view, at.row < 0 ? grid.columns[at.column] : grid.rows[at.row]));
  }
  tip.hidden = false;
  const box = boxOf(matrix, at);
  const frame = matrix.frame.getBoundingClientRect();
  const screen = document.documentElement;
  const x = frame.left + Math.min(box.x + box.width, matrix.left + 400) + 8;
  const below = frame.top + box.y + box.height + 8;
  const above = frame.top + box.y - tip.offsetHeight - 8;
  tip.style.left = `${Math.max(4, Math.min(x, screen.clientWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${below + tip.offsetHeight > screen.clientHeight && above > 0 ? above : below}px`;
}

function hideTip() {
  byId('tip').hidden = true;
}
