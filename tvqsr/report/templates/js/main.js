// What is chosen for the whole page, and the start.
function startChooser() {
  const dialog = byId("chooser"), list = byId("chooser-list");
  const boxes = data.entries.map((entry) => {
    const box = make("input", { type: "checkbox", value: entry.name, onchange: () => { box.checked ? state.shown.add(entry.name) : state.shown.delete(entry.name); choose(); } });
    return { entry, box, label: make("label", {}, box, "", entry.title) };
  });
  list.append(...boxes.map(({ label }) => label));
  const groups = { first: (entry) => entry.first, lr: (entry) => entry.reads === "lr", all: () => true, none: () => false };
  for (const button of dialog.querySelectorAll("[data-choose]")) {
    button.addEventListener("click", () => { state.shown = new Set(data.entries.filter(groups[button.dataset.choose]).map((entry) => entry.name)); choose(); });
  }
  byId("chooser-find").addEventListener("input", (event) => boxes.forEach(({ entry, label }) => { label.hidden = !entry.title.toLowerCase().includes(event.target.value.trim().toLowerCase()); }));
  byId("chooser-find").addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  byId("choose").addEventListener("click", () => dialog.showModal());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", changed);
  const choose = () => {
    boxes.forEach(({ entry, box, label }) => { box.checked = state.shown.has(entry.name); label.querySelector(".glyph")?.remove(); box.after(glyph(entry)); });
    byId("chosen-count").textContent = `${state.shown.size} of ${data.entries.length}`;
  };
  follows(choose);
}

function startSets() {
  fill(byId("testset"), sets.map((name) => [name, name]));
  byId("testset").addEventListener("input", (event) => { state.testset = event.target.value; changed(); });
  document.querySelector(".global").hidden = false;
}

/** A plot is drawn when it is about to be seen, and its library unpacked with the first. */
function startPlots() {
  const starts = { plane: startPlane, codebook: startCodebook, cost: startCost, codes: startCodes, distribution: startDistribution, curves: startCurves };
  const drawn = new Set();
  let plotly = null;
  const draw = async (id) => {
    if (drawn.has(id)) return;
    drawn.add(id);
    plotly ??= library("plotly").then((address) => import(address));
    await plotly;
    starts[id]();
    byId(`plot-${id}`).dataset.drawn = "true";
  };
  const seen = new IntersectionObserver((found) => found.filter((entry) => entry.isIntersecting).forEach(({ target }) => draw(target.id.slice("plot-".length))), { rootMargin: "700px" });
  byId("plots-all").hidden = false;
  for (const id of Object.keys(starts)) seen.observe(byId(`plot-${id}`));
  addEventListener("beforeprint", () => Object.keys(starts).forEach(draw));
}

async function start() {
  startSets();
  startChooser();
  startLook();
  ({ default: DataTable } = await import(await library("datatables")));
  startTables();
  startPlots();
  document.documentElement.dataset.ready = "true";
}
start();
