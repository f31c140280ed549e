// Model: what the page is about. A party is a line of the matrix: a workload, a Pod of none, a Node, a port
// of a Service, or the outside, which is always the first. Parties are in sections: namespaces, Nodes,
// Services. A report by namespaces alone has a party for each namespace and no sections.

// buildModel returns parties, sections and connections of the data.
function buildModel(data) {
  const model = {
    data,
    diff: data.report.kind === 'diff',
    overview: data.leftOut !== null,
    asked: askedPorts(data.report.request),
    sections: [],
    parties: [],
    groups: [], // by id
    connections: [],
    bySource: [], // connections by source group id
    fromOutside: [], // connections from outside by destination group id
    cells: new Map(), // of a report by namespaces: by source * parties + destination
  };
  addParty(model, null, { kind: 'outside', key: 'outside', label: 'Outside' });
  if (model.overview) {
    addSections(model, data);
  } else {
    addGroups(model, data);
    addConnections(model, data);
    addAsked(model, data);
    addExposures(model, data);
    labelParties(model);
  }
  return model;
}

function addParty(model, section, fields) {
  const party = {
    index: model.parties.length,
    section,
    groups: [],
    pods: 0,
    openEgress: false,
    openIngress: false,
    exposed: false,
    exposures: [],
    srcGroups: 0,
    dstGroups: 0,
    ...fields,
  };
  model.parties.push(party);
  if (section) section.parties.push(party);
  return party;
}

function sectionOf(model, kind, name) {
  const key = kind === 'namespace' ? 'ns/' + name : kind;
  let section = model.sections.find((s) => s.key === key);
  if (!section) {
    section = {
      kind,
      key,
      name,
      label: kind === 'namespace' ? name : { nodes: 'Nodes', services: 'Services' }[kind],
    };
    section.parties = [];
    section.index = model.sections.length;
    model.sections.push(section);
  }
  return section;
}

// addGroups makes the parties of the groups. Groups of one workload come one after the other.
function addGroups(model, data) {
  const byKey = new Map();
  for (const message of data.groups) {
    const members = message.members || [];
    const group = {
      id: message.id,
      kind: message.kind,
      members,
      mask: familiesOf(message.families),
      presence: message.presence,
      openEgress: !message.isolatedEgress,
      openIngress: !message.isolatedIngress,
    };
    const node = message.kind === 'GROUP_KIND_NODE';
    const hypothetical = message.kind === 'GROUP_KIND_HYPOTHETICAL';
    const namespace = message.namespace || '';
    const own = members.length > 0 ? members[0].name : hypothetical ? 'Pods by labels' : 'unnamed';
    const kind = message.workload ? message.workload.kind : node ? 'Node' : hypothetical ? 'Labels' : 'Pod';
    const name = message.workload ? message.workload.name : own;
    const key = node ? `Node/${name}` : `${namespace}/${kind}/${name}`;
    if (!byKey.has(key)) {
      const section = node ? sectionOf(model, 'nodes', '') : sectionOf(model, 'namespace', namespace);
      byKey.set(
        key,
        addParty(model, section, {
          kind: node ? 'node' : 'pods',
          key,
          label: name,
          name,
          namespace,
          workloadKind: kind,
        }),
      );
    }
    const party = byKey.get(key);
    group.party = party;
    party.groups.push(group);
    party.pods += members.length;
    party.openEgress = party.openEgress || (!node && group.openEgress);
    party.openIngress = party.openIngress || (!node && group.openIngress);
    party.hostNetwork = party.hostNetwork || message.kind === 'GROUP_KIND_HOST_NETWORK';
    model.groups[group.id] = group;
  }
}

// addConnections reads connections, or changes, with sets replaced by their groups.
function addConnections(model, data) {
  const sets = new Map(data.sets.map((set) => [set.id, set.groups || []]));
  const services = new Map();
  const groupsOf = (groups, ids) => {
    const all = (groups || []).concat(...(ids || []).map((id) => sets.get(id) || []));
    return all.map((id) => model.groups[id]).filter((group) => group);
  };
  for (const message of data.connections) {
    const connection = {
      src: groupsOf(message.srcGroups, message.srcSets),
      srcCidrs: message.srcCidrs || [],
      dst: groupsOf(message.dstGroups, message.dstSets),
      dstCidrs: message.dstCidrs || [],
      services: (message.dstServices || []).map((service) => serviceParty(model, services, service)),
      ports: readPorts(message.ports),
      mask: familiesOf(message.families),
      kind: message.kind,
      before: message.before,
      after: message.after,
      by: { egress: message.egressBy, ingress: message.ingressBy },
      beforeBy: message.beforeBy || {},
      afterBy: message.afterBy || {},
      targets: [],
    };
    model.connections.push(connection);
    for (const group of connection.src) (model.bySource[group.id] ||= []).push(connection);
    if (connection.srcCidrs.length > 0) {
      for (const group of connection.dst) (model.fromOutside[group.id] ||= []).push(connection);
    }
  }
}

// serviceParty returns the party of a port of a Service.
function serviceParty(model, services, service) {
  const port = [protocolNumbers[service.protocol] || 1, service.port || 0, service.port || 0];
  const key = `svc/${service.namespace}/${service.name}/${port[0]}/${port[1]}`;
  if (!services.has(key)) {
    services.set(
      key,
      addParty(model, sectionOf(model, 'services', ''), {
        kind: 'service',
        key,
        name: service.name,
        namespace: service.namespace,
        workloadKind: 'Service',
        ports: [port],
        label: `${service.namespace}/${service.name} ${portsText([port])}`,
      }),
    );
  }
  return services.get(key);
}

// addAsked notes which groups the request is about at each side. Where the groups do not tell, those that
// have a connection count.
function addAsked(model, data) {
  const asked = data.asked || { src: { all: true, outside: true }, dst: { all: true, outside: true } };
  const seen = { src: new Set(), dst: new Set() };
  for (const connection of model.connections) {
    for (const side of ['src', 'dst']) for (const group of connection[side]) seen[side].add(group.id);
  }
  for (const side of ['src', 'dst']) {
    const { all, groups, seen: more, outside } = asked[side];
    const named = new Set(groups || []);
    const count = side + 'Groups';
    for (const group of model.groups) {
      if (group && (all || named.has(group.id) || (more && seen[side].has(group.id)))) group.party[count]++;
    }
    model.parties[0][count] = outside ? 1 : 0;
  }
  for (const party of model.parties) if (party.kind === 'service') party.dstGroups = 1;
}

// addExposures notes what any Pod could do, and who is exposed: to the outside, or to every Pod.
function addExposures(model, data) {
  for (const exposure of data.exposures) {
    const group = model.groups[exposure.group];
    if (!group) continue;
    group.party.exposures.push({ ...exposure, ranges: readPorts(exposure.ports) });
    if (exposure.direction === 'DIRECTION_INGRESS' && !exposure.namespaces && !exposure.pods) {
      group.party.exposed = true;
    }
  }
  for (const group of model.groups) if (group && model.fromOutside[group.id]) group.party.exposed = true;
}

// labelParties adds the kind to names that two workloads of a namespace share.
function labelParties(model) {
  for (const section of model.sections) {
    const times = new Map();
    for (const party of section.parties) times.set(party.label, (times.get(party.label) || 0) + 1);
    for (const party of section.parties) {
      if (times.get(party.label) > 1) party.label = `${party.label} (${party.workloadKind})`;
    }
  }
}

// addSections makes the parties of a report by namespaces, and its cells.
function addSections(model, data) {
  const labels = { nodes: 'Nodes', services: 'Services' };
  const asked = data.askedSections || { src: [], dst: [] };
  data.sections.slice(1).forEach((section) => {
    addParty(model, null, {
      kind: section.kind,
      key: section.kind === 'namespace' ? 'ns/' + (section.name || '') : section.kind,
      label: labels[section.kind] || section.name || '',
      name: section.name || '',
      namespace: section.name || '',
      workloads: section.workloads || 0,
      pods: section.pods || 0,
      notIsolated: { egress: section.openEgress || 0, ingress: section.openIngress || 0 },
      openEgress: (section.openEgress || 0) > 0,
      openIngress: (section.openIngress || 0) > 0,
    });
  });
  for (const party of model.parties) {
    party.srcGroups = asked.src.includes(party.index) ? 1 : 0;
    party.dstGroups = asked.dst.includes(party.index) ? 1 : 0;
  }
  for (const cell of data.cells) {
    const ports = {};
    for (const name of ['ports', 'opened', 'closed', 'families']) ports[name] = readPorts(cell[name]);
    model.cells.set(cell.src * model.parties.length + cell.dst, { state: cell.state, ...ports });
    if (cell.src === 0 && cell.dst !== 0 && !model.diff) model.parties[cell.dst].exposed = true;
  }
}

// fullName returns how a person names a party: "shop/web".
function fullName(party) {
  return party.kind === 'pods'
    ? `${party.namespace}/${party.label}`
    : party.kind === 'node'
      ? `Node ${party.label}`
      : party.kind === 'service'
        ? `Service ${party.label}`
        : party.kind === 'namespace'
          ? `namespace ${party.label}`
          : party.label;
}
