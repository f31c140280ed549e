// Tips: what is known of a cell or a line, in a few words beside it.

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
  const list = el(
    'ul',
    { class: 'tip-rows' },
    rows.slice(0, 5).map((row) =>
      el(
        'li',
        {},
        el(
          'strong',
          {},
          row.connection.kind ? `${changeNames[row.connection.kind]} ` : '',
          portsText(row.ports, 8),
        ),
        [
          rowFamilies(row),
          podsText(row, from.party, to.party) && `Pods ${podsText(row, from.party, to.party)}`,
          row.cidrs.length > 0 && cidrsText(row.cidrs, 3),
        ]
          .filter((text) => text)
          .map((text) => ` ${text}`),
        rowRules(row).map(([direction, rule]) =>
          el('div', { class: 'quiet' }, `${direction} by `, named(rule)),
        ),
      ),
    ),
  );
  return [
    title,
    state,
    rows.length > 0 && list,
    rows.length > 5 && el('p', { class: 'quiet' }, `and ${rows.length - 5} more`),
    bits === listBits.closed &&
      !view.model.diff &&
      !view.model.overview &&
      el('p', { class: 'quiet' }, whyClosed(from.party, to.party)),
  ];
}

// lineTip is the tip of a name.
function lineTip(view, line) {
  return [
    el('p', { class: 'tip-title' }, named(lineName(line))),
    el('p', { class: 'quiet' }, describe(line)),
  ];
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
    return (
      `${counted(party.workloads, 'workload')}, ${counted(party.pods, 'Pod')}; not isolated for egress: ` +
      `${number(party.notIsolated.egress)}, for ingress: ${number(party.notIsolated.ingress)}`
    );
  }
  if (party.kind !== 'pods') return party.workloadKind || '';
  const parts = [
    party.workloadKind === 'Labels'
      ? 'Pods that need not exist'
      : `${party.workloadKind}, ${counted(party.pods, 'Pod')}`,
  ];
  if (party.hostNetwork) parts.push('on the host network, where no policy applies');
  parts.push(isolationText(party));
  return parts.join('; ');
}

function isolationText(party) {
  const words = [];
  for (const [direction, open] of [
    ['egress', 'openEgress'],
    ['ingress', 'openIngress'],
  ]) {
    const free = party.groups.filter((group) => group[open]).length;
    const how = free === 0 ? 'isolated' : free === party.groups.length ? 'not isolated' : 'partly isolated';
    words.push(`${how} for ${direction}`);
  }
  return words.join(', ');
}
