// Axis: the lines of the matrix, down and across. A namespace has a line of its own; unfolded, the lines of
// its workloads follow. Parties of no section have a line and nothing to fold.

// unfoldedParties is how many workloads are shown unfolded at first.
const unfoldedParties = 250;

// isOpen reports whether a section is unfolded.
function isOpen(model, filter, section) {
  const usual = filter.all ? filter.all === 'open' : model.parties.length <= unfoldedParties;
  return filter.fold.includes(section.key) ? !usual : usual;
}

// axisOf returns the lines that a filter shows: {section, party, first, label}.
function axisOf(view, shown) {
  const { model, filter } = view;
  const lines = [];
  for (const party of model.parties) {
    if (!party.section && shown[party.index]) lines.push({ party, section: null, label: party.label });
  }
  for (const section of orderedSections(model)) {
    const parties = section.parties.filter((party) => shown[party.index]);
    if (parties.length === 0) continue;
    const open = isOpen(model, filter, section);
    lines.push({ section, party: null, open, parties, label: section.label });
    if (open) for (const party of parties) lines.push({ party, section, label: party.label });
  }
  return lines;
}

// orderedSections returns namespaces as they come, which is by name, then Nodes, then Services.
function orderedSections(model) {
  const order = { namespace: 0, nodes: 1, services: 2 };
  return [...model.sections].sort((a, b) => order[a.kind] - order[b.kind]);
}

// gridOf returns both axes, and a function that gives the bits of a cell.
function gridOf(view) {
  const { model, states } = view;
  const rows = axisOf(view, view.sources);
  const columns = axisOf(view, view.destinations);
  const count = model.parties.length;
  const sections = model.sections.length;
  // By party and section, section and party, section and section.
  const across = new Uint8Array(count * sections);
  const down = new Uint8Array(sections * count);
  const both = new Uint8Array(sections * sections);
  for (const src of model.parties) {
    const s = src.section ? src.section.index : -1;
    for (const dst of model.parties) {
      const bits = states[src.index * count + dst.index];
      if (bits === 0) continue;
      const d = dst.section ? dst.section.index : -1;
      if (d >= 0) across[src.index * sections + d] |= bits;
      if (s >= 0) down[s * count + dst.index] |= bits;
      if (s >= 0 && d >= 0) both[s * sections + d] |= bits;
    }
  }
  const bitsAt = (row, column) => {
    if (row.party && column.party) return states[row.party.index * count + column.party.index];
    if (row.party) return across[row.party.index * sections + column.section.index];
    if (column.party) return down[row.section.index * count + column.party.index];
    return both[row.section.index * sections + column.section.index];
  };
  return { rows, columns, bitsAt };
}

// lineParties returns the shown parties of a line.
function lineParties(line) {
  return line.party ? [line.party] : line.parties;
}

// lineName returns the full name of a line.
function lineName(line) {
  if (line.party) return fullName(line.party);
  return line.section.kind === 'namespace' ? `namespace ${line.section.label}` : line.section.label;
}

// lineKey returns what the fragment calls a line.
function lineKey(line) {
  return line.party ? line.party.key : line.section.key;
}

// lineByKey returns the line of a key, folded away or not; null if there is none.
function lineByKey(view, key) {
  if (!key) return null;
  const party = view.model.parties.find((p) => p.key === key);
  if (party) return { party, section: party.section, label: party.label };
  const section = view.model.sections.find((s) => s.key === key);
  return section ? { party: null, section, parties: section.parties, label: section.label } : null;
}
