// List: the same as the matrix in a table, for screen readers and for print. It has a line for each pair and
// set of ports, so many at a time.

const listStep = 500;
const printLimit = 5000;

// listLines gives the lines of a view one after the other, so that a long list costs nothing before it is
// read.
function* listLines(view) {
  const { model } = view;
  for (const src of model.parties) {
    for (const dst of model.parties) {
      const bits = stateAt(view, src, dst);
      if (bits === 0 || (!model.diff && bits === listBits.closed)) continue;
      for (const row of pairRows(view, src, dst)) yield { src, dst, bits, row };
    }
  }
}

// showList begins the table anew. The roles keep it a table where a narrow screen shows it as blocks.
function showList(app) {
  const { view } = app;
  const body = el('tbody', { role: 'rowgroup' });
  const more = el('button', { type: 'button', click: () => fill(listStep) });
  const lines = listLines(view);
  const headings = [
    view.model.diff ? 'Change' : 'State',
    'Source',
    'Destination',
    'Ports',
    'Only',
    'Allowed by',
  ];
  replace(
    byId('list-view'),
    el(
      'table',
      { class: 'list', role: 'table' },
      el(
        'caption',
        {},
        counted(view.totals.pairs, 'pair'),
        view.model.diff ? ' with changes' : ' with something allowed',
        isNarrow(view.filter) && `, filtered by ${filterText(view.filter)}`,
      ),
      el(
        'thead',
        { role: 'rowgroup' },
        el(
          'tr',
          { role: 'row' },
          headings.map((heading) => el('th', { scope: 'col', role: 'columnheader' }, heading)),
        ),
      ),
      body,
    ),
    el('p', { class: 'more' }, more),
  );
  let count = 0;
  let next = lines.next();
  const fill = (step) => {
    for (let i = 0; i < step && !next.done; i++) {
      body.append(listRow(app, next.value));
      next = lines.next();
      count++;
    }
    replace(more, `Show ${listStep} more lines`);
    more.hidden = next.done;
    body.parentNode.dataset.lines = count;
    body.parentNode.classList.toggle('cut', !next.done);
  };
  fill(listStep);
  app.fillList = () => fill(Math.max(0, printLimit - count));
  app.listIsCut = () => !next.done;
}

function listRow(app, { src, dst, bits, row }) {
  const { model } = app.view;
  const { kind } = row.connection;
  const only = [rowFamilies(row), podsText(row, src, dst) && `Pods ${podsText(row, src, dst)}`].filter(
    (text) => text,
  );
  const rules = rowRules(row).map(([direction, rule]) =>
    el('div', {}, el('span', { class: 'quiet' }, `${direction} `), named(rule)),
  );
  const cell = (...children) => el('td', { role: 'cell' }, ...children);
  return el(
    'tr',
    { role: 'row' },
    cell(badge(model, kind ? changeBits[kind] || 0 : bits)),
    cell(
      linkTo(() => app.choose(src.key, ''), named(fullName(src))),
      src.kind === 'outside' && el('div', { class: 'cidrs' }, cidrsText(row.cidrs, 20)),
    ),
    cell(
      linkTo(() => app.choose(dst.key, ''), named(fullName(dst))),
      dst.kind === 'outside' && el('div', { class: 'cidrs' }, cidrsText(row.cidrs, 20)),
    ),
    el('td', { role: 'cell', class: 'ports' }, portsText(row.ports)),
    cell(only.join(', ')),
    cell(rules),
  );
}
