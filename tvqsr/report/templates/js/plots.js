// The plots, from the numbers that the page carries. Each draws itself anew when a choice or the colours change.
const config = { displayModeBar: false, responsive: true, doubleClick: "reset+autosize" };

/** Draw into a section's canvas, say in words what cannot be drawn, and keep the numbers as a table. */
function draw(id, traces, more, label, rows) {
  const canvas = byId(`${id}-canvas`);
  if (!traces.length) { absent(id, rows); return; }
  canvas.querySelector(".nothing")?.remove();
  const target = canvas.querySelector(".js-plot") ?? canvas.appendChild(make("div", { class: "js-plot" }));
  target.setAttribute("role", "img");
  target.setAttribute("aria-label", `${label}. Its numbers are in the table below.`);
  globalThis.Plotly.react(target, traces, layout(more), config);
  numbers(id, rows);
  return target;
}

function absent(id, why) {
  const canvas = byId(`${id}-canvas`);
  canvas.querySelectorAll(".js-plot").forEach((plot) => { globalThis.Plotly.purge(plot); plot.remove(); });
  canvas.querySelector(".nothing")?.remove();
  canvas.append(make("p", { class: "nothing" }, why));
  byId(`${id}-legend`).replaceChildren();
  byId(`${id}-numbers`).replaceChildren();
}

function numbers(id, [heads, ...rows]) {
  const cell = (value) => (value === null || value === undefined ? "n/a" : typeof value === "number" ? String(value) : value);
  const body = rows.map((row) => make("tr", {}, ...row.map((value, at) => make(at ? "td" : "th", at ? {} : { scope: "row" }, cell(value)))));
  byId(`${id}-numbers`).replaceChildren(make("table", { class: "numbers" }, make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))), make("tbody", {}, ...body)));
}

/** Names beside their markers; one that is pressed is held up in all plots. */
function legend(id, shown) {
  byId(`${id}-legend`).replaceChildren(...shown.map((entry) => make("button", { type: "button", "aria-pressed": state.loud === entry.name, title: "Hold up in all plots", onclick: () => hold(entry.name, id) }, glyph(entry), entry.title)));
}

function hold(name, id) {
  const place = [...byId(`${id}-legend`).children].findIndex((button) => button === document.activeElement);
  state.loud = state.loud === name ? null : name;
  changed();
  byId(`${id}-legend`).children[place]?.focus();
}

const measured = () => Object.keys(here().summary);
const protocolSelect = (id, text, onchange) => { const select = make("select", { id, onchange }); byId(`${id.split("-")[0]}-controls`).append(labelled(text, select)); return select; };
const bars = (rows, end) => ({ type: "data", symmetric: false, array: rows.map((row) => (row[2] ?? row[0]) - row[0]), arrayminus: rows.map((row) => row[0] - (row[1] ?? row[0])), thickness: 1, width: 0, visible: rows.some((row) => row[1] !== null), ...end });

function startPlane() {
  const [x, y] = ["x", "y"].map((axis) => protocolSelect(`plane-${axis}`, axis === "x" ? "Across" : "Upwards", () => plane()));
  function plane() {
    const names = measured(), options = names.map((name) => [name, titled(name)]);
    fill(x, options, "psnr_y");
    fill(y, options, ["lpips_alex", "fid", "ssim_y"].find((name) => names.includes(name)));
    const [over, up] = [here().summary[x.value] ?? {}, here().summary[y.value] ?? {}];
    const shown = shownEntries().filter((entry) => entry.name in over && entry.name in up && entry.name !== "hr_copy");
    const traces = shown.map((entry) => ({
      x: [over[entry.name][0]], y: [up[entry.name][0]], error_x: bars([over[entry.name]], { color: colour(entry) }), error_y: bars([up[entry.name]], { color: colour(entry) }),
      name: entry.title, mode: "markers", marker: marker(entry, 11), opacity: faint(entry), hovertemplate: `<b>%{text}</b><br>${data.protocols[x.value]?.title} %{x}<br>${data.protocols[y.value]?.title} %{y}<extra></extra>`, text: [escaped(entry.title)],
    }));
    traces.forEach((trace) => { for (const bar of [trace.error_x, trace.error_y]) bar.color += "80"; });
    const front = (here().fronts[`${x.value} ${y.value}`] ?? []);
    if (front.length && traces.length) traces.unshift({ x: front.map((name) => over[name][0]), y: front.map((name) => up[name][0]), mode: "lines+markers", marker: { symbol: "circle-open", size: 20, color: css("--quiet"), line: { width: 1.2 } }, line: { dash: "dash", width: 1.5, color: css("--quiet") }, hoverinfo: "skip", name: "Pareto front" });
    const rows = [["Method", titled2(x.value), titled2(y.value), "On the front"], ...shown.map((entry) => [entry.title, told(x.value, over[entry.name][0]), told(y.value, up[entry.name][0]), front.includes(entry.name) ? "yes" : ""])];
    draw("plane", traces, { height: 480, xaxis: { title: { text: betterAxis(x.value) } }, yaxis: { title: { text: betterAxis(y.value) }, autorange: data.protocols[y.value]?.higher ? true : "reversed" } }, "Perception against distortion", traces.length ? rows : "None of the methods shown was scored in both protocols here.");
    if (traces.length) legend("plane", shown);
  }
  follows(plane);
}

const titled2 = (name) => (name ? titled(name) : "");
const betterAxis = (name) => (name ? `${data.protocols[name].title} (${data.protocols[name].higher ? "higher" : "lower"} is better)` : "");
/** Plotly reads a little HTML in texts. */
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function startCodebook() {
  follows(() => {
    const panels = Object.entries(here().codebook), canvas = byId("codebook-canvas");
    if (!panels.length) { absent("codebook", "This run has no rows that differ in the size of the codebook alone."); return; }
    canvas.classList.add("many");
    canvas.replaceChildren();
    const rows = [["Curve", "Protocol", "Codes", "Value", "95% interval"]], methods = [...new Set(panels.flatMap(([, lines]) => lines.map((line) => line.method)))];
    const looks = methods.map((method, at) => ({ colour: ["#0072B2", "#D55E00", "#009E73", "#CC79A7"][at % 4], marker: ["o", "s", "^", "D"][at % 4], reads: "lr", name: method }));
    // All panels before the first is drawn: a plot takes the width that it finds.
    const targets = panels.map(() => canvas.appendChild(make("div", { role: "img" })));
    for (const [at, [measure, lines]] of panels.entries()) {
      const title = measure === "published" ? "FID" : data.protocols[measure].title;
      const traces = lines.map((line) => {
        const look = looks[methods.indexOf(line.method)], paint = colour(look);
        line.sizes.forEach((size, at) => rows.push([line.title, title, size, line.published ? line.means[at] : told(measure, line.means[at]), line.lows[at] === null ? "n/a" : `${told(measure, line.lows[at])} to ${told(measure, line.highs[at])}`]));
        return { x: line.sizes, y: line.means, name: line.title, mode: "lines+markers", line: { dash: line.published ? "dash" : "solid", width: 2, color: paint }, marker: { symbol: symbols[look.marker] + (line.published ? "-open" : ""), size: 9, color: paint },
          error_y: bars(line.means.map((mean, at) => [mean, line.lows[at], line.highs[at]]), { color: paint }), text: line.sizes.map(() => escaped(line.title)), hovertemplate: "<b>%{text}</b><br>%{x} codes: %{y}<extra></extra>" };
      });
      const sizes = [...new Set(lines.flatMap((line) => line.sizes))].sort((a, b) => a - b);
      const target = targets[at];
      target.setAttribute("aria-label", `${title} against the number of codes. Its numbers are in the table below.`);
      const where = measure === "published" ? "FID as published, ImageNet-Test" : `${title}, ${state.testset}`;
      globalThis.Plotly.newPlot(target, traces, layout({ height: 330, title: { text: escaped(where), font: { size: 14 } }, margin: { l: 56, r: 16, t: 40, b: 60 },
        xaxis: { type: "log", tickvals: sizes, ticktext: sizes.map(String), title: { text: "codes" } }, yaxis: { title: { text: measure === "published" ? "FID (lower is better)" : betterAxis(measure) } } }), config);
    }
    numbers("codebook", rows);
    byId("codebook-legend").replaceChildren(...[...new Set(panels.flatMap(([, lines]) => lines.map((line) => `${line.method} ${line.title} ${line.published}`)))].map((key) => {
      const line = panels.flatMap(([, lines]) => lines).find((line) => key === `${line.method} ${line.title} ${line.published}`), look = looks[methods.indexOf(line.method)];
      return make("span", { class: "key" }, glyph({ ...look, reads: line.published ? "hr" : "lr" }), line.title);
    }));
  });
}

function startCost() {
  const across = make("select", { onchange: () => cost() }), up = make("select", { onchange: () => cost() });
  byId("cost-controls").append(labelled("Across", across), labelled("Upwards", up));
  const axes = { parameters: "parameters (millions)", seconds: "seconds per megapixel", milliseconds: "milliseconds per image of 64 × 64", macs: "multiply-accumulates (billions)" };
  const machines = () => [...new Set(Object.values(here().costs).map((own) => own.machine))].join("; ");
  const value = (entry, axis) => {
    const own = here().costs[entry.name], found = data.efficiency[entry.name] ?? {};
    return { parameters: own?.parameters ? own.parameters / 1e6 : null, seconds: own?.seconds ?? null, milliseconds: found.milliseconds ?? null, macs: found.macs ? found.macs / 1e9 : null }[axis];
  };
  function cost() {
    const known = Object.keys(axes).filter((axis) => data.entries.some((entry) => value(entry, axis) !== null));
    fill(across, known.map((axis) => [axis, axes[axis]]), known.includes("milliseconds") ? "milliseconds" : "seconds");
    fill(up, measured().map((name) => [name, titled(name)]), "psnr_y");
    const summary = here().summary[up.value] ?? {};
    const shown = shownEntries().filter((entry) => entry.reads === "lr" && entry.name in summary && value(entry, across.value) !== null);
    const traces = shown.map((entry) => ({ x: [value(entry, across.value)], y: [summary[entry.name][0]], error_y: bars([summary[entry.name]], { color: colour(entry) }), mode: "markers", marker: marker(entry, 11), opacity: faint(entry), text: [escaped(entry.title)], hovertemplate: `<b>%{text}</b><br>${axes[across.value]} %{x:.4g}<br>${data.protocols[up.value].title} %{y}<extra></extra>` }));
    byId("cost-says").textContent = `Methods that read LR. Seconds are the median over the images, as they were made: ${machines()}.`;
    const rows = [["Method", ...known.map((axis) => axes[axis]), titled2(up.value)], ...shown.map((entry) => [entry.title, ...known.map((axis) => value(entry, axis)?.toPrecision(4) ?? null), told(up.value, summary[entry.name][0])])];
    draw("cost", traces, { height: 440, xaxis: { type: "log", dtick: "D2", title: { text: axes[across.value] } }, yaxis: { title: { text: betterAxis(up.value) }, autorange: data.protocols[up.value]?.higher ? true : "reversed" } }, "Quality against cost", traces.length ? rows : "None of the methods shown reads LR and was scored here.");
    if (traces.length) legend("cost", shown);
  }
  follows(cost);
}

function startCodes() {
  follows(() => {
    const shown = shownEntries().filter((entry) => entry.name in here().codes);
    const traces = shown.flatMap((entry) => here().codes[entry.name].books.map((book) => {
      const kept = book.ranks.map((rank, at) => [rank, book.shares[at]]).filter(([, share]) => share > 0);
      return { x: kept.map(([rank]) => rank), y: kept.map(([, share]) => share), mode: "lines+markers", line: { width: 1.5, color: colour(entry), dash: entry.reads === "hr" ? "dash" : "solid" }, marker: marker(entry, 6), opacity: faint(entry), text: kept.map(() => escaped(entry.title)), hovertemplate: "<b>%{text}</b><br>rank %{x}: %{y:.2%} of positions<extra></extra>" };
    }));
    const rows = [["Method", "Use"], ...shown.map((entry) => [entry.title, here().codes[entry.name].words])];
    draw("codes", traces, { height: 440, xaxis: { title: { text: "code, by rank" } }, yaxis: { type: "log", title: { text: "share of positions" }, tickformat: ".2~p" } }, "Use of the codebook", traces.length ? rows : "None of the methods shown has a codebook.");
    if (traces.length) legend("codes", shown);
  });
}

function startCurves() {
  const run = make("select", { onchange: () => curve() }), names = Object.keys(data.curves);
  byId("curves-controls").append(labelled("Training", run));
  fill(run, names.map((name) => [name, name]), names.find((name) => name.startsWith("tvqrap.rap")));
  function curve() {
    const found = data.curves[run.value];
    if (!found) { absent("curves", "Nothing was trained here."); return; }
    const paints = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31"], dashes = ["solid", "dash", "dot", "dashdot"];
    const traces = Object.entries(found.seeds).flatMap(([seed, { step, terms }], order) => Object.entries(terms).map(([term, values], at) => ({
      x: step, y: values, name: term, legendgroup: term, showlegend: order === 0, mode: "lines", line: { width: 1.8, dash: dashes[order % 4], color: colour({ colour: paints[at % 8] }) }, hovertemplate: `<b>${escaped(term)}</b>, seed ${seed}<br>iteration %{x}: %{y:.4g}<extra></extra>` })));
    const rows = [["Loss term", "Seed", "First", "Last", "Least"], ...Object.entries(found.seeds).flatMap(([seed, { terms }]) => Object.entries(terms).map(([term, values]) => {
      const kept = values.filter((value) => value !== null), show = (value) => (value === undefined || !Number.isFinite(value) ? null : value.toPrecision(4));
      return [term, seed, show(kept[0]), show(kept.at(-1)), show(Math.min(...kept))];
    }))];
    const positive = traces.every((trace) => trace.y.every((value) => value === null || value > 0));
    draw("curves", traces, { height: 440, showlegend: true, legend: { orientation: "h", y: -0.2, x: 0 }, xaxis: { title: { text: "iteration" } }, yaxis: { type: positive ? "log" : "linear", title: { text: "loss" } } }, `Losses of ${run.value}`, rows);
    byId("curves-legend").replaceChildren(make("span", { class: "small" }, found.used_by.length ? `Part of: ${found.used_by.join(", ")}` : ""));
  }
  follows(curve);
}
