// The same crop of every method: a slider between two, and all of them zoomed and moved together.
const view = { zoom: 1, x: 0, y: 0 };
const photosHere = () => Object.keys(crops[state.testset] ?? {});
const crop = () => crops[state.testset]?.[byId("photo").value];
const nameOf = (key) => entries.get(key)?.title ?? (key === "LR" ? "LR, enlarged by blocks" : "HR, the original");

function startLook() {
  if (!Object.keys(crops).length) return;
  byId("look-all").hidden = false;
  for (const id of ["photo", "left", "right", "look-protocol"]) byId(id).addEventListener("input", showLook);
  byId("photo-before").addEventListener("click", () => turn(-1));
  byId("photo-after").addEventListener("click", () => turn(1));
  byId("swap").addEventListener("click", () => { [byId("left").value, byId("right").value] = [byId("right").value, byId("left").value]; showLook(); });
  byId("slide").addEventListener("input", share);
  const drag = (event) => {
    const box = byId("stage").getBoundingClientRect();
    byId("slide").value = Math.round(100 * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
    share();
  };
  byId("stage").addEventListener("pointerdown", (event) => { byId("stage").setPointerCapture(event.pointerId); drag(event); });
  byId("stage").addEventListener("pointermove", (event) => { if (event.buttons) drag(event); });
  startZoom();
  share();
  follows(fillLook);
}

function turn(step) {
  const select = byId("photo");
  select.selectedIndex = (select.selectedIndex + step + select.options.length) % select.options.length;
  showLook();
}

function share() { byId("stage").style.setProperty("--share", `${byId("slide").value}%`); }

function fillLook() {
  const photos = photosHere();
  fill(byId("photo"), photos.map((name) => [name, name]));
  if (!photos.length) return;
  const keys = Object.keys(crop().images), options = keys.map((key) => [key, nameOf(key)]);
  const lr = data.entries.filter((entry) => keys.includes(entry.name) && entry.reads === "lr" && entry.kind !== "control");
  fill(byId("left"), options, keys.includes("bicubic") ? "bicubic" : "LR");
  fill(byId("right"), options, (lr.find((entry) => entry.name === "tvqrap") ?? lr.at(-1) ?? { name: keys.at(-1) }).name);
  const measured = Object.keys(here().images.of);
  fill(byId("look-protocol"), measured.map((name) => [name, titled(name)]), "psnr_y");
  showLook();
}

function showLook() {
  if (!crop()) return;
  const { images } = crop();
  for (const side of ["left", "right"]) {
    const key = byId(side).value;
    byId(`stage-${side}`).src = images[key];
    byId(`stage-${side}`).alt = `${nameOf(key)}, ${byId("photo").value}`;
    document.querySelector(`.tag.${side}`).textContent = nameOf(key);
  }
  const wanted = ["LR", ...data.entries.map((entry) => entry.name).filter((name) => state.shown.has(name)), "HR"];
  byId("grid").replaceChildren(...wanted.filter((key) => key in images).map(tile));
}

function tile(key) {
  const protocol = byId("look-protocol").value, score = scoreOf(key, protocol, byId("photo").value);
  const image = make("img", { src: crop().images[key], alt: `${nameOf(key)}, ${byId("photo").value}`, draggable: "false" });
  const entry = entries.get(key);
  const name = entry ? make("a", { href: imagePath(entry, byId("photo").value), title: "The whole image, beside this page" }, entry.title) : nameOf(key);
  return make("figure", {}, make("div", { class: "view" }, image), make("figcaption", {}, name, score === null ? null : make("span", { class: "small" }, `${data.protocols[protocol].title} ${told(protocol, score)}`)));
}

function scoreOf(key, protocol, photo) {
  const found = here().images.of[protocol]?.[key], place = here().images.names.indexOf(photo);
  const at = found ? found.images.indexOf(place) : -1;
  return at < 0 ? null : found.values[at];
}

/** Zoom about a point of the crop (shares of its side), and keep the crop's edges outside the view. */
function zoomTo(zoom, x = 0.5, y = 0.5) {
  const next = Math.min(16, Math.max(1, zoom)), grown = next / view.zoom;
  moveTo(100 * x - (100 * x - view.x) * grown, 100 * y - (100 * y - view.y) * grown, next);
}

function moveTo(x, y, zoom = view.zoom) {
  const least = 100 * (1 - zoom);
  Object.assign(view, { zoom, x: Math.min(0, Math.max(least, x)), y: Math.min(0, Math.max(least, y)) });
  const grid = byId("grid");
  for (const name of ["zoom", "x", "y"]) grid.style.setProperty(`--${name}`, view[name]);
  grid.classList.toggle("zoomed", zoom > 1);
  byId("zoom-says").textContent = `${Math.round(10 * zoom) / 10}×`;
}

function startZoom() {
  const grid = byId("grid"), fingers = new Map();
  const place = (event) => {
    const box = event.target.closest?.(".view")?.getBoundingClientRect();
    return box && { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height, side: box.width };
  };
  byId("zoom-in").addEventListener("click", () => zoomTo(view.zoom * 1.5));
  byId("zoom-out").addEventListener("click", () => zoomTo(view.zoom / 1.5));
  byId("zoom-reset").addEventListener("click", () => moveTo(0, 0, 1));
  grid.addEventListener("wheel", (event) => {
    const at = place(event);
    // At the whole crop, the wheel outwards scrolls the page.
    if (!at || (view.zoom === 1 && event.deltaY > 0)) return;
    if (document.activeElement !== grid && !event.ctrlKey && view.zoom === 1) return;
    event.preventDefault();
    zoomTo(view.zoom * Math.exp(-event.deltaY / 300), at.x, at.y);
  }, { passive: false });
  grid.addEventListener("keydown", (event) => {
    if (event.target !== grid) return;
    const step = 12;
    const keys = { "+": () => zoomTo(view.zoom * 1.25), "=": () => zoomTo(view.zoom * 1.25), "-": () => zoomTo(view.zoom / 1.25), 0: () => moveTo(0, 0, 1),
      ArrowLeft: () => moveTo(view.x + step, view.y), ArrowRight: () => moveTo(view.x - step, view.y), ArrowUp: () => moveTo(view.x, view.y + step), ArrowDown: () => moveTo(view.x, view.y - step) };
    if (keys[event.key] && (view.zoom > 1 || !event.key.startsWith("Arrow"))) { event.preventDefault(); keys[event.key](); }
  });
  grid.addEventListener("pointerdown", (event) => {
    if (!place(event)) return;
    grid.focus({ preventScroll: true });
    fingers.set(event.pointerId, event);
    event.target.setPointerCapture(event.pointerId);
  });
  grid.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId), at = place(event);
    if (!before || !at) return;
    if (fingers.size === 1) {
      moveTo(view.x + (100 * (event.clientX - before.clientX)) / at.side, view.y + (100 * (event.clientY - before.clientY)) / at.side);
    } else {
      const other = [...fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
      const apart = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY) || 1;
      zoomTo((view.zoom * apart(event)) / apart(before), at.x, at.y);
    }
    fingers.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"]) grid.addEventListener(name, (event) => fingers.delete(event.pointerId));
}
