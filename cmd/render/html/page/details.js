// Details: the panel of what is selected.

// showDetails fills the panel with what is selected.
function showDetails(app) {
  const { view } = app;
  const { sel, to } = view.filter;
  const from = lineByKey(view, sel);
  const panel = byId('details');
  if (!from) {
    replace(
      panel,
      el('h2', {}, 'Details'),
      el('p', { class: 'quiet' }, 'Select a cell or a name to see ports, Pods and the policies that decide.'),
      el(
        'details',
        { class: 'keys' },
        el('summary', {}, 'Keys'),
        el(
          'ul',
          {},
          el(
            'li',
            {},
            'Tab moves to the matrix, arrows within it; Home, End, Page Up and Page Down go further.',
          ),
          el('li', {}, 'Enter opens a cell or folds a namespace; Escape goes back to the matrix.'),
          el('li', {}, '/ goes to the search.'),
        ),
      ),
    );
    return;
  }
  const other = lineByKey(view, to);
  replace(panel, other ? pairDetails(app, from, other) : lineDetails(app, from));
}

// pairDetails returns the panel of a cell, with the way back below it.
function pairDetails(app, from, to) {
  const { view } = app;
  const single = from.party && to.party;
  const bits = bitsOf(view, from, to);
  return [
    panelHead(app, [lineLink(app, from), ' \u2192 ', lineLink(app, to)]),
    el('p', {}, badge(view.model, bits)),
    single ? pairTable(view, from.party, to.party, bits) : pairsList(app, from, to),
    lineKey(from) !== lineKey(to) &&
      el(
        'p',
        { class: 'quiet back' },
        'The other way: ',
        linkTo(
          () => app.choose(lineKey(to), lineKey(from), true),
          named(lineName(to)),
          ' \u2192 ',
          named(lineName(from)),
        ),
        ' is ',
        stateName(view.model, bitsOf(view, to, from)),
        '.',
      ),
    single && view.model.overview && el('p', { class: 'quiet' }, narrowText(from.party, to.party)),
  ];
}

function panelHead(app, title) {
  return el(
    'div',
    { class: 'panel-head' },
    el('h2', { tabindex: -1 }, ...title),
    el(
      'button',
      { type: 'button', click: () => app.choose('', ''), 'aria-label': 'Close the details' },
      '\u00d7',
    ),
  );
}

function lineLink(app, line) {
  return linkTo(() => app.choose(lineKey(line), '', true), named(lineName(line)));
}

// pairTable returns the rows of a pair as a table.
function pairTable(view, src, dst, bits) {
  const rows = bits === 0 ? [] : pairRows(view, src, dst);
  if (rows.length === 0) {
    if (bits === listBits.closed && !view.model.diff && !view.model.overview)
      return el('p', {}, whyClosed(src, dst));
    return (
      bits === 0 &&
      el(
        'p',
        { class: 'quiet' },
        view.model.diff
          ? 'Nothing changes here.'
          : 'The list says nothing of this pair, or the filter leaves it out.',
      )
    );
  }
  return el(
    'ul',
    { class: 'rows-list' },
    rows.map((row) =>
      el(
        'li',
        {},
        el(
          'p',
          { class: 'ports' },
          row.connection.kind && el('span', { class: 'quiet' }, `${changeNames[row.connection.kind]}: `),
          portsText(row.ports),
        ),
        factList([
          ['Families', rowFamilies(row)],
          ['Pods', podsText(row, src, dst)],
          ['Addresses', row.cidrs.length > 0 && longList(row.cidrs, 12)],
          ...rowRules(row).map(([direction, rule]) => [direction, rule]),
        ]),
      ),
    ),
  );
}

// pairsList returns the pairs of two lines, the first of them.
function pairsList(app, from, to) {
  const { view } = app;
  const { pairs, all } = shownPairs(view, from, to);
  return [
    el('p', { class: 'quiet' }, countsText(view, pairs, all)),
    el(
      'ul',
      { class: 'pairs' },
      pairs.slice(0, 50).map(({ src, dst, bits }) =>
        el(
          'li',
          {},
          markOf(view.model, bits),
          linkTo(
            () => app.choose(src.key, dst.key, true),
            named(fullName(src)),
            ' \u2192 ',
            named(fullName(dst)),
            el('span', { class: 'unseen' }, ', ', stateName(view.model, bits)),
          ),
        ),
      ),
    ),
    pairs.length > 50 &&
      el('p', { class: 'quiet' }, `and ${number(pairs.length - 50)} more: the list has them all.`),
  ];
}

// narrowText says how to get the report of one pair of namespaces.
function narrowText(src, dst) {
  const word = (party) =>
    party.kind === 'namespace' ? `ns/${party.name}` : party.kind === 'outside' ? 'external' : 'cluster';
  return `For its workloads: netpold list --src ${word(src)} --dst ${word(dst)} -o html`;
}

// factList returns pairs of name and value as a definition list, without those that have no value.
function factList(facts) {
  const kept = facts.filter(([, value]) => value);
  return (
    kept.length > 0 &&
    el(
      'dl',
      {},
      kept.map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]),
    )
  );
}

// longList returns a list of names that is cut to a length until the reader asks for the rest.
function longList(items, length) {
  const item = (text) => el('li', {}, named(text));
  const list = el('ul', { class: 'names' }, items.slice(0, length).map(item));
  if (items.length <= length) return list;
  const rest = el(
    'button',
    {
      type: 'button',
      class: 'link',
      click: () => {
        append(list, items.slice(length).map(item));
        rest.remove();
      },
    },
    `${number(items.length - length)} more`,
  );
  return el('div', {}, list, rest);
}
