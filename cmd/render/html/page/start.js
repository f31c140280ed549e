// Start: reads the data, keeps the filter, and tells the views when it changes.

function start() {
  const model = buildModel(readData(byId('data').textContent));
  const app = { model, view: null, timer: 0, stale: {} };
  showHead(model);
  showFoot(model);
  buildTabs(app);
  buildControls(app);
  app.matrix = newMatrix(byId('matrix-view'));
  app.cursor = newCursor(app.matrix, app);
  wire(app);
  apply(app, readFilter(location.hash));
}

// wire gives the views what they may ask for.
function wire(app) {
  // update changes the filter, at once or when typing has paused for so many milliseconds.
  app.update = (changes, pause = 0) => {
    clearTimeout(app.timer);
    const change = () => {
      const filter = { ...app.view.filter, ...changes };
      writeHash(filter);
      apply(app, filter);
    };
    if (pause > 0) {
      app.timer = setTimeout(change, pause);
    } else {
      change();
    }
  };
  app.choose = (sel, to, enter) => {
    const back = document.activeElement;
    app.update({ sel, to });
    if (enter) byId('details').querySelector('h2')?.focus();
    else if (!sel && !back?.isConnected) app.cursor.cell?.focus({ preventScroll: true });
  };
  app.fold = (section) => {
    const { fold } = app.view.filter;
    const folded = fold.includes(section.key)
      ? fold.filter((key) => key !== section.key)
      : [...fold, section.key];
    app.update({ fold: folded });
  };
  addEventListener('hashchange', () => apply(app, readFilter(location.hash)));
  addEventListener('beforeprint', () => {
    refresh(app, 'list');
    app.fillList();
    document.body.classList.toggle('print-cut', app.listIsCut());
  });
  byId('details').addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && app.cursor.cell) {
      event.preventDefault();
      app.update({ view: 'matrix' });
      app.cursor.cell.focus({ preventScroll: true });
    }
  });
}

// writeHash puts a filter into the address without a new entry in the history.
function writeHash(filter) {
  const words = writeFilter(filter);
  history.replaceState(null, '', words ? `#${words}` : location.pathname + location.search);
}

// apply shows what a filter leaves in. What has not changed is not worked out again.
function apply(app, filter) {
  const narrowed = ['q', 'ns', 'side', 'port', 'outside', 'iso', 'exposed'];
  const same = app.view && narrowed.every((name) => app.view.filter[name] === filter[name]);
  const folds =
    app.view && filter.all === app.view.filter.all && filter.fold.join() === app.view.filter.fold.join();
  app.view = same ? { ...app.view, filter } : viewOf(app.model, filter);
  if (!same) app.stale.list = true;
  app.stale.graph = true;
  syncTabs(filter);
  syncControls(app.view);
  const focused = app.cursor.cell && app.cursor.cell === document.activeElement;
  if (!same || !folds) {
    app.matrix.show(app.view, filter);
    resetCursor(app.cursor, focused);
  } else {
    app.matrix.view = app.view;
    app.matrix.selected = filter;
    app.matrix.draw();
  }
  if (filter.view !== 'matrix') refresh(app, filter.view);
  showDetails(app);
}

// refresh draws a view that is not up to date.
function refresh(app, name) {
  if (!app.stale[name]) return;
  app.stale[name] = false;
  if (name === 'list') showList(app);
  if (name === 'graph') showGraph(app);
}

start();
