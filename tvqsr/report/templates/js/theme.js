// Colours of the plots follow those of the page; markers as SVG for legends.
const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", changed);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
/** Black would not show on a dark page, nor would the darkest blue and brown. */
const onDark = { "#000000": "#F2F2F2", "#0072B2": "#3FA9E8", "#8C6D31": "#C29E58" };
const colour = (entry) => (dark.matches && onDark[entry.colour]) || entry.colour;
const symbols = { o: "circle", s: "square", "^": "triangle-up", D: "diamond", v: "triangle-down", P: "cross", X: "x", "*": "star" };
const shapes = {
  o: "M7 2a5 5 0 1 0 .01 0z", s: "M2.5 2.5h9v9h-9z", "^": "M7 2l5.5 10h-11z", D: "M7 1l6 6-6 6-6-6z", v: "M7 12l5.5-10h-11z",
  P: "M5 1.5h4v3.5h3.5v4H9v3.5H5V9H1.5V5H5z", X: "M3.5 1.5L7 5l3.5-3.5 2 2L9 7l3.5 3.5-2 2L7 9l-3.5 3.5-2-2L5 7 1.5 3.5z", "*": "M7 .8l1.7 4.1 4.4.3-3.4 2.9 1.1 4.3L7 10.1l-3.8 2.3 1.1-4.3L.9 5.2l4.4-.3z",
};

function glyph(entry) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), path = document.createElementNS(svg.namespaceURI, "path");
  svg.setAttribute("viewBox", "0 0 14 14"); svg.setAttribute("class", "glyph"); svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", shapes[entry.marker]); path.setAttribute("stroke", colour(entry)); path.setAttribute("stroke-width", "1.4");
  path.setAttribute("fill", entry.reads === "hr" ? "none" : colour(entry));
  svg.append(path);
  return svg;
}

const faint = (entry) => (state.loud && state.loud !== entry.name ? 0.15 : 1);
const marker = (entry, size = 10) => ({ symbol: symbols[entry.marker] + (entry.reads === "hr" ? "-open" : ""), size, color: colour(entry), line: { width: 1.5, color: colour(entry) } });

/** Layout of every plot, in the page's colours. */
function layout(more = {}) {
  const axis = { title: { standoff: 10 }, gridcolor: css("--line"), zeroline: false, linecolor: css("--edge"), showline: true, ticks: "outside", tickcolor: css("--edge"), automargin: true };
  const { xaxis = {}, yaxis = {}, ...rest } = more;
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: css("--ink") },
    margin: { l: 56, r: 16, t: 16, b: 48 }, showlegend: false, hovermode: "closest", dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    hoverlabel: { bgcolor: css("--page"), bordercolor: css("--edge"), font: { color: css("--ink") }, align: "left" },
    xaxis: { ...axis, ...xaxis, title: { ...axis.title, ...xaxis.title } }, yaxis: { ...axis, ...yaxis, title: { ...axis.title, ...yaxis.title } }, ...rest,
  };
}
