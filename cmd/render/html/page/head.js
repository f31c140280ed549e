// Head: what the report is about, and what a reader must know before trusting it.

// showHead writes the title, the facts and the notices.
function showHead(model) {
  const { report, header, summary } = model.data;
  const title = model.diff ? 'What would change' : 'Who may reach whom';
  document.title = [title, header.source && visible(header.source)].filter((text) => text).join(' \u00b7 ');
  const facts = [
    report.command && el('code', {}, report.command),
    header.source && ['from ', named(header.source)],
    header.snapshotTime && `as of ${timeText(header.snapshotTime)}`,
    header.revision && `revision ${header.revision}`,
  ].filter((fact) => fact);
  replace(
    byId('head'),
    el('h1', {}, title),
    el(
      'p',
      { class: 'facts' },
      facts.map((fact) => el('span', {}, fact)),
    ),
    el('p', { class: 'sum' }, model.diff ? changeSum(summary) : listSum(model, summary)),
    model.diff && changedNames(summary),
  );
  replace(
    byId('notices'),
    notices(model).map((text) => el('p', { class: 'notice' }, text)),
  );
}

function listSum(model, summary) {
  const own = model.parties.filter((party) => party.kind === 'pods' && party.workloadKind !== 'Labels');
  const workloads = model.overview ? model.data.leftOut.workloads : own.length;
  const objects = model.data.header.objects || {};
  const policies = [
    'networkPolicies',
    'clusterNetworkPolicies',
    'adminNetworkPolicies',
    'baselineAdminNetworkPolicies',
  ].reduce((n, kind) => n + (objects[kind] || 0), 0);
  const parts = [counted(workloads, 'workload'), counted(policies, 'policy', 'policies')];
  if (summary) {
    parts.push(
      `${number(summary.pairsAllowed || 0)} of ` +
        `${counted(summary.pairsTotal || 0, 'pair of Pods', 'pairs of Pods')} with a port allowed`,
    );
  }
  if (!model.overview) {
    parts.push(
      `not isolated: ${number(own.filter((party) => party.openEgress).length)} for egress, ` +
        `${number(own.filter((party) => party.openIngress).length)} for ingress`,
    );
  }
  return parts.join(' \u00b7 ');
}

function changeSum(summary) {
  if (!summary) return '';
  const parts = [
    `opens ${number(summary.opened || 0)}, closes ${number(summary.closed || 0)} of the pairs of Pods`,
  ];
  if (Number(summary.familiesChanged))
    parts.push(`other address families: ${number(summary.familiesChanged)}`);
  parts.push(
    `outside: opened for ${counted(summary.externalOpened || 0, 'group')}, ` +
      `closed for ${number(summary.externalClosed || 0)}`,
  );
  return parts.join(' \u00b7 ');
}

// changedNames lists the workloads and policies that only one state has, or that differ.
function changedNames(summary) {
  const kinds = [
    ['policiesAdded', 'Policies added'],
    ['policiesChanged', 'Policies changed'],
    ['policiesRemoved', 'Policies removed'],
    ['workloadsAdded', 'Workloads added'],
    ['workloadsRemoved', 'Workloads removed'],
  ];
  return factList(
    kinds.map(([field, words]) => {
      const names = (summary && summary[field]) || [];
      return [`${words} (${number(names.length)})`, names.length > 0 && longList(names, 8)];
    }),
  );
}

// notices returns what limits the report, worst first.
function notices(model) {
  const { header, summary, leftOut, report } = model.data;
  const verb = model.diff ? 'diff' : 'list';
  const out = [];
  if (!summary) {
    out.push(
      'This report is incomplete: it broke off while it was written. ' +
        'What it does not show may be allowed all the same. Make it anew.',
    );
  }
  if (summary && summary.truncated) {
    out.push(
      'The answer stopped at its limit. What is missing here may be allowed all the same: ' +
        'blank cells are not closed. Narrow it with --src and --dst.',
    );
  }
  if (header.stale)
    out.push('The state may be out of date: netpold had lost touch with the cluster when it answered.');
  if (leftOut) {
    out.push(
      `${counted(leftOut.workloads, 'workload')} in ${counted(leftOut.groups, 'group')} are more than a ` +
        `report shows one by one (${number(leftOut.limit)}). Shown are namespaces; left out are workloads, Pods, ` +
        `policies and addresses. To see them, narrow it: netpold ${verb} --src ns/NAME -o html, ` +
        'or --dst ns/NAME.',
    );
  }
  if (header.overlaid && !model.diff)
    out.push('Changes are laid over this state: it is what would be, not what is.');
  if (summary && summary.unaskableServices)
    out.push(`${counted(summary.unaskableServices, 'Service')} cannot be asked about, and are left out.`);
  if (report.request.only) out.push('The request leaves out connections by --only; blank cells may be open.');
  return out;
}

// showFoot says what the verdicts are.
function showFoot(model) {
  const { header } = model.data;
  const note =
    'Verdicts are those of the policies, for new connections. ' +
    'Beside them a Pod always reaches itself, and its own Node always reaches it.';
  const plugin =
    (header.ipblockMatchesPods === false ? ' ipBlocks match no address of a Pod or Node here.' : '') +
    (header.joinedDirections
      ? ' Between Pods that one policy for both directions selects, more may be allowed (--joined-directions).'
      : '');
  byId('body').after(
    el(
      'footer',
      {},
      el('p', {}, model.diff ? note.replace('Verdicts', 'The verdicts compared') : note, plugin),
    ),
  );
}
