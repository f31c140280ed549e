// Graph: who reaches what is selected, and what it reaches: sources left, the selection in the middle,
// destinations right, an arrow for each. The parties are buttons, the arrows lie under them.

// graphLimit is how many parties a side shows one by one; the rest are counted.
const graphLimit = 40;

// showGraph draws the graph of the selection, or says how to get one.
function showGraph(app) {
  const { view } = app;
  const host = byId('graph-view');
  const from = lineByKey(view, view.filter.sel);
  if (!from) {
    replace(
      host,
      el(
        'p',
        { class: 'empty' },
        'Select a workload, a namespace or a cell in the matrix or the list; its graph is drawn here.',
      ),
    );
    return;
  }
  const to = lineByKey(view, view.filter.to);
  const nodes = to ? pairGraph(view, from, to) : lineGraph(view, from);
  const arrows = drawn('svg', { class: 'arrows', 'aria-hidden': 'true' });
  const column = (title, list, kind) =>
    el(
      'div',
      { class: `graph-column ${kind}` },
      el('h3', {}, title),
      el(
        'ul',
        {},
        list.shown.map((node) => el('li', {}, graphNode(app, node))),
      ),
      list.more > 0 && el('p', { class: 'quiet' }, `and ${number(list.more)} more; narrow with the filter`),
    );
  const word = view.model.diff
    ? ['Changed sources', 'Changed destinations']
    : ['May reach it', 'It may reach'];
  const board = el(
    'div',
    { class: 'graph' },
    arrows,
    nodes.left && column(word[0], nodes.left, 'left'),
    column(to ? 'Source' : 'Selected', nodes.middle, 'middle'),
    column(to ? 'Destination' : word[1], nodes.right, 'right'),
  );
  replace(host, board);
  const lines = () => drawArrows(board, arrows, nodes);
  lines();
  app.graphSize?.disconnect();
  app.graphSize = new ResizeObserver(lines);
  app.graphSize.observe(board);
}

// lineGraph returns the nodes of one selected line.
function lineGraph(view, line) {
  const middle = { line, text: '' };
  const side = (away) => {
    const all = partners(view, line, away);
    const shown = all.slice(0, graphLimit).map(({ party, bits }) => {
      const other = { party, section: party.section, label: party.label };
      const text = away ? pairWords(view, line, other) : pairWords(view, other, line);
      return { line: other, bits, text, pair: away ? [line, other] : [other, line] };
    });
    return { shown, more: all.length - shown.length };
  };
  return { left: side(false), middle: { shown: [middle], more: 0 }, right: side(true) };
}

// pairGraph returns the nodes of a selected cell: its two ends, and the arrow between them.
function pairGraph(view, from, to) {
  const bits = bitsOf(view, from, to);
  return {
    left: null,
    middle: { shown: [{ line: from, text: '' }], more: 0 },
    right: { shown: [{ line: to, bits, text: pairWords(view, from, to), pair: [from, to] }], more: 0 },
  };
}

// pairWords says the ports of a pair in a few words.
function pairWords(view, from, to) {
  if (from.party && to.party) {
    const rows = pairRows(view, from.party, to.party);
    const ports = joinPorts(...rows.map((row) => row.ports));
    const kinds = [...new Set(rows.map((row) => changeNames[row.connection.kind]).filter((kind) => kind))];
    if (rows.length > 0) return `${kinds.join(' and ')} ${portsText(ports, 4)}`.trim();
    return stateName(view.model, bitsOf(view, from, to));
  }
  const { pairs, all } = shownPairs(view, from, to);
  return view.model.diff
    ? countsText(view, pairs, all)
    : `${number(pairs.length)} of ${counted(all, 'pair')}`;
}

function graphNode(app, node) {
  const { model } = app.view;
  const choose = () => (node.pair ? app.choose(lineKey(node.line), '') : app.choose(lineKey(node.line), ''));
  node.element = el(
    'button',
    { type: 'button', class: 'node', click: choose },
    named(lineName(node.line)),
    node.text &&
      el(
        'span',
        { class: 'node-ports' },
        node.bits ? markOf(model, node.bits) : false,
        el('span', { class: 'unseen' }, node.bits ? `${stateName(model, node.bits)}, ` : ''),
        node.text,
      ),
  );
  return node.element;
}

// drawArrows draws a line from each source to the middle, and from there to each destination.
function drawArrows(board, arrows, nodes) {
  const frame = board.getBoundingClientRect();
  arrows.setAttribute('width', board.scrollWidth);
  arrows.setAttribute('height', board.scrollHeight);
  const edge = (node, right) => {
    const box = node.element.getBoundingClientRect();
    return { x: (right ? box.right : box.left) - frame.left, y: box.top + box.height / 2 - frame.top };
  };
  const stacked = getComputedStyle(board).flexDirection === 'column';
  const middle = nodes.middle.shown[0];
  const paths = [];
  const arrow = (from, to, bits) => {
    const half = (from.x + to.x) / 2;
    const colour = bits === 0 || (!nodes.diff && bits === listBits.closed) ? 'none' : 'some';
    paths.push(
      drawn('path', {
        class: `arrow ${colour}`,
        d: `M${from.x} ${from.y}C${half} ${from.y} ${half} ${to.y} ${to.x - 7} ${to.y}`,
      }),
      drawn('path', {
        class: `tip ${colour}`,
        d: `M${to.x - 8} ${to.y - 4}L${to.x} ${to.y}L${to.x - 8} ${to.y + 4}z`,
      }),
    );
  };
  if (!stacked) {
    for (const node of nodes.left ? nodes.left.shown : [])
      arrow(edge(node, true), edge(middle, false), node.bits);
    for (const node of nodes.right.shown) arrow(edge(middle, true), edge(node, false), node.bits);
  }
  replace(arrows, paths);
}
