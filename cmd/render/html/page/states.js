// States: what the matrix shows of each pair. A state is a bit, so that a namespace's cell is the OR of its
// pairs; 0 is a pair that is not shown, or that the report says nothing about.

const listBits = { closed: 1, partly: 2, open: 4 };
const diffBits = { opened: 1, closed: 2, families: 4 };
const changeBits = { CHANGE_KIND_OPENED: 1, CHANGE_KIND_CLOSED: 2, CHANGE_KIND_FAMILIES: 4 };

// stateName says in words what the bits of a cell mean.
function stateName(model, bits) {
  if (model.diff) {
    const words = [];
    if (bits & diffBits.opened) words.push('opened');
    if (bits & diffBits.closed) words.push('closed');
    if (bits & diffBits.families) words.push('other families');
    return words.join(' and ') || 'unchanged';
  }
  if (bits === 0) return 'not in this list';
  return bits === listBits.closed ? 'closed' : bits === listBits.open ? 'open' : 'partly open';
}

// pairStates returns the state of every pair, by source * parties + destination. ports cuts what counts; null
// is everything that was asked.
function pairStates(model, ports) {
  const count = model.parties.length;
  const states = new Uint8Array(count * count);
  const wanted = ports ? cutPorts(ports, model.asked) : model.asked;
  if (model.overview) {
    overviewStates(model, wanted, states);
    return states;
  }
  const row = { sum: new Float64Array(count), any: new Uint8Array(count), outside: newTally() };
  const cutOf = cutter(wanted);
  for (const party of model.parties) {
    if (party.kind === 'service') continue;
    row.sum.fill(0);
    row.any.fill(0);
    if (party.kind === 'outside') {
      outsideRow(model, wanted, cutOf, states);
    } else {
      sourceRow(model, party, cutOf, row);
      fillRow(model, party, countPorts(wanted), row, states);
    }
  }
  return states;
}

// cutter returns a function that counts the ports of a connection that are wanted.
function cutter(wanted) {
  const counts = new Map();
  return (ranges) => {
    let n = counts.get(ranges);
    if (n === undefined) {
      n = countPorts(cutPorts(ranges, wanted));
      counts.set(ranges, n);
    }
    return n;
  };
}

// sourceRow adds up what the groups of one party may reach.
function sourceRow(model, party, cutOf, row) {
  row.outside = newTally();
  for (const group of party.groups) {
    for (const connection of model.bySource[group.id] || []) {
      const bit = model.diff ? changeBits[connection.kind] || 0 : 1;
      // A Service's port is its own; it is counted whole.
      for (const service of connection.services) {
        const own = cutOf(service.ports);
        if (own > 0) row.any[service.index] |= bit;
        row.sum[service.index] += own;
      }
      const n = cutOf(connection.ports);
      if (n === 0) continue;
      const { parties, full } = targetsOf(connection, group.mask);
      for (let i = 0; i < parties.length; i++) {
        row.any[parties[i]] |= bit;
        row.sum[parties[i]] += n * full[i];
      }
      if (connection.dstCidrs.length > 0) {
        row.any[0] |= bit;
        if (!model.diff) row.outside.add(connection.dstCidrs, n);
      }
    }
  }
}

// targetsOf returns the parties that a connection leads to, and in how many of their groups it covers all the
// families that the pair shares.
function targetsOf(connection, mask) {
  if (!connection.targets[mask]) {
    const full = new Map();
    for (const group of connection.dst) {
      const whole = sharedFamilies(mask, group.mask) === connection.mask ? 1 : 0;
      full.set(group.party.index, (full.get(group.party.index) || 0) + whole);
    }
    connection.targets[mask] = {
      parties: Int32Array.from(full.keys()),
      full: Int32Array.from(full.values()),
    };
  }
  return connection.targets[mask];
}

// fillRow turns sums into states. A list says each source, destination, protocol and port once, so that a sum
// as large as everything means that nothing is missing.
function fillRow(model, party, total, row, states) {
  const from = party.index * model.parties.length;
  for (const other of model.parties) {
    const bits = row.any[other.index];
    if (model.diff) {
      states[from + other.index] = bits;
      continue;
    }
    if (bits === 0) {
      states[from + other.index] = saysClosed(model, party, other) ? listBits.closed : 0;
      continue;
    }
    const all =
      other.kind === 'outside'
        ? row.outside.isFull(party.groups, total)
        : other.kind === 'service'
          ? row.sum[other.index] === party.srcGroups
          : row.sum[other.index] === total * party.srcGroups * other.dstGroups;
    states[from + other.index] = all ? listBits.open : listBits.partly;
  }
}

// outsideRow does the same for connections from the outside.
function outsideRow(model, wanted, cutOf, states) {
  const total = countPorts(wanted);
  const outside = model.parties[0];
  for (const party of model.parties) {
    const tally = newTally();
    let bits = 0;
    for (const group of party.groups) {
      for (const connection of model.fromOutside[group.id] || []) {
        const n = cutOf(connection.ports);
        if (n === 0) continue;
        bits |= model.diff ? changeBits[connection.kind] || 0 : listBits.partly;
        if (!model.diff) tally.add(connection.srcCidrs, n);
      }
    }
    if (bits === listBits.partly && !model.diff && tally.isFull(party.groups, total)) bits = listBits.open;
    if (bits === 0 && saysClosed(model, outside, party)) bits = listBits.closed;
    states[party.index] = bits;
  }
}

// newTally counts (address, protocol, port) by family, exactly: IPv6 has more addresses than a number
// can say.
function newTally() {
  const sums = [0n, 0n];
  return {
    add(cidrs, ports) {
      for (const cidr of cidrs) {
        const family = cidr.includes(':') ? 1 : 0;
        const bits = (family ? 128 : 32) - Number(cidr.split('/')[1]);
        sums[family] += BigInt(ports) << BigInt(Math.max(0, bits || 0));
      }
    },
    // isFull reports whether all groups have everything in their families; without addresses, in both.
    isFull(groups, ports) {
      const want = [0n, 0n];
      for (const group of groups) {
        if (group.mask === 0 || group.mask & 1) want[0] += BigInt(ports) << 32n;
        if (group.mask === 0 || group.mask & 2) want[1] += BigInt(ports) << 128n;
      }
      return sums[0] === want[0] && sums[1] === want[1];
    },
  };
}

// saysClosed reports whether the list says by its silence that a pair is denied. It does not of pairs that
// were not asked about, that a list leaves out by rule, or when it broke off.
function saysClosed(model, src, dst) {
  const { summary, report } = model.data;
  if (model.diff || !summary || summary.truncated || src.srcGroups === 0 || dst.dstGroups === 0) return false;
  const plain = (party) => party.kind === 'pods' && !party.hostNetwork;
  if (src.kind === 'outside' && !['pods', 'namespace'].includes(dst.kind)) return false;
  if (dst.kind === 'outside' && !['pods', 'namespace'].includes(src.kind)) return false;
  if (src.kind.startsWith('node') && dst.kind !== 'namespace' && !plain(dst)) return false;
  if (dst.kind.startsWith('node') && src.kind !== 'namespace' && !plain(src)) return false;
  const only = report.request.only;
  const meets = (party) =>
    party.groups.length > 0 &&
    party.groups.every((group) =>
      only === 'ONLY_ISOLATED'
        ? !group.openEgress || !group.openIngress
        : group.openEgress || group.openIngress,
    );
  return !only || (!model.overview && only !== 'ONLY_EXPOSED' && (meets(src) || meets(dst)));
}

// overviewStates fills in the states of a report by namespaces.
function overviewStates(model, wanted, states) {
  const count = model.parties.length;
  for (const src of model.parties) {
    for (const dst of model.parties) {
      const at = src.index * count + dst.index;
      const cell = model.cells.get(at);
      const has = (ranges) => countPorts(cutPorts(ranges, wanted)) > 0;
      if (cell && model.diff) {
        for (const kind of ['opened', 'closed', 'families'])
          if (has(cell[kind])) states[at] |= diffBits[kind];
      } else if (cell && has(cell.ports)) {
        states[at] = cell.state === 'open' ? listBits.open : listBits.partly;
      } else if (saysClosed(model, src, dst)) {
        states[at] = listBits.closed;
      }
    }
  }
}
