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

async function start() {
  startSets();
  startChooser();
  startLook();
  ({ default: DataTable } = await import(await library("datatables")));
  startTables();
  await import(await library("plotly"));
  byId("plots-all").hidden = false;
  for (const plot of [startPlane, startCodebook, startCost, startCodes, startDistribution, startCurves]) plot();
  document.documentElement.dataset.ready = "true";
}
start();
