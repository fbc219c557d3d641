// A page a run, and chosen runs side by side: what the address after # says.

const single = find("single");

/** The run that an address names; −1 if there is none such, or nobody could have written it so. */
function named(name) {
  try { return data.runs.indexOf(decodeURIComponent(name)); } catch { return -1; }
}

function show() {
  const before = single.hidden, [, kind, names] = location.hash.match(/^#(runs?)=(.+)$/) ?? [];
  const runs = names?.split(",").map(named).filter(run => run >= 0) ?? [];
  const alone = kind === "run" && runs.length === 1, together = kind === "runs" && runs.length > 1;
  single.hidden = !(alone || together);
  find("report").hidden = !single.hidden;
  document.querySelector("header").hidden = !single.hidden;
  if (single.hidden) {
    if (!before) document.getElementById(location.hash.slice(1))?.scrollIntoView(); // it had no place when it was asked for
    return;
  }
  single.replaceChildren(...(alone ? page(runs[0]) : side(runs)));
  single.querySelectorAll("canvas").forEach(canvas => canvas.sketch());
  if (show.last !== location.hash) scrollTo(0, 0);
  show.last = location.hash;
}
addEventListener("hashchange", show);
repaint.push(() => { if (!single.hidden) single.querySelectorAll("canvas").forEach(canvas => canvas.sketch()); });
addEventListener("resize", () => { if (!single.hidden) single.querySelectorAll("canvas").forEach(canvas => canvas.sketch()); });

const back = () => make("p", { class: "back" }, make("a", { href: "#runs" }, "← all runs"));
const section = (heading, ...inside) => make("section", {}, make("h2", {}, heading), ...inside);
const scroll = (label, inside) => make("div", { class: "scroll", role: "region", "aria-label": label, tabindex: "0" }, inside);
const whole = text => make("span", { class: "whole" }, text);
const linkTo = run => make("a", { href: `#run=${encodeURIComponent(data.runs[run])}` }, data.runs[run]);

function grid(heads, rows, numbers = []) {
  const cell = (tag, content, place) => make(tag, numbers.includes(place) ? { class: "number" } : {}, ...(Array.isArray(content) ? content : [content]));
  return make("table", {},
    make("thead", {}, make("tr", {}, ...heads.map((head, place) => cell("th", head, place)))),
    make("tbody", {}, ...rows.map(row => make("tr", {}, ...row.map((content, place) => cell(place ? "td" : "th", content, place))))));
}

/** One run. */
function page(run) {
  const details = data.details[run];
  return [
    back(),
    make("header", {}, make("p", { class: "kind" }, "Run"), make("h1", { class: "name" }, data.runs[run]), make("p", { class: "path" }, badge(stateOf(run)),
      data.diverged[run] === null ? "" : ` in epoch ${data.diverged[run]}`, " ", ...typeset(called(run)))),
    facts(run),
    data.metrics.length ? section("Curves", make("p", { class: "note" }, "This run, and in grey the others of its cell, that differ in the seed only."),
      make("div", { class: "sketches" }, ...data.metrics.map(([name, title]) => sketched(title, name, [run], siblings(run))))) : null,
    probes(details),
    section("Beside its neighbours", neighbours(run)),
    section("Configuration", settings([run])),
    section("Attempts", attempts(run, details)),
    ...printed(run, details),
  ].filter(Boolean);
}

const siblings = run => data.cells.map((cell, other) => other).filter(other => other !== run && data.cells[other] === data.cells[run]);

function facts(run) {
  const numbers = data.table.filter(column => column.facet === null && column.values[run] !== null);
  return make("dl", { class: "facts" }, ...numbers.map(column =>
    make("div", {}, make("dt", {}, column.title), make("dd", {}, make("strong", {}, digitsOf(column.values[run], column.digits))))));
}

/** The runs that differ from this one in one key, with what came out. */
function neighbours(run) {
  const value = data.table.find(column => column.key === data.value) ?? data.table.find(column => column.facet === null);
  const facets = data.facets.filter(facet => facet !== state), rows = [];
  const signature = facets.map(facet => facet.codes[run]);
  data.runs.forEach((_, other) => {
    let away = null;
    for (let k = 0; k < facets.length; k++) if (facets[k].codes[other] !== signature[k]) {
      if (away !== null) return;
      away = k;
    }
    if (away !== null) rows.push([away, other]);
  });
  if (!rows.length) return make("p", { class: "empty" }, "No other run differs from it in one key only.");
  rows.sort(([a, one], [b, other]) => a - b || facets[a].codes[one] - facets[b].codes[other]);
  const own = value?.values[run];
  return scroll("Neighbours", grid(
    ["key", "value", "state", value?.title ?? "", "difference", "run"],
    rows.slice(0, 100).map(([key, other]) => {
      const theirs = value?.values[other], known = typeof own === "number" && typeof theirs === "number";
      return [facets[key].name, typeset(facets[key].values[facets[key].codes[other]]), badge(stateOf(other)), digitsOf(theirs, value?.digits),
        known ? `${theirs - own < 0 ? "−" : "+"}${digitsOf(Math.abs(theirs - own), value.digits)}` : "", linkTo(other)];
    }), [3, 4]));
}

/** The keys in which runs of the sweep differ, for some of them; then what all share. */
function settings(runs) {
  const varying = Object.entries(data.keys), of = (key, run) => key.values[key.codes[run]];
  const table = varying.length ? scroll("Keys that vary", grid(
    ["key that varies in the sweep", ...runs.map((run, place) => runs.length > 1 ? `${place + 1}` : "value")],
    varying.map(([name, key]) => [make("code", {}, name), ...runs.map(run => of(key, run))]))) : null;
  const shared = make("details", { class: "card" }, make("summary", {}, `The ${data.shared.length} keys that all runs share`),
    scroll("Shared keys", make("table", {}, make("tbody", {}, ...data.shared.map(([name, value]) =>
      make("tr", {}, make("th", { scope: "row" }, make("code", {}, name)), make("td", {}, value)))))));
  return make("div", {}, table, shared);
}

function attempts(run, details) {
  if (!details) return pending(run);
  if (!details.attempts.length) return make("p", { class: "empty" }, "It has not been begun, or its record cannot be read.");
  return scroll("Attempts", grid(["attempt", "end", "when", "host", "with", "code"],
    details.attempts.map(row => row.map((text, place) => place === 2 ? whole(text) : text))));
}

function printed(run, details) {
  if (!details) return [];
  return details.files.map(([name, text]) => section(`${name}, its end`, make("pre", { tabindex: "0" }, text)));
}

/** What `runtime.probes` saw in the blocks, step by step. */
function probes(details) {
  if (!details?.probes.length) return null;
  return section("Probes", make("p", { class: "note" }, "Blocks (upwards) and steps (to the right). The stronger the colour the larger, on a logarithmic scale; where nothing is, it is zero or not finite."),
    make("div", { class: "sketches" }, ...details.probes.map(map => {
      const canvas = make("canvas", { role: "img", "aria-label": `${map.title}: blocks against steps` });
      canvas.sketch = () => colours(canvas, map);
      return make("figure", { class: "card sketch" },
        make("figcaption", {}, map.title, make("span", { class: "range" }, `${digitsOf(map.low)} to ${digitsOf(map.high)}`)), canvas);
    })));
}

/** Where the details are not in the page. */
function pending(run) {
  if (data.live) {
    fetchDetails(run);
    return make("p", { class: "empty" }, "Being read …");
  }
  return make("p", { class: "empty" }, "For want of room its attempts and its log are not in this page: taunode-sweep logs, or multirun-analysis serve.");
}

/** Some runs: where they differ, what came out, their curves in one picture each. */
function side(runs) {
  const numbers = data.table.filter(column => column.facet === null && runs.some(run => column.values[run] !== null));
  const differ = Object.fromEntries(Object.entries(data.keys).filter(([, key]) => new Set(runs.map(run => key.values[key.codes[run]])).size > 1));
  return [
    back(),
    make("header", {}, make("p", { class: "kind" }, "Side by side"), make("h1", {}, `${runs.length} runs`)),
    section("Runs", scroll("Chosen runs", grid(["", "run", "state", ...numbers.map(column => column.title)],
      runs.map((run, place) => [mark(place), linkTo(run), badge(stateOf(run)), ...numbers.map(column => digitsOf(column.values[run], column.digits))]),
      numbers.map((_, place) => place + 3)))),
    section("Where they differ", Object.keys(differ).length ? scroll("Keys that differ", grid(
      ["key", ...runs.map((_, place) => mark(place))],
      Object.entries(differ).map(([name, key]) => [make("code", {}, name), ...runs.map(run => key.values[key.codes[run]])])))
      : make("p", { class: "empty" }, "In no key of their configuration.")),
    data.metrics.length ? section("Curves", make("div", { class: "sketches" }, ...data.metrics.map(([name, title]) => sketched(title, name, runs, [])))) : null,
  ].filter(Boolean);
}

/** The number of a run, in the colour of its curves. */
function mark(place) {
  const made = make("span", { class: "mark" }, String(place + 1));
  made.style.setProperty("--tint", `var(--c${place % COLOURS})`);
  return made;
}

/** A small chart of one metric. */
function sketched(title, name, runs, others) {
  const canvas = make("canvas", { role: "img", "aria-label": `${title} against the epoch` });
  canvas.sketch = () => sketch(canvas, name, runs, others);
  return make("figure", { class: "card sketch" }, make("figcaption", {}, title), canvas);
}

/** A clean canvas as large as it is shown: its pen, width and height. */
function cleaned(canvas) {
  const width = canvas.clientWidth, height = canvas.clientHeight, ratio = devicePixelRatio || 1, pen = canvas.getContext("2d");
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.font = `11px ${getComputedStyle(canvas).fontFamily}`;
  pen.fillStyle = colour("quiet");
  return [pen, width, height];
}

/** A map of one quantity: levels from 1 to 255, 0 for none. */
function colours(canvas, map) {
  const [pen, width, height] = cleaned(canvas), levels = atob(map.levels), [rows, columns] = [map.blocks.length, map.steps.length];
  const area = { left: 30, right: width - 8, top: 6, bottom: height - 20 };
  pen.textAlign = "right";
  pen.fillText(String(map.blocks.at(-1)), area.left - 6, area.top + 9);
  if (rows > 1) pen.fillText(String(map.blocks[0]), area.left - 6, area.bottom);
  pen.textAlign = "left";
  pen.fillText(String(map.steps[0]), area.left, height - 5);
  pen.textAlign = "right";
  if (columns > 1) pen.fillText(`step ${map.steps.at(-1)}`, area.right, height - 5);
  pen.fillStyle = colour("c0");
  const across = k => Math.round(area.left + (area.right - area.left) * k / columns), up = k => Math.round(area.bottom - (area.bottom - area.top) * k / rows);
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
    const level = levels.charCodeAt(row * columns + column);
    pen.globalAlpha = level && .08 + .92 * (level - 1) / 254;
    pen.fillRect(across(column), up(row + 1), across(column + 1) - across(column), up(row) - up(row + 1));
  }
}

function sketch(canvas, name, runs, others) {
  const [pen, width, height] = cleaned(canvas);
  const lines = [...others.map(run => [run, colour("line"), 1.25]), ...runs.map((run, place) => [run, colour(`c${place % COLOURS}`), 2])]
    .map(([run, tint, thick]) => ({ x: epochs(run, "epoch") ?? [], y: epochs(run, name) ?? [], tint, thick }));
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { x, y } of lines) for (let i = 0; i < x.length; i++) {
    if (!Number.isFinite(y[i])) continue;
    [left, right, low, high] = [Math.min(left, x[i]), Math.max(right, x[i]), Math.min(low, y[i]), Math.max(high, y[i])];
  }
  if (!(high >= low)) return pen.fillText("no epoch yet", 8, 20);
  const log = low > 0 && high > DECADE * low, scale = value => log ? Math.log10(value) : value;
  if (!log && low >= 0) low = 0;
  if (high <= low) high = low + 1;
  const text = value => value && Math.abs(value) < 1e-3 ? value.toExponential(1) : String(+value.toPrecision(3));
  const words = Math.max(...[low, high].map(value => pen.measureText(text(value)).width));
  const area = { left: Math.max(44, words + 10), right: width - 8, top: 8, bottom: height - 20 };
  const px = epoch => area.left + (right > left ? (epoch - left) / (right - left) : .5) * (area.right - area.left);
  const py = value => area.bottom - (scale(value) - scale(low)) / (scale(high) - scale(low)) * (area.bottom - area.top);
  pen.strokeStyle = colour("line");
  for (const value of [low, high]) {
    pen.textAlign = "right";
    pen.fillText(text(value), area.left - 6, py(value) + 4);
    pen.beginPath();
    pen.moveTo(area.left, py(value));
    pen.lineTo(area.right, py(value));
    pen.stroke();
  }
  pen.textAlign = "center";
  for (const epoch of new Set([left, right])) pen.fillText(String(epoch), Math.min(px(epoch), area.right - 6), height - 5);
  for (const { x, y, tint, thick } of lines) {
    pen.strokeStyle = pen.fillStyle = tint;
    pen.lineWidth = thick;
    pen.beginPath();
    for (let i = 0; i < x.length; i++) if (Number.isFinite(scale(y[i]))) pen.lineTo(px(x[i]), py(y[i]));
    pen.stroke();
    if (x.length === 1) pen.fillRect(px(x[0]) - 2, py(y[0]) - 2, 4, 4);
  }
}
