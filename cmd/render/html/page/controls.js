// Controls: search, filters and the choice of a view.

const views = { matrix: 'Matrix', graph: 'Graph', list: 'List' };

// buildControls makes the form. Every change goes to app.update.
function buildControls(app) {
  const { model } = app;
  const field = (label, control) => el('label', {}, el('span', {}, label), control);
  const text = (name, label, attributes) =>
    field(
      label,
      el('input', {
        type: 'search',
        name,
        spellcheck: 'false',
        autocomplete: 'off',
        ...attributes,
        input: (event) => app.update({ [name]: event.target.value }, 150),
      }),
    );
  const select = (name, label, options) =>
    field(
      label,
      el(
        'select',
        {
          name,
          change: (event) => app.update({ [name]: event.target.value }),
        },
        options.map(([value, words]) => el('option', { value }, words)),
      ),
    );
  const check = (name, label, title) =>
    el(
      'label',
      { class: 'check', title },
      el('input', {
        type: 'checkbox',
        name,
        change: (event) => app.update({ [name]: event.target.checked }),
      }),
      label,
    );
  const namespaces = [
    ...new Set(
      model.parties
        .filter((party) => ['pods', 'namespace'].includes(party.kind))
        .map((party) => party.namespace),
    ),
  ];
  const error = el('p', { id: 'port-error', class: 'error', role: 'alert' });
  replace(
    byId('controls'),
    el(
      'form',
      { submit: (event) => event.preventDefault() },
      text('q', 'Search', { placeholder: model.overview ? 'namespace' : 'workload, Pod, address' }),
      el(
        'details',
        { class: 'filters', open: document.documentElement.clientWidth > 700 },
        el('summary', {}, 'Filters'),
        el(
          'div',
          {},
          select('ns', 'Namespace', [['', 'all'], ...namespaces.map((name) => [name, name])]),
          select('side', 'Matches', [
            ['', 'source or destination'],
            ['from', 'source'],
            ['to', 'destination'],
          ]),
          text('port', 'Port', { placeholder: '443, 53/UDP', 'aria-describedby': 'port-error', size: 10 }),
          select('iso', 'Isolation', [
            ['', 'any'],
            ['open', 'not isolated'],
            ['isolated', 'isolated'],
          ]),
          check('outside', 'Outside only', 'Only connections from or to addresses outside the cluster'),
          check('exposed', 'Exposed', 'Only what an outside address, or any Pod of any namespace, can reach'),
          el(
            'button',
            {
              type: 'button',
              id: 'clear',
              click: () =>
                app.update({
                  q: '',
                  ns: '',
                  side: '',
                  port: '',
                  iso: '',
                  outside: false,
                  exposed: false,
                }),
            },
            'Clear',
          ),
        ),
      ),
      error,
    ),
    el('p', { id: 'shown', role: 'status' }),
  );
  document.addEventListener('keydown', (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName || '');
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      byId('controls').querySelector('[name=q]').focus();
    }
  });
}

// syncControls sets the form to a filter, but not a field that is being typed in.
function syncControls(view) {
  const { filter } = view;
  for (const control of byId('controls').querySelectorAll('[name]')) {
    const value = filter[control.name];
    if (control.type === 'checkbox') {
      control.checked = value;
    } else if (control !== document.activeElement || control.value.trim() !== value.trim()) {
      control.value = value;
    }
  }
  const { error } = parsePortFilter(filter.port);
  replace(byId('port-error'), error ? `${error} The filter is not applied.` : '');
  byId('controls')
    .querySelector('[name=port]')
    .setAttribute('aria-invalid', error ? 'true' : 'false');
  byId('clear').hidden = !isNarrow(filter) && filter.side === '';
  replace(byId('shown'), shownText(view));
}

// shownText says what the filter leaves in.
function shownText(view) {
  const { model, totals } = view;
  const count = (lines) => lines.reduce((n, shown) => n + shown, 0);
  const pairs = model.diff
    ? counted(totals.pairs, 'changed pair')
    : `${counted(totals.bits[4] || 0, 'open pair')}, ` +
      `${number(totals.bits[2] || 0)} partly open, ${number(totals.bits[1] || 0)} closed`;
  const sources = counted(count(view.sources), 'source');
  return `Shown: ${sources}, ${counted(count(view.destinations), 'destination')}; ${pairs}`;
}

// buildTabs makes the choice of a view: arrows move between the tabs, as in a tab list.
function buildTabs(app) {
  const names = Object.keys(views);
  const tab = (name) =>
    el(
      'button',
      {
        type: 'button',
        role: 'tab',
        id: `tab-${name}`,
        'aria-controls': `${name}-view`,
        click: () => app.update({ view: name }),
        keydown: (event) => {
          const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
          if (!step) return;
          event.preventDefault();
          const next = names[(names.indexOf(name) + step + names.length) % names.length];
          app.update({ view: next });
          byId(`tab-${next}`).focus();
        },
      },
      views[name],
    );
  const folds =
    app.model.sections.length > 0 &&
    el(
      'span',
      { class: 'folds' },
      el('button', { type: 'button', click: () => app.update({ all: 'open', fold: [] }) }, 'Unfold all'),
      el('button', { type: 'button', click: () => app.update({ all: 'shut', fold: [] }) }, 'Fold all'),
    );
  replace(byId('tabs'), names.map(tab));
  replace(byId('matrix-view'), el('div', { class: 'bar' }, legendOf(app.model), folds));
}

// syncTabs shows the chosen view.
function syncTabs(filter) {
  for (const name of Object.keys(views)) {
    const chosen = filter.view === name;
    const tab = byId(`tab-${name}`);
    tab.setAttribute('aria-selected', String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    byId(`${name}-view`).hidden = !chosen;
  }
}
