// Details: what is known of a cell or a line, in a tip beside it and, when it is selected, in the panel.

// bitsOf returns the bits of a pair of lines, whatever is folded.
function bitsOf(view, from, to) {
  let bits = 0;
  for (const src of lineParties(from)) for (const dst of lineParties(to)) bits |= stateAt(view, src, dst);
  return bits;
}

// shownPairs returns the pairs of two lines that the filter shows and that are more than closed.
function shownPairs(view, from, to) {
  const pairs = [];
  let all = 0;
  for (const src of lineParties(from)) {
    for (const dst of lineParties(to)) {
      const bits = stateAt(view, src, dst);
      if (bits !== 0) all++;
      if (bits !== 0 && (view.model.diff || bits !== listBits.closed)) pairs.push({ src, dst, bits });
    }
  }
  return { pairs, all };
}

// rowText writes a row as words: "TCP 5432, IPv4 only; egress by shop/web rule 0".
function rowText(row, src, dst) {
  const parts = [portsText(row.ports, 8)];
  if (row.connection.kind) parts.unshift(changeNames[row.connection.kind]);
  const families = rowFamilies(row);
  if (families) parts.push(families);
  const pods = podsText(row, src, dst);
  if (pods) parts.push(`Pods ${pods}`);
  if (row.cidrs.length > 0) parts.push(cidrsText(row.cidrs, 3));
  const rules = rowRules(row).map(([direction, rule]) => `${direction} by ${rule}`);
  return parts.join(' ') + (rules.length > 0 ? '; ' + rules.join(', ') : '');
}

function cidrsText(cidrs, limit) {
  const more = cidrs.length - limit;
  return cidrs.slice(0, limit).join(', ') + (more > 0 ? ` and ${number(more)} more` : '');
}

// cellText says a whole cell in one line.
function cellText(view, from, to) {
  const bits = bitsOf(view, from, to);
  const head = `${lineName(from)} to ${lineName(to)}: ${stateName(view.model, bits)}`;
  if (from.party && to.party) {
    const rows = pairRows(view, from.party, to.party);
    const shown = bits === 0 ? [] : rows;
    return [head, ...shown.slice(0, 4).map((row) => rowText(row, from.party, to.party))].join('. ');
  }
  const { pairs, all } = shownPairs(view, from, to);
  return `${head}. ${countsText(view, pairs, all)}`;
}

function countsText(view, pairs, all) {
  if (view.model.diff) return counted(pairs.length, 'changed pair');
  const open = pairs.filter((pair) => pair.bits === listBits.open).length;
  return `${number(open)} open and ${number(pairs.length - open)} partly open of ${counted(all, 'pair')}`;
}

// pairTip is the tip of a cell.
function pairTip(view, from, to) {
  const bits = bitsOf(view, from, to);
  const title = el('p', { class: 'tip-title' }, named(lineName(from)), ' \u2192 ', named(lineName(to)));
  const state = el('p', {}, badge(view.model, bits));
  if (!from.party || !to.party) {
    const { pairs, all } = shownPairs(view, from, to);
    return [title, state, all > 0 && el('p', { class: 'quiet' }, countsText(view, pairs, all))];
  }
  const rows = bits === 0 ? [] : pairRows(view, from.party, to.party);
  const list = el('ul', { class: 'tip-rows' }, rows.slice(0, 5).map((row) => el('li', {},
    el('strong', {}, row.connection.kind ? `${changeNames[row.connection.kind]} ` : '', portsText(row.ports, 8)),
    [rowFamilies(row), podsText(row, from.party, to.party) && `Pods ${podsText(row, from.party, to.party)}`,
      row.cidrs.length > 0 && cidrsText(row.cidrs, 3)].filter((text) => text).map((text) => ` ${text}`),
    rowRules(row).map(([direction, rule]) => el('div', { class: 'quiet' }, `${direction} by `, named(rule))))));
  return [title, state, rows.length > 0 && list,
    rows.length > 5 && el('p', { class: 'quiet' }, `and ${rows.length - 5} more`),
    bits === listBits.closed && !view.model.diff && !view.model.overview
      && el('p', { class: 'quiet' }, whyClosed(from.party, to.party))];
}

// lineTip is the tip of a name.
function lineTip(view, line) {
  return [el('p', { class: 'tip-title' }, named(lineName(line))), el('p', { class: 'quiet' }, describe(line))];
}

// describe says what a line stands for.
function describe(line) {
  if (!line.party) {
    return `${counted(line.parties.length, 'line')}, ${line.open ? 'unfolded' : 'folded'}`;
  }
  const { party } = line;
  if (party.kind === 'outside') return 'Addresses that no Pod, Node or Service owns';
  if (party.kind === 'service') return 'A port of a Service';
  if (party.kind === 'namespace') {
    return `${counted(party.workloads, 'workload')}, ${counted(party.pods, 'Pod')}; not isolated for egress: `
      + `${number(party.notIsolated.egress)}, for ingress: ${number(party.notIsolated.ingress)}`;
  }
  if (party.kind !== 'pods') return party.workloadKind || '';
  const parts = [party.workloadKind === 'Labels' ? 'Pods that need not exist' : `${party.workloadKind}, ${counted(party.pods, 'Pod')}`];
  if (party.hostNetwork) parts.push('on the host network, where no policy applies');
  parts.push(isolationText(party));
  return parts.join('; ');
}

function isolationText(party) {
  const words = [];
  for (const [direction, open] of [['egress', 'openEgress'], ['ingress', 'openIngress']]) {
    const free = party.groups.filter((group) => group[open]).length;
    const how = free === 0 ? 'isolated' : free === party.groups.length ? 'not isolated' : 'partly isolated';
    words.push(`${how} for ${direction}`);
  }
  return words.join(', ');
}

// showDetails fills the panel with what is selected.
function showDetails(app) {
  const { view } = app;
  const { sel, to } = view.filter;
  const from = lineByKey(view, sel);
  const panel = byId('details');
  if (!from) {
    replace(panel, el('h2', {}, 'Details'), el('p', { class: 'quiet' },
      'Select a cell or a name to see ports, Pods and the policies that decide.'), el('details', { class: 'keys' },
      el('summary', {}, 'Keys'), el('ul', {},
        el('li', {}, 'Tab moves to the matrix, arrows within it; Home, End, Page Up and Page Down go further.'),
        el('li', {}, 'Enter opens a cell or folds a namespace; Escape goes back to the matrix.'),
        el('li', {}, '/ goes to the search.'))));
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
    lineKey(from) !== lineKey(to) && el('p', { class: 'quiet back' }, 'The other way: ',
      linkTo(() => app.choose(lineKey(to), lineKey(from), true), named(lineName(to)), ' \u2192 ', named(lineName(from))),
      ' is ', stateName(view.model, bitsOf(view, to, from)), '.'),
    single && view.model.overview && el('p', { class: 'quiet' }, narrowText(from.party, to.party)),
  ];
}

function panelHead(app, title) {
  return el('div', { class: 'panel-head' }, el('h2', { tabindex: -1 }, ...title),
    el('button', { type: 'button', click: () => app.choose('', '') , 'aria-label': 'Close the details' }, '\u00d7'));
}

function lineLink(app, line) {
  return linkTo(() => app.choose(lineKey(line), '', true), named(lineName(line)));
}

// pairTable returns the rows of a pair as a table.
function pairTable(view, src, dst, bits) {
  const rows = bits === 0 ? [] : pairRows(view, src, dst);
  if (rows.length === 0) {
    if (bits === listBits.closed && !view.model.diff && !view.model.overview) return el('p', {}, whyClosed(src, dst));
    return bits === 0 && el('p', { class: 'quiet' }, view.model.diff ? 'Nothing changes here.'
      : 'The list says nothing of this pair, or the filter leaves it out.');
  }
  return el('ul', { class: 'rows-list' }, rows.map((row) => el('li', {},
    el('p', { class: 'ports' }, row.connection.kind && el('span', { class: 'quiet' }, `${changeNames[row.connection.kind]}: `),
      portsText(row.ports)),
    factList([
      ['Families', rowFamilies(row)],
      ['Pods', podsText(row, src, dst)],
      ['Addresses', row.cidrs.length > 0 && longList(row.cidrs, 12)],
      ...rowRules(row).map(([direction, rule]) => [direction, rule]),
    ]))));
}

// pairsList returns the pairs of two lines, the first of them.
function pairsList(app, from, to) {
  const { view } = app;
  const { pairs, all } = shownPairs(view, from, to);
  return [el('p', { class: 'quiet' }, countsText(view, pairs, all)),
    el('ul', { class: 'pairs' }, pairs.slice(0, 50).map(({ src, dst, bits }) => el('li', {},
      markOf(view.model, bits), linkTo(() => app.choose(src.key, dst.key, true),
        named(fullName(src)), ' \u2192 ', named(fullName(dst)), el('span', { class: 'unseen' }, ', ', stateName(view.model, bits)))))),
    pairs.length > 50 && el('p', { class: 'quiet' }, `and ${number(pairs.length - 50)} more: the list has them all.`)];
}

// narrowText says how to get the report of one pair of namespaces.
function narrowText(src, dst) {
  const word = (party) => (party.kind === 'namespace' ? `ns/${party.name}` : party.kind === 'outside' ? 'external' : 'cluster');
  return `For its workloads: netpold list --src ${word(src)} --dst ${word(dst)} -o html`;
}

// factList returns pairs of name and value as a definition list, without those that have no value.
function factList(facts) {
  const kept = facts.filter(([, value]) => value);
  return kept.length > 0 && el('dl', {}, kept.map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
}

// longList returns a list of names that is cut to a length until the reader asks for the rest.
function longList(items, length) {
  const item = (text) => el('li', {}, named(text));
  const list = el('ul', { class: 'names' }, items.slice(0, length).map(item));
  if (items.length <= length) return list;
  const rest = el('button', { type: 'button', class: 'link', click: () => {
    append(list, items.slice(length).map(item));
    rest.remove();
  } }, `${number(items.length - length)} more`);
  return el('div', {}, list, rest);
}
