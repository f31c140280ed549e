// Ports: ranges as [protocol, first, last], by protocol and then first, disjoint and not touching.

const protocolNumbers = { PROTOCOL_TCP: 1, PROTOCOL_UDP: 2, PROTOCOL_SCTP: 3 };
const protocolNames = ['', 'TCP', 'UDP', 'SCTP'];
const allPorts = [
  [1, 1, 65535],
  [2, 1, 65535],
  [3, 1, 65535],
];

// readPorts returns the ranges of PortRange messages. The same list of ports gets the same array, so that
// what is computed from it can be kept.
const readPorts = (() => {
  const known = new Map();
  return (messages) => {
    const ranges = (messages || []).map((m) => [protocolNumbers[m.protocol] || 1, m.first, m.last]);
    const key = ranges.join(';');
    if (!known.has(key)) known.set(key, ranges);
    return known.get(key);
  };
})();

// countPorts returns how many pairs of protocol and port the ranges have.
function countPorts(ranges) {
  let n = 0;
  for (const [, first, last] of ranges) n += last - first + 1;
  return n;
}

// cutPorts returns what two lists of ranges have in common.
function cutPorts(a, b) {
  const out = [];
  for (const [protocol, first, last] of a) {
    for (const [other, from, to] of b) {
      if (protocol === other && Math.max(first, from) <= Math.min(last, to)) {
        out.push([protocol, Math.max(first, from), Math.min(last, to)]);
      }
    }
  }
  return out;
}

// joinPorts returns the union of lists of ranges.
function joinPorts(...lists) {
  const all = lists.flat().sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const out = [];
  for (const range of all) {
    const last = out[out.length - 1];
    if (last && last[0] === range[0] && range[1] <= last[2] + 1) {
      last[2] = Math.max(last[2], range[2]);
    } else {
      out.push([...range]);
    }
  }
  return out;
}

// portsText writes ranges in words: "TCP 80,443-445; UDP 53", "all ports". With limit it stops after so many
// ranges and says how many are left.
function portsText(ranges, limit = Infinity) {
  if (countPorts(ranges) === countPorts(allPorts)) return 'all ports';
  const parts = [];
  let written = 0;
  for (const protocol of [1, 2, 3]) {
    const own = ranges.filter((range) => range[0] === protocol).slice(0, Math.max(0, limit - written));
    if (own.length === 0) continue;
    written += own.length;
    parts.push(protocolNames[protocol] + ' ' + own.map(rangeText).join(','));
  }
  if (written < ranges.length) parts.push(`and ${ranges.length - written} more ranges`);
  return parts.join('; ') || 'no port';
}

function rangeText([, first, last]) {
  if (first === 1 && last === 65535) return 'all';
  return first === last ? String(first) : `${first}-${last}`;
}

// askedPorts returns the ranges that a request was about.
function askedPorts(request) {
  const protocols = request.protocol ? [protocolNumbers[request.protocol]] : [1, 2, 3];
  const ranges = request.ports && request.ports.length > 0 ? request.ports : [{ first: 1, last: 65535 }];
  const out = [];
  for (const protocol of protocols) {
    for (const range of ranges) {
      const own = protocolNumbers[range.protocol];
      if (!own || own === protocol) out.push([protocol, range.first, range.last || range.first]);
    }
  }
  return joinPorts(out);
}

// parsePortFilter reads what a person types: "443", "8000-8100", "53/UDP", "udp", "TCP 80,443". It returns
// the ranges, or an error with what to write instead; null for nothing.
function parsePortFilter(text) {
  const words = text.trim().toUpperCase();
  if (words === '') return { ranges: null };
  const protocols = ['TCP', 'UDP', 'SCTP'].filter((name) => words.includes(name));
  const numbers = words
    .replace(/TCP|UDP|SCTP/g, ' ')
    .split(/[\s/,;]+/)
    .filter((word) => word !== '');
  const ranges = [];
  for (const word of numbers) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(word);
    const first = match ? Number(match[1]) : 0;
    const last = match ? Number(match[2] || match[1]) : 0;
    if (first < 1 || last > 65535 || last < first) {
      return { error: `${visible(word)} is not a port. Write 443, 8000-8100, 53/UDP or UDP.` };
    }
    ranges.push([first, last]);
  }
  if (ranges.length === 0) ranges.push([1, 65535]);
  const meant = protocols.length > 0 ? protocols : ['TCP', 'UDP', 'SCTP'];
  return {
    ranges: joinPorts(meant.flatMap((name) => ranges.map((r) => [protocolNames.indexOf(name), ...r]))),
  };
}
