// Data: the lines of JSON in the file, one message of the stream a line.

// readData returns the messages by kind. A file that broke off while it was written has no summary, and may
// have half a line at its end.
function readData(text) {
  const data = {
    report: { kind: 'list', command: '', request: {} },
    header: {},
    asked: null,
    leftOut: null,
    summary: null,
    groups: [],
    sets: [],
    connections: [],
    exposures: [],
    sections: [],
    cells: [],
    askedSections: null,
  };
  const lists = {
    group: data.groups,
    set: data.sets,
    connection: data.connections,
    change: data.connections,
    exposure: data.exposures,
    section: data.sections,
    cell: data.cells,
  };
  for (const line of text.split('\n')) {
    if (line === '') continue;
    let message;
    try {
      message = JSON.parse(line);
    } catch {
      break; // The end of a file that broke off.
    }
    for (const [kind, value] of Object.entries(message)) {
      if (lists[kind]) {
        lists[kind].push(value);
      } else {
        data[kind] = value;
      }
    }
  }
  return data;
}

// ruleText writes a RuleRef: "shop/db rule 0"; a cluster-wide policy with its kind.
function ruleText(rule) {
  if (!rule) return '';
  const policy = rule.namespace ? `${rule.namespace}/${rule.name}` : `${rule.kind} ${rule.name}`;
  const name = rule.ruleName ? ` "${rule.ruleName}"` : '';
  return `${policy} rule ${rule.ruleIndex || 0}${name}`;
}

// familiesOf returns address families as bits: 1 is IPv4, 2 is IPv6.
function familiesOf(list) {
  let bits = 0;
  for (const family of list || [])
    bits |= family === 'IP_FAMILY_IPV4' ? 1 : family === 'IP_FAMILY_IPV6' ? 2 : 0;
  return bits;
}

const familyTexts = ['none in common', 'IPv4', 'IPv6', 'IPv4 and IPv6'];

// sharedFamilies returns the families of a pair: those of both; those of one when the other has no address.
function sharedFamilies(a, b) {
  return a === 0 || b === 0 ? a | b : a & b;
}

// timeText writes a time of the wire without fractions: "2026-03-01 12:30:05 UTC".
function timeText(time) {
  const at = new Date(time);
  return Number.isNaN(at.getTime()) ? '' : at.toISOString().slice(0, 19).replace('T', ' ') + ' UTC';
}
