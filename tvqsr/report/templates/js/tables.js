// Score tables and verdicts: sorting by DataTables, filters of our own.
let DataTable = null;

/** Order in which what is n/a comes last, whichever way. */
function numbersFirst() {
  const order = (sign) => (a, b) => {
    const [x, y] = [a, b].map((value) => (value === "" || value === null ? NaN : Number(value)));
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return sign * (x - y);
  };
  DataTable.ext.type.order["measure-asc"] = order(1);
  DataTable.ext.type.order["measure-desc"] = order(-1);
}

function enhanceScores() {
  for (const table of document.querySelectorAll("table.scores")) {
    const heads = [...table.tHead.rows[0].cells];
    const measures = heads.map((head, index) => ({ head, index })).filter(({ head }) => head.classList.contains("measure"));
    table.enhanced = new DataTable(table, {
      paging: false, info: false, order: [], autoWidth: false, layout: { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null },
      columnDefs: measures.map(({ head, index }) => ({ targets: index, type: "measure", orderSequence: head.dataset.higher === "1" ? ["desc", "asc", ""] : ["asc", "desc", ""] })),
    });
  }
  for (const table of document.querySelectorAll("table.sortable")) {
    new DataTable(table, { paging: false, info: false, searching: false, order: [], autoWidth: false, layout: { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null } });
  }
}

const panels = [...document.querySelectorAll(".panel")];
const hidden = new Set();
const visiblePanel = () => panels.find((panel) => !panel.hidden);

function showTable() {
  const mine = panels.filter((panel) => panel.dataset.testset === state.testset);
  fill(byId("table"), mine.map((panel) => [panel.dataset.table, panel.dataset.title]), "main");
  panels.forEach((panel) => { panel.hidden = !(panel.dataset.testset === state.testset && panel.dataset.table === byId("table").value); });
  listColumns();
  filterRows();
}

/** A checkbox for every protocol of the table that is shown. */
function listColumns() {
  const heads = [...(visiblePanel()?.querySelectorAll("th.measure") ?? [])];
  const boxes = heads.map((head) => {
    const name = head.dataset.protocol;
    const box = make("input", { type: "checkbox", value: name, checked: !hidden.has(name), onchange: () => { box.checked ? hidden.delete(name) : hidden.add(name); showColumns(); } });
    return labelledBox(box, data.protocols[name]?.title ?? name);
  });
  byId("table-columns").replaceChildren(make("legend", {}, "Protocols"), ...boxes);
  showColumns();
}

function labelledBox(box, text) { return make("label", { class: "check" }, box, text); }

function showColumns() {
  const table = visiblePanel()?.querySelector("table")?.enhanced;
  if (!table) return;
  table.columns().every(function () {
    const name = this.header().dataset.protocol;
    if (name) this.visible(!hidden.has(name), false);
  });
}

function filterRows() {
  const wanted = byId("table-find").value.trim().toLowerCase(), ceilings = byId("table-hr").checked;
  for (const panel of panels) {
    const table = panel.querySelector("table");
    table.classList.toggle("plain", !byId("table-small").checked);
    table.enhanced?.search.fixed("rows", (_, __, index) => {
      const row = table.enhanced.row(index).node();
      return (ceilings || !row.classList.contains("ceiling")) && row.cells[0].textContent.toLowerCase().includes(wanted);
    });
    table.enhanced?.draw();
  }
}

function startTables() {
  numbersFirst();
  enhanceScores();
  for (const id of ["table-find", "table-hr", "table-small"]) byId(id).addEventListener("input", filterRows);
  byId("table").addEventListener("input", showTable);
  if (innerWidth < 640) byId("table-small").checked = false;
  byId("table-controls").hidden = byId("table-hint").hidden = false;
  listeners.push(showTable);
  showTable();
  startVerdicts();
}

function startVerdicts() {
  const node = document.querySelector("table.verdicts"), filters = [...document.querySelectorAll("#claims-controls select")];
  const judged = [...node.tBodies[0].rows].some((row) => row.dataset.verdict !== "not run");
  const table = new DataTable(node, { pageLength: 25, lengthChange: false, info: false, order: [], autoWidth: false, layout: { topStart: null, topEnd: null, bottomStart: null, bottomEnd: "paging" } });
  table.search.fixed("filters", (_, __, index) => {
    const row = table.row(index).node();
    return filters.every(({ value, dataset }) => value === "" || (value === "judged" ? row.dataset.verdict !== "not run" : row.dataset[dataset.filter] === value));
  });
  const draw = () => {
    table.search(byId("claims-find").value).draw();
    byId("claims-count").textContent = `${table.rows({ search: "applied" }).count()} of ${table.rows().count()}`;
  };
  byId("claims-controls").addEventListener("input", draw);
  if (!judged) filters[0].value = "";
  byId("claims-controls").hidden = false;
  draw();
}
