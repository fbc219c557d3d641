// The table of runs: filters and order, a window of rows, a choice of some to see side by side.

const STEP = 200;
const table = document.querySelector("table.runs"), body = table.tBodies[0];
const shown = new Array(data.runs.length).fill(true), chosen = new Set();
const boxes = [...document.querySelectorAll("#filters fieldset")].map(set => ({
  set, facet: data.facets.find(facet => facet.key === set.dataset.key), inputs: [...set.querySelectorAll("input")],
}));
const listed = data.table.filter(column => column.listed);
let order = data.runs.map((_, run) => run), room = STEP;
const rowOf = new Map();

/** What a column says of a run. */
function entry(column, run) {
  if (column.facet !== null) return data.facets[column.facet].values[data.facets[column.facet].codes[run]];
  return digitsOf(column.values[run], column.digits);
}

const ended = run => data.diverged[run] === null ? "" : `epoch ${data.diverged[run]}`;
const wordsOf = new Map();
function words(run) {
  if (!wordsOf.has(run)) wordsOf.set(run, [...listed.map(column => entry(column, run)), ended(run), data.runs[run]].join(" ").toLowerCase());
  return wordsOf.get(run);
}

function filter() {
  const sought = find("words").value.toLowerCase().split(/\s+/).filter(Boolean);
  shown.fill(true);
  for (const { set, facet, inputs } of boxes) {
    const on = inputs.map(input => input.checked);
    facet.codes.forEach((code, run) => { shown[run] &&= on[code] ?? true; });
    set.querySelector("button").textContent = on.every(Boolean) ? "hide all" : "show all";
  }
  if (sought.length) data.runs.forEach((_, run) => { shown[run] &&= sought.every(word => words(run).includes(word)); });
  const count = shown.filter(Boolean).length;
  find("count").textContent = count === data.runs.length ? `${count} runs` : `${count} of ${data.runs.length} runs`;
  find("everything").hidden = count === data.runs.length;
  find("none").hidden = count > 0;
}

/** The rows that are in the window, in their order. */
function list() {
  const visible = order.filter(run => shown[run]), inside = visible.slice(0, room);
  body.replaceChildren(...inside.map(row));
  find("more").hidden = visible.length <= inside.length;
  find("further").textContent = `The first ${inside.length} of ${visible.length}; show ${Math.min(STEP, visible.length - inside.length)} more`;
}

function row(run) {
  if (!rowOf.has(run)) rowOf.set(run, makeRow(run));
  return rowOf.get(run);
}

function makeRow(run) {
  const tick = make("input", { type: "checkbox", "aria-label": `choose ${data.runs[run]}` });
  tick.checked = chosen.has(run);
  tick.onchange = () => choose(run, tick.checked);
  const cells = listed.map((column, number) => {
    const cell = make("td", { "data-label": column.title }), text = entry(column, run);
    if (column.facet === null) cell.className = "number";
    if (number) cell.append(make("span", {}, ...typeset(text)));
    else cell.append(badge(text), make("small", {}, ended(run) && ` ${ended(run)}`));
    return cell;
  });
  const link = make("a", { href: `#run=${encodeURIComponent(data.runs[run])}` }, data.runs[run]);
  const made = make("tr", {}, make("td", { class: "choice" }, tick), ...cells, make("th", { scope: "row" }, link));
  made.onclick = event => { if (!event.target.closest("input, a")) link.click(); };
  made.onmouseenter = () => chart.light(run);
  return made;
}

/** A row whose numbers have changed is made anew. */
function renew(run) {
  wordsOf.delete(run);
  const old = rowOf.get(run);
  if (!old) return;
  rowOf.delete(run);
  if (old.isConnected) old.replaceWith(row(run));
}

function choose(run, on) {
  if (on) chosen.add(run);
  else chosen.delete(run);
  const button = find("beside");
  button.disabled = chosen.size < 2;
  button.textContent = chosen.size > 1 ? `Side by side: ${chosen.size} runs` : "Side by side";
}
find("beside").onclick = () => { location.hash = `#runs=${[...chosen].map(run => encodeURIComponent(data.runs[run])).join(",")}`; };

function keyOf(column, run) {
  if (column === undefined) return data.runs[run];
  return column.facet === null ? column.values[run] : data.facets[column.facet].codes[run];
}

const headings = [...table.tHead.rows[0].cells].slice(1);
function sort(number, way) {
  const heading = headings[number], column = listed[number];
  for (const other of headings) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", way);
  const sign = way === "ascending" ? 1 : -1, keys = data.runs.map((_, run) => keyOf(column, run));
  const compare = column === undefined
    ? (a, b) => sign * keys[a].localeCompare(keys[b], "en", { numeric: true })
    : (a, b) => (keys[a] === null) - (keys[b] === null) || sign * (keys[a] - keys[b]); // what has no value comes last
  order = data.runs.map((_, run) => run).sort((a, b) => compare(a, b) || a - b);
}

headings.forEach((heading, number) => {
  const button = heading.querySelector("button");
  button.disabled = false;
  button.onclick = () => { sort(number, heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending"); list(); };
});
for (const { set, inputs } of boxes) {
  set.querySelector("button").onclick = () => {
    const on = !inputs.every(input => input.checked);
    for (const input of inputs) input.checked = on;
    update();
  };
  set.onchange = update;
}
find("words").oninput = () => update();
find("everything").onclick = () => {
  find("words").value = "";
  for (const { inputs } of boxes) for (const input of inputs) input.checked = true;
  update();
};
find("further").disabled = false;
find("further").onclick = () => { room += STEP; list(); };
find("filters").hidden = boxes.length === 0;
find("search").hidden = false;
body.onmouseleave = () => chart.light(null);

function update() {
  filter();
  list();
  chart.update();
}
