// Scores of single images, and the image behind a dot.
function startDistribution() {
  const protocol = make("select", { id: "distribution-protocol", onchange: () => plot() });
  byId("distribution-controls").append(labelled("Score", protocol));
  byId("distribution-canvas").after(make("div", { id: "picked", "aria-live": "polite" }));
  function plot() {
    byId("picked").replaceChildren();
    const { of, names } = here().images;
    fill(protocol, Object.keys(of).map((name) => [name, titled(name)]), "psnr_y");
    const mine = of[protocol.value] ?? {}, shown = shownEntries().filter((entry) => entry.name in mine && entry.name !== "hr_copy").reverse();
    const traces = shown.flatMap((entry) => {
      const [least, low, middle, high, most] = mine[entry.name].quartiles, about = mine[entry.name];
      return [
        { type: "box", orientation: "h", y: [entry.title], q1: [low], median: [middle], q3: [high], lowerfence: [least], upperfence: [most], line: { color: colour(entry), width: 1 }, fillcolor: "rgba(128,128,128,0.12)", opacity: faint(entry), hoverinfo: "skip" },
        { type: "scatter", x: about.values, y: about.values.map(() => entry.title), mode: "markers", marker: marker(entry, 8), opacity: faint(entry), customdata: about.images.map((place) => [entry.name, names[place]]), text: about.images.map((place) => escaped(names[place])), hovertemplate: `<b>%{text}</b><br>${escaped(entry.title)}<br>${data.protocols[protocol.value].title} %{x}<extra></extra>` },
      ];
    });
    const link = (entry, name) => make("a", { href: imagePath(entry, name) }, name);
    const end = (entry, at) => { const about = mine[entry.name]; return make("span", {}, link(entry, names[about.images.at(at)]), ` ${told(protocol.value, about.values.at(at))}`); };
    const rows = [["Method", "Images", "Lowest", "Median", "Highest"], ...[...shown].reverse().map((entry) => [entry.title, mine[entry.name].count, end(entry, 0), told(protocol.value, mine[entry.name].quartiles[2]), end(entry, -1)])];
    const target = draw("distribution", traces, { height: Math.max(220, 60 + 34 * shown.length), margin: { l: 8, r: 16, t: 8, b: 48 }, xaxis: { title: { text: titled2(protocol.value) } }, yaxis: { type: "category", range: [-0.7, shown.length - 0.3], tickfont: { size: innerWidth < 640 ? 10 : 12 } } }, "Scores of single images", traces.length ? rows : "No score of single images of the methods shown.");
    if (target && !target.listens) {
      target.listens = true;
      target.on("plotly_click", ({ points: [point] }) => { if (point.customdata) pick(...point.customdata); });
    }
  }
  function pick(name, photo) {
    const entry = entries.get(name), image = crops[state.testset]?.[photo]?.images[name], path = imagePath(entry, photo);
    const known = image ? make("img", { src: image, alt: `Crop of ${photo}, ${entry.title}` }) : null;
    const look = photo in (crops[state.testset] ?? {}) ? make("button", { type: "button", onclick: () => { byId("photo").value = photo; byId("right").value = image ? name : byId("right").value; showLook(); byId("look").scrollIntoView(); } }, "Compare the crops") : null;
    byId("picked").replaceChildren(make("div", { class: "picked" }, known, make("p", {}, make("strong", {}, photo), `, ${entry.title}: ${data.protocols[protocol.value].title} ${told(protocol.value, scoreOf(name, protocol.value, photo))}`, make("br"), make("a", { href: path }, "The whole image"), make("span", { class: "small" }, ` at ${decodeURIComponent(path)}, beside this page in its results folder`)), look));
  }
  follows(plot);
}
