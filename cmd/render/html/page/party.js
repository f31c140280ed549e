// Party: the panel of one line, a workload or a whole section.

// lineDetails returns the panel of a line.
function lineDetails(app, line) {
  const { view } = app;
  const reaches = partners(view, line, true);
  const reached = partners(view, line, false);
  return [
    panelHead(app, [named(lineName(line))]),
    el('p', { class: 'quiet' }, describe(line)),
    app.view.filter.view !== 'graph' &&
      el(
        'p',
        {},
        el('button', { type: 'button', click: () => app.update({ view: 'graph' }) }, 'Show as graph'),
      ),
    partnerList(app, line, reached, false),
    partnerList(app, line, reaches, true),
    line.party && exposureList(line.party),
    line.party && line.party.groups.length > 0 && groupList(line.party),
  ];
}

// partners returns who reaches a line, or whom it reaches, with the bits of each.
function partners(view, line, away) {
  const own = new Set(lineParties(line));
  const out = [];
  for (const other of view.model.parties) {
    let bits = 0;
    for (const party of own) bits |= away ? stateAt(view, party, other) : stateAt(view, other, party);
    if (view.model.diff ? bits !== 0 : (bits & (listBits.partly | listBits.open)) !== 0)
      out.push({ party: other, bits });
  }
  return out;
}

function partnerList(app, line, list, away) {
  const { diff } = app.view.model;
  const title = diff ? (away ? 'Changes towards' : 'Changes from') : away ? 'Reaches' : 'Reached by';
  const open = (party) =>
    away ? app.choose(lineKey(line), party.key, true) : app.choose(party.key, lineKey(line), true);
  const item = ({ party, bits }) =>
    el(
      'li',
      {},
      markOf(app.view.model, bits),
      linkTo(
        () => open(party),
        named(fullName(party)),
        el('span', { class: 'unseen' }, ', ', stateName(app.view.model, bits)),
      ),
    );
  return el(
    'section',
    {},
    el('h3', {}, `${title} (${number(list.length)})`),
    list.length === 0
      ? el('p', { class: 'quiet' }, 'none')
      : el('ul', { class: 'pairs' }, list.slice(0, 30).map(item)),
    list.length > 30 &&
      el(
        'details',
        {},
        el('summary', {}, `${number(list.length - 30)} more`),
        el('ul', { class: 'pairs' }, list.slice(30).map(item)),
      ),
  );
}

// exposureList says what Pods could do that need not exist.
function exposureList(party) {
  if (party.exposures.length === 0) return false;
  const selector = (text) => text || 'all';
  const line = (exposure) => {
    const named = (exposure.namedPorts || []).map(
      (port) => `${(port.protocol || '').replace('PROTOCOL_', '')} ${port.name}`,
    );
    const ports = [exposure.ranges.length > 0 && portsText(exposure.ranges), ...named]
      .filter((text) => text)
      .join('; ');
    const except = (exposure.except || []).map(
      (e) => `namespaces ${selector(e.namespaces)}, Pods ${selector(e.pods)}`,
    );
    const way = exposure.direction === 'DIRECTION_INGRESS' ? 'from' : 'to';
    return el(
      'li',
      {},
      `${way} namespaces ${selector(exposure.namespaces)}, Pods ${selector(exposure.pods)}: `,
      ports || 'no port',
      except.length > 0 && ` except ${except.join('; ')}`,
      (exposure.by || []).length > 0 &&
        el('span', { class: 'quiet' }, ` by ${exposure.by.map(ruleText).join(', ')}`),
    );
  };
  return el(
    'section',
    {},
    el('h3', {}, 'Its side would allow, whether there are such Pods or not'),
    el('ul', { class: 'exposures' }, party.exposures.slice(0, 40).map(line)),
    party.exposures.length > 40 &&
      el('p', { class: 'quiet' }, `and ${party.exposures.length - 40} more, in the JSON`),
  );
}

// groupList returns the Pods of a workload, by the groups that policies tell apart.
function groupList(party) {
  const isolated = (open) => (open ? 'not isolated' : 'isolated');
  const presence = { PRESENCE_BEFORE: 'only before the change', PRESENCE_AFTER: 'only after the change' };
  return el(
    'section',
    {},
    el('h3', {}, party.kind === 'node' ? 'Addresses' : 'Pods'),
    party.groups.map((group) =>
      el(
        'div',
        { class: 'group' },
        party.groups.length > 1 &&
          el(
            'p',
            {},
            `${counted(group.members.length, 'Pod')} treated alike: ` +
              `${isolated(group.openEgress)} for egress, ${isolated(group.openIngress)} for ingress`,
          ),
        presence[group.presence] && el('p', {}, presence[group.presence]),
        longList(
          group.members.map((member) =>
            [member.name, ...(member.ips || []), member.node && `on ${member.node}`]
              .filter((text) => text)
              .join(' '),
          ),
          10,
        ),
      ),
    ),
  );
}
