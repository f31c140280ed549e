// Filter: which part of the report is shown. It is kept in the fragment of the address, so that a view can be
// sent and a reload shows the same.

const emptyFilter = {
  view: 'matrix', // matrix, graph or list
  q: '', // words that a party must have
  ns: '', // a namespace
  side: '', // from or to: at which side the party must match; '' is either
  port: '',
  outside: false, // only connections from or to the outside
  iso: '', // open: some Pod is not isolated; isolated: some Pod is
  exposed: false, // an outside address or any Pod can reach it
  all: '', // open or shut: all namespaces; '' is by size
  fold: [], // keys of namespaces that are folded otherwise than the rest
  sel: '', // key of the selected source, or of the one selected party
  to: '', // key of the selected destination
};

// readFilter returns the filter that a fragment says. What it does not know it leaves out.
function readFilter(fragment) {
  const words = new URLSearchParams(fragment.replace(/^#/, ''));
  const filter = { ...emptyFilter };
  for (const [name, usual] of Object.entries(emptyFilter)) {
    if (!words.has(name)) continue;
    if (Array.isArray(usual)) {
      filter[name] = words.getAll(name);
    } else {
      filter[name] = typeof usual === 'boolean' ? words.get(name) === '1' : words.get(name);
    }
  }
  if (!['matrix', 'graph', 'list'].includes(filter.view)) filter.view = 'matrix';
  if (!['', 'from', 'to'].includes(filter.side)) filter.side = '';
  if (!['', 'open', 'isolated'].includes(filter.iso)) filter.iso = '';
  return filter;
}

// writeFilter returns the fragment of a filter, without what is as usual.
function writeFilter(filter) {
  const words = new URLSearchParams();
  for (const [name, usual] of Object.entries(emptyFilter)) {
    const value = filter[name];
    if (Array.isArray(usual)) {
      for (const key of value) words.append(name, key);
    } else if (value !== usual) {
      words.set(name, value === true ? '1' : value);
    }
  }
  return words.toString();
}

// isNarrow reports whether a filter leaves anything out.
function isNarrow(filter) {
  return Boolean(filter.q || filter.ns || filter.port || filter.outside || filter.iso || filter.exposed);
}

// partyFilter returns a function that reports whether a party meets the filter's words, namespace, isolation
// and exposure.
function partyFilter(filter) {
  const words = filter.q
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  return (party) => {
    if (
      filter.ns &&
      (party.namespace !== filter.ns || !['pods', 'namespace', 'service'].includes(party.kind))
    )
      return false;
    if (filter.iso === 'open' && !(party.openEgress || party.openIngress)) return false;
    if (filter.iso === 'isolated' && !isIsolated(party)) return false;
    if (filter.exposed && !party.exposed) return false;
    if (words.length === 0) return true;
    const names = searchText(party);
    return words.every((word) => names.includes(word));
  };
}

function isIsolated(party) {
  return party.groups.some(
    (group) => group.kind !== 'GROUP_KIND_NODE' && (!group.openEgress || !group.openIngress),
  );
}

// searchText returns what search looks through: names of the party, its Pods and Nodes, and addresses.
function searchText(party) {
  if (party.search === undefined) {
    const words = [fullName(party), party.workloadKind];
    for (const group of party.groups) {
      for (const member of group.members) words.push(member.name, member.node, ...(member.ips || []));
    }
    party.search = words
      .filter((word) => word)
      .join('\n')
      .toLowerCase();
  }
  return party.search;
}

// filterText says in words what a filter leaves in.
function filterText(filter) {
  const at = { from: ' as source', to: ' as destination' }[filter.side] || '';
  const parts = [];
  if (filter.q) parts.push(`"${filter.q}"${at}`);
  if (filter.ns) parts.push(`namespace ${filter.ns}${at}`);
  if (filter.port) parts.push(`port ${filter.port}`);
  if (filter.outside) parts.push('outside only');
  if (filter.iso) parts.push(filter.iso === 'open' ? `not isolated${at}` : `isolated${at}`);
  if (filter.exposed) parts.push(`exposed${at}`);
  return parts.join(', ');
}
