// State that the sections share, and small helpers. All scripts are one module: what is declared here is known below.
const byId = (id) => document.getElementById(id);
const read = (id) => JSON.parse(byId(id).textContent || "{}");
const data = read("data-plots");
const crops = read("data-crops");
const entries = new Map(data.entries.map((entry) => [entry.name, entry]));
const sets = Object.keys(data.sets);

const state = { testset: sets[0], shown: new Set(data.entries.filter((entry) => entry.first).map((entry) => entry.name)), loud: null };
const listeners = [];
/** Call `render` now and whenever the test set, the methods shown, the one held up or the colours change. */
const follows = (render) => { listeners.push(render); render(); };
const changed = () => listeners.forEach((render) => render());

/** An element with attributes and children; text is text, never HTML. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Fill a select with [value, text] and keep what was chosen, if it is still there. */
function fill(select, options, preferred) {
  const before = select.value;
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
  const values = options.map(([value]) => value);
  const found = [before, preferred, values[0]].find((value) => values.includes(value));
  if (found !== undefined) select.value = found;
}

function labelled(text, control) { return make("label", {}, `${text} `, control); }

const here = () => data.sets[state.testset];
const shownEntries = () => data.entries.filter((entry) => state.shown.has(entry.name) && state.testset in entry.folders);
const told = (protocol, value) => value === null || value === undefined ? "n/a" : value.toFixed(data.protocols[protocol]?.decimals ?? 3);
const titled = (protocol) => `${data.protocols[protocol].title} ${data.protocols[protocol].higher ? "↑" : "↓"}`;
const imagePath = (entry, name) => [...entry.folders[state.testset].split("/"), `${name}.png`].map(encodeURIComponent).join("/");

/** Unpack a library that the page carries, and give its address. */
async function library(name) {
  const bytes = Uint8Array.from(atob(byId(`library-${name}`).textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return URL.createObjectURL(new Blob([await new Response(stream).arrayBuffer()], { type: "text/javascript" }));
}

// Why a cell is n/a: on click, Enter or touch; Escape closes it.
function tip(text, beside) {
  const box = byId("tip"), at = beside.getBoundingClientRect();
  box.textContent = text;
  box.hidden = false;
  box.style.left = `${Math.max(8, Math.min(at.left, innerWidth - box.offsetWidth - 8))}px`;
  box.style.top = `${at.bottom + box.offsetHeight + 8 < innerHeight ? at.bottom + 6 : Math.max(8, at.top - box.offsetHeight - 6)}px`;
}
addEventListener("click", (event) => {
  const button = event.target.closest?.(".na[title], .na[data-why]");
  if (!button) { byId("tip").hidden = true; return; }
  // The browser's own tooltip would say it twice.
  if (button.title) { button.dataset.why = button.title; button.removeAttribute("title"); }
  tip(button.dataset.why, button);
});
addEventListener("keydown", (event) => { if (event.key === "Escape") byId("tip").hidden = true; });
addEventListener("scroll", () => { byId("tip").hidden = true; }, { passive: true, capture: true });
