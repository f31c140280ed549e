// Pairs: what of the report a filter leaves in, and what is known of one pair.

// viewOf returns the states of the pairs that a filter shows, and which parties have a line in the matrix.
function viewOf(model, filter) {
  const count = model.parties.length;
  const ports = parsePortFilter(filter.port).ranges;
  const states = statesOf(model, filter.port, ports).slice();
  const meets = partyFilter(filter);
  const matched = model.parties.map(meets);
  const sources = new Uint8Array(count);
  const destinations = new Uint8Array(count);
  const totals = { pairs: 0, bits: {} };
  const listed = model.diff ? 7 : listBits.partly | listBits.open;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) {
      const at = i * count + j;
      if (states[at] === 0) continue;
      const named =
        filter.side === 'from' ? matched[i] : filter.side === 'to' ? matched[j] : matched[i] || matched[j];
      if (!named || (filter.outside && i !== 0 && j !== 0)) {
        states[at] = 0;
        continue;
      }
      totals.bits[states[at]] = (totals.bits[states[at]] || 0) + 1;
      if ((states[at] & listed) === 0) continue;
      totals.pairs++;
      sources[i] = 1;
      destinations[j] = 1;
    }
  }
  // Who is named has a line even if nothing is allowed: that is an answer too. A difference has
  // lines for what differs.
  if (!model.diff) {
    for (let i = 0; i < count; i++) {
      if (!matched[i] || (filter.outside && i !== 0)) continue;
      if (filter.side !== 'to' && model.parties[i].srcGroups > 0) sources[i] = 1;
      if (filter.side !== 'from' && model.parties[i].dstGroups > 0) destinations[i] = 1;
    }
  }
  return { model, filter, ports, states, sources, destinations, matched, totals };
}

// statesOf keeps the states of the last port filter, which take longest to work out.
function statesOf(model, key, ports) {
  if (!model.kept || model.kept.key !== key) model.kept = { key, states: pairStates(model, ports) };
  return model.kept.states;
}

function stateAt(view, src, dst) {
  return view.states[src.index * view.model.parties.length + dst.index];
}

// pairRows returns what is allowed, or what changes, from src to dst: a row for each connection, with the
// groups of both that it is about.
function pairRows(view, src, dst) {
  const { model } = view;
  const wanted = view.ports ? cutPorts(view.ports, model.asked) : model.asked;
  if (model.overview) return overviewRows(model, src, dst, wanted);
  const rows = new Map();
  const take = (connection, ports, group, others, cidrs) => {
    const cut = cutPorts(ports, wanted);
    if (cut.length === 0) return;
    let row = rows.get(connection);
    if (!row) {
      row = { connection, ports: cut, srcs: [], dsts: others, cidrs };
      rows.set(connection, row);
    }
    row.srcs.push(group);
  };
  if (src.kind === 'outside') {
    for (const group of dst.groups) {
      for (const connection of model.fromOutside[group.id] || []) {
        take(connection, connection.ports, group, [], connection.srcCidrs);
      }
    }
    return sorted(
      [...rows.values()].map((row) => ({ ...row, srcs: [], dsts: row.srcs })),
      dst,
    );
  }
  for (const group of src.groups) {
    for (const connection of model.bySource[group.id] || []) {
      if (dst.kind === 'outside') {
        if (connection.dstCidrs.length > 0)
          take(connection, connection.ports, group, [], connection.dstCidrs);
      } else if (dst.kind === 'service') {
        if (connection.services.includes(dst)) take(connection, dst.ports, group, [], []);
      } else {
        const others = connection.dst.filter((other) => other.party === dst);
        if (others.length > 0) take(connection, connection.ports, group, others, []);
      }
    }
  }
  return sorted([...rows.values()], dst);
}

function sorted(rows) {
  return rows.sort((a, b) => a.ports[0][0] - b.ports[0][0] || a.ports[0][1] - b.ports[0][1]);
}

// overviewRows returns the same for a report by namespaces, which knows the ports alone.
function overviewRows(model, src, dst, wanted) {
  const cell = model.cells.get(src.index * model.parties.length + dst.index);
  if (!cell) return [];
  const kinds = {
    opened: 'CHANGE_KIND_OPENED',
    closed: 'CHANGE_KIND_CLOSED',
    families: 'CHANGE_KIND_FAMILIES',
  };
  const rows = Object.entries(model.diff ? kinds : { ports: undefined }).map(([name, kind]) => ({
    connection: { kind, by: {}, beforeBy: {}, afterBy: {}, mask: 0 },
    ports: cutPorts(cell[name], wanted),
    srcs: [],
    dsts: [],
    cidrs: [],
  }));
  return rows.filter((row) => row.ports.length > 0);
}

// podsText says how many Pods of each end a row is about, "2/4 to 1/1", when they are not all.
function podsText(row, src, dst) {
  const part = (groups, party) => {
    const pods = groups.reduce((n, group) => n + group.members.length, 0);
    return groups.length === 0 || groups.length === party.groups.length ? '' : `${pods}/${party.pods}`;
  };
  const from = part(row.srcs, src);
  const to = part(row.dsts, dst);
  if (!from && !to) return '';
  const whole = (party) => (party.pods ? `${party.pods}/${party.pods}` : 'all');
  return `${from || whole(src)} to ${to || whole(dst)}`;
}

// rowFamilies says which families a row holds for, when they are not all that its ends share.
function rowFamilies(row) {
  const { connection } = row;
  if (connection.kind === 'CHANGE_KIND_FAMILIES') {
    const text = (state) => familyTexts[familiesOf(state && state.families)];
    return `${text(connection.before)}, then ${text(connection.after)}`;
  }
  const mask = connection.kind
    ? familiesOf((connection.kind === 'CHANGE_KIND_CLOSED' ? connection.before : connection.after)?.families)
    : connection.mask;
  const whole = row.srcs.every((a) => row.dsts.every((b) => sharedFamilies(a.mask, b.mask) === mask));
  return whole ? '' : mask ? `${familyTexts[mask]} only` : `families: ${familyTexts[mask]}`;
}

// rowRules returns the rules of a row as [direction, text]. In a difference they are those that allow before
// or after.
function rowRules(row) {
  const { connection } = row;
  const rules = [];
  const add = (label, by) => {
    if (by.egress) rules.push([`${label}egress`, ruleText(by.egress)]);
    if (by.ingress) rules.push([`${label}ingress`, ruleText(by.ingress)]);
  };
  if (connection.kind) {
    add('before: ', connection.beforeBy);
    add('after: ', connection.afterBy);
  } else {
    add('', connection.by);
  }
  return rules;
}

// whyClosed says which sides are isolated when nothing is allowed.
function whyClosed(src, dst) {
  const sides = [];
  if (src.groups.some((group) => !group.openEgress)) sides.push(`${fullName(src)} is isolated for egress`);
  if (dst.groups.some((group) => !group.openIngress)) sides.push(`${fullName(dst)} is isolated for ingress`);
  return sides.length > 0 ? sides.join('; ') + '. No rule allows more.' : 'A cluster-wide policy denies it.';
}

const changeNames = {
  CHANGE_KIND_OPENED: 'opened',
  CHANGE_KIND_CLOSED: 'closed',
  CHANGE_KIND_FAMILIES: 'other families',
};
