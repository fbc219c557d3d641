"use strict";
// The tables and the curves of a report. Run i is row i of the table of runs, in the order of the page.
// What comes from the sweep is only ever put in place as text.
{
const data = JSON.parse(document.getElementById("data").textContent);
const find = id => document.getElementById(id);
const make = (tag, ...inside) => { const made = document.createElement(tag); made.append(...inside); return made; };
const ALL = "";

// ---------------------------------------------------------------- the table of runs: filters and order

const table = document.querySelector("table.runs"), body = table.tBodies[0], rows = [...body.rows];
const texts = rows.map(row => row.textContent.toLowerCase());
const shown = new Array(rows.length).fill(true);
const boxes = [...document.querySelectorAll("#filters fieldset")].map(set => ({
  set, facet: data.facets.find(facet => facet.key === set.dataset.key), inputs: [...set.querySelectorAll("input")],
}));

function filter() {
  const words = find("words").value.toLowerCase().split(/\s+/).filter(Boolean);
  shown.fill(true);
  for (const { set, facet, inputs } of boxes) {
    const on = inputs.map(input => input.checked);
    facet.codes.forEach((code, run) => { shown[run] &&= on[code]; });
    set.querySelector("button").textContent = on.every(Boolean) ? "hide all" : "show all";
  }
  rows.forEach((row, run) => { row.hidden = !(shown[run] &&= words.every(word => texts[run].includes(word))); });
  const count = shown.filter(Boolean).length;
  find("count").textContent = count === rows.length ? `${count} runs` : `${count} of ${rows.length} runs`;
  find("everything").hidden = count === rows.length;
  find("none").hidden = count > 0;
}

function sort(heading, column) {
  const order = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const keys = rows.map(row => row.cells[column].dataset.v ?? row.cells[column].textContent);
  const compare = column === table.tHead.rows[0].cells.length - 1
    ? (a, b) => sign * keys[a].localeCompare(keys[b], "en", { numeric: true })
    : (a, b) => (keys[a] === "") - (keys[b] === "") || sign * (keys[a] - keys[b]); // what has no value comes last
  body.append(...rows.map((_, run) => run).sort((a, b) => compare(a, b) || a - b).map(run => rows[run]));
}

[...table.tHead.rows[0].cells].forEach((heading, column) => {
  const button = heading.querySelector("button");
  button.disabled = false;
  button.onclick = () => sort(heading, column);
});
for (const { set, inputs } of boxes) {
  set.querySelector("button").onclick = () => {
    const on = !inputs.every(input => input.checked);
    for (const input of inputs) input.checked = on;
    update();
  };
  set.onchange = update;
}
find("words").oninput = update;
find("everything").onclick = () => {
  find("words").value = "";
  for (const { inputs } of boxes) for (const input of inputs) input.checked = true;
  update();
};
find("filters").hidden = boxes.length === 0;
find("search").hidden = false;

// ---------------------------------------------------------------- light and dark

const theme = find("theme"), themes = ["system", "light", "dark"];
theme.hidden = false;
theme.onclick = () => {
  const next = themes[(themes.indexOf(theme.lastChild.textContent) + 1) % themes.length];
  theme.lastChild.textContent = next;
  document.documentElement.dataset.theme = next;
  update();
};
matchMedia("(prefers-color-scheme: dark)").onchange = update;

// ---------------------------------------------------------------- the curves

const COLOURS = 8, DASHES = [[], [7, 3], [2, 2.5], [8, 3, 2, 3]], DECADE = 20;
const chart = data.metrics.length ? curves() : { update() {}, light() {} };

function curves() {
  const plot = find("plot"), base = find("base"), over = find("over"), readout = find("readout");
  let total = 0;
  const starts = data.lengths.map(length => (total += length) - length);
  const state = data.facets.find(facet => facet.key === "state"), keys = data.facets.filter(facet => facet.choosable);
  const columns = {}; // decoded when first drawn
  let series = [], view = null, cursor = null, box = null, log = null;

  /** The values of all runs, one after the other. */
  function column(name) {
    if (columns[name]) return columns[name];
    const raw = atob(data.columns[name]), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return columns[name] = new Float32Array(bytes.buffer);
  }

  /** The lines of the runs that are shown: one a run, or one for those that differ in nothing but what is averaged. */
  function build() {
    const [first, second] = ["colour", "dashes"].map(id => data.facets.find(facet => facet.key === find(id).value));
    const means = find("lines").value === "means", groups = new Map();
    shown.forEach((visible, run) => {
      if (!visible || !data.lengths[run]) return;
      const key = means ? [data.cells[run], first?.codes[run], second?.codes[run]].join() : run;
      groups.get(key)?.push(run) ?? groups.set(key, [run]);
    });
    const x = column("epoch"), y = column(find("metric").value);
    const part = (values, run) => values.subarray(starts[run], starts[run] + data.lengths[run]);
    series = [...groups.values()].map(runs => {
      const colour = first?.codes[runs[0]] ?? 0, dash = (second?.codes[runs[0]] ?? 0) + Math.floor(colour / COLOURS);
      const told = data.facets.filter(facet => facet !== state && runs.every(run => facet.codes[run] === facet.codes[runs[0]]));
      return {
        runs,
        colour: colour % COLOURS,
        dash: DASHES[dash % DASHES.length],
        label: told.map(facet => `${facet.name} ${facet.values[facet.codes[runs[0]]]}`).join(", ") || rows[runs[0]].lastElementChild.textContent,
        ends: runs.filter(run => state.values[state.codes[run]] === "diverged")
          .map(run => [part(x, run).at(-1), part(y, run).at(-1)]),
        ...(runs.length > 1 ? mean(runs.map(run => [part(x, run), part(y, run)])) : { x: part(x, runs[0]), y: part(y, runs[0]) }),
      };
    });
  }

  /** Mean and sd at each epoch, over the runs that have it (Welford's update). */
  function mean(lines) {
    const at = new Map();
    for (const [x, y] of lines) for (let i = 0; i < x.length; i++) {
      if (!Number.isFinite(y[i])) continue;
      const now = at.get(x[i]) ?? { n: 0, mean: 0, squares: 0 }, away = y[i] - now.mean;
      now.n += 1;
      now.mean += away / now.n;
      now.squares += away * (y[i] - now.mean);
      at.set(x[i], now);
    }
    const x = [...at.keys()].sort((a, b) => a - b), all = x.map(epoch => at.get(epoch));
    return { x, y: all.map(now => now.mean), n: all.map(now => now.n), sd: all.map(now => now.n > 1 ? Math.sqrt(now.squares / (now.n - 1)) : 0) };
  }

  // Positions: an axis is linear in `scale(value)`; view = [left, right, bottom, top] in those units.
  const scale = value => log ? Math.log10(value) : value, back = value => log ? 10 ** value : value;

  function whole() {
    let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const { x, y } of series) {
      left = Math.min(left, x[0]);
      right = Math.max(right, x.at(-1));
      for (const value of y) {
        const at = scale(value);
        if (!Number.isFinite(at)) continue;
        if (at < bottom) bottom = at;
        if (at > top) top = at;
      }
    }
    if (!(top >= bottom)) [bottom, top] = [0, 1];
    if (!log && bottom >= 0) bottom = 0;
    const room = (top - bottom || 1) * .04;
    return [left, right > left ? right : left + 1, bottom && bottom - room, top + room];
  }

  /** Where the lines are, and the way from epochs and values to points of the canvas and back. */
  function frame() {
    const width = plot.clientWidth, height = plot.clientHeight, [left, right, bottom, top] = view ?? whole();
    const area = { left: 52, right: width - 8, top: 8, bottom: height - 38 };
    const across = (area.right - area.left) / (right - left), up = (area.bottom - area.top) / (top - bottom);
    return {
      ...area, width, height, view: [left, right, bottom, top],
      x: epoch => area.left + (epoch - left) * across,
      y: value => area.bottom - (scale(value) - bottom) * up,
      unit: (px, py) => [left + (px - area.left) / across, bottom + (area.bottom - py) / up],
    };
  }

  /** A canvas of the right size and sharpness, empty. */
  function clean(canvas) {
    const ratio = devicePixelRatio || 1, pen = canvas.getContext("2d");
    canvas.width = Math.round(plot.clientWidth * ratio);
    canvas.height = Math.round(plot.clientHeight * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.lineJoin = "round";
    return pen;
  }

  /** A colour of the style sheet as the theme has it. */
  function colour(name) {
    plot.style.caretColor = `var(--${name})`; // a property that shows nothing here
    return getComputedStyle(plot).caretColor;
  }

  function ticks(from, to, count) {
    const raw = (to - from) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].find(factor => factor * power >= raw) * power, found = [];
    for (let k = Math.ceil(from / step); k * step <= to; k++) found.push(+(k * step).toPrecision(12));
    return found;
  }

  function marks(bottom, top) {
    if (!log || top - bottom < .5) return ticks(...[bottom, top].map(back), 5).filter(value => !log || value > 0);
    const every = Math.max(1, Math.ceil((top - bottom) / 6)), found = [];
    for (let k = Math.floor(bottom); k <= top; k++) if (k % every === 0) for (const digit of top - bottom < 2.5 ? [1, 2, 5] : [1]) found.push(digit * 10 ** k);
    return found.filter(value => scale(value) >= bottom && scale(value) <= top);
  }

  const digits = value => !value || Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5 ? String(+value.toPrecision(4)) : value.toExponential().replace("e+", "e");

  function draw() {
    const pen = clean(base), at = frame(), [left, right, bottom, top] = at.view;
    const paints = Array.from({ length: COLOURS }, (_, place) => colour(`c${place}`));
    find("nothing").hidden = series.length > 0;
    if (!series.length) return;
    pen.font = `12px ${getComputedStyle(plot).fontFamily}`;
    pen.fillStyle = colour("quiet");
    pen.strokeStyle = colour("line");
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const value of marks(bottom, top)) {
      pen.fillText(digits(value), at.left - 8, at.y(value));
      pen.beginPath();
      pen.moveTo(at.left, at.y(value));
      pen.lineTo(at.right, at.y(value));
      pen.stroke();
    }
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const value of ticks(left, right, Math.max(2, at.width / 90))) pen.fillText(digits(value), Math.min(at.x(value), at.right - 8), at.bottom + 6);
    pen.fillText("epoch", (at.left + at.right) / 2, at.bottom + 22);
    pen.save();
    pen.beginPath();
    pen.rect(at.left, at.top, at.right - at.left, at.bottom - at.top);
    pen.clip();
    const low = at.bottom + 1e3; // where what a logarithm has no place for is put
    for (const { x, y, sd, colour } of series) {
      if (!sd) continue;
      pen.globalAlpha = series.length > 12 ? .08 : .16;
      pen.fillStyle = paints[colour];
      pen.beginPath();
      for (let i = 0; i < x.length; i++) pen.lineTo(at.x(x[i]), at.y(y[i] + sd[i]));
      for (let i = x.length - 1; i >= 0; i--) pen.lineTo(at.x(x[i]), !log || y[i] > sd[i] ? at.y(y[i] - sd[i]) : low);
      pen.fill();
    }
    pen.globalAlpha = series.length > 150 ? .6 : 1;
    pen.lineWidth = series.length > 60 ? 1 : 1.75;
    for (const line of series) trace(pen, at, line, paints[line.colour]);
    pen.restore();
  }

  function trace(pen, at, { x, y, dash, ends }, paint) {
    pen.strokeStyle = paint;
    pen.setLineDash(dash);
    pen.beginPath();
    let down = false;
    for (let i = 0; i < x.length; i++) {
      const height = at.y(y[i]);
      if (!Number.isFinite(height)) { down = false; continue; }
      down ? pen.lineTo(at.x(x[i]), height) : pen.moveTo(at.x(x[i]), height);
      down = true;
    }
    pen.stroke();
    pen.setLineDash([]);
    for (const [epoch, value] of ends) {
      const [px, py] = [at.x(epoch), at.y(value)];
      if (!Number.isFinite(py)) continue;
      pen.beginPath();
      for (const side of [-4, 4]) { pen.moveTo(px - 4, py - side); pen.lineTo(px + 4, py + side); }
      pen.stroke();
    }
    if (x.length === 1) { pen.fillStyle = paint; pen.fillRect(at.x(x[0]) - 2, at.y(y[0]) - 2, 4, 4); }
  }

  /** What is pointed at: its line, a ring, and words; or the box that is being drawn. */
  function point(rowToo = true) {
    const pen = clean(over), at = frame(), line = cursor && series[cursor.line];
    readout.hidden = !line || cursor.epoch < 0;
    if (rowToo) rows.forEach((row, run) => row.classList.toggle("lit", Boolean(line?.runs.includes(run))));
    if (box) {
      pen.globalAlpha = .15;
      pen.fillStyle = colour("accent");
      pen.fillRect(...corner(at));
    }
    if (!line) return;
    pen.save();
    pen.beginPath();
    pen.rect(at.left, at.top, at.right - at.left, at.bottom - at.top);
    pen.clip();
    const paint = colour(`c${line.colour}`);
    for (const [width, stroke] of [[7, colour("card")], [3, paint]]) { // the halo takes it out of the crowd
      pen.lineWidth = width;
      trace(pen, at, line, stroke);
    }
    pen.restore();
    if (cursor.epoch < 0) return; // the whole line, from the table
    const i = cursor.epoch, px = at.x(line.x[i]), py = at.y(line.y[i]);
    pen.lineWidth = 2;
    pen.strokeStyle = paint;
    pen.fillStyle = colour("card");
    pen.beginPath();
    pen.arc(px, py, 4.5, 0, 7);
    pen.fill();
    pen.stroke();
    const shown = value => find("metric").value.endsWith("_error") ? value.toFixed(2) : digits(value);
    const spread = line.n?.[i] > 1 ? ` ± ${shown(line.sd[i])} (n = ${line.n[i]})` : "";
    const fate = line.ends.length ? `${line.ends.length} of ${line.runs.length} diverged` : "";
    const said = [line.label, `epoch ${line.x[i]}: ${shown(line.y[i])}${spread}`, ...(fate ? [fate] : [])];
    if (readout.textContent !== said.join("")) readout.replaceChildren(...said.map(text => make("span", text)));
    readout.style.left = `${Math.max(0, Math.min(px + 14, at.width - readout.offsetWidth))}px`;
    readout.style.top = `${py > at.height / 2 ? Math.max(0, py - readout.offsetHeight - 12) : py + 14}px`;
  }

  /** The place in a line of the epoch that is nearest. */
  function nearest(x, epoch) {
    let [low, high] = [0, x.length - 1];
    while (low < high) { const middle = (low + high) >> 1; x[middle] < epoch ? low = middle + 1 : high = middle; }
    return low > 0 && epoch - x[low - 1] < x[low] - epoch ? low - 1 : low;
  }

  function under(px, py) {
    const at = frame(), epoch = at.unit(px, py)[0];
    let found = null, least = 40; // pixels
    series.forEach(({ x, y }, line) => {
      const i = nearest(x, epoch), away = Math.hypot(at.x(x[i]) - px, at.y(y[i]) - py);
      if (away < least) [found, least] = [{ line, epoch: i }, away];
    });
    return found;
  }

  /** The box's corner, width and height; one drawn flat is a choice of epochs alone. */
  function corner(at) {
    const [x0, x1] = [box.x, box.toX].map(x => Math.max(at.left, Math.min(at.right, x))).sort((a, b) => a - b);
    let [y0, y1] = [box.y, box.toY].map(y => Math.max(at.top, Math.min(at.bottom, y))).sort((a, b) => a - b);
    if (y1 - y0 < 12) [y0, y1] = [at.top, at.bottom];
    return [x0, y0, x1 - x0, y1 - y0];
  }

  function zoom(factor) {
    const at = frame(), [left, right, bottom, top] = at.view, line = cursor && series[cursor.line];
    const x = line && cursor.epoch >= 0 ? line.x[cursor.epoch] : (left + right) / 2;
    const y = line && cursor.epoch >= 0 ? scale(line.y[cursor.epoch]) : (bottom + top) / 2;
    look([x - (x - left) * factor, x + (right - x) * factor, y - (y - bottom) * factor, y + (top - y) * factor]);
  }

  function look(at) {
    view = at;
    plot.dataset.view = view ? "part" : "whole";
    draw();
    point();
  }

  function step(line, epoch) {
    cursor = { line, epoch: Math.max(0, Math.min(series[line].x.length - 1, epoch)) };
    point();
  }

  /** To the next curve above (1) or below (−1) at this epoch. */
  function climb(way) {
    const { x, y } = series[cursor.line], epoch = x[cursor.epoch];
    const heights = series.map((line, place) => [line.y[nearest(line.x, epoch)], place]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const next = heights[heights.findIndex(([, place]) => place === cursor.line) + way];
    if (next) step(next[1], nearest(series[next[1]].x, epoch));
  }

  const actions = {
    ArrowRight: far => step(cursor.line, cursor.epoch + far), ArrowLeft: far => step(cursor.line, cursor.epoch - far),
    ArrowUp: () => climb(1), ArrowDown: () => climb(-1),
    Home: () => step(cursor.line, 0), End: () => step(cursor.line, Infinity),
    "+": () => zoom(.5), "=": () => zoom(.5), "-": () => zoom(2), 0: () => look(null), Escape: () => { cursor = null; look(null); },
  };
  plot.onkeydown = event => {
    if (!(event.key in actions) || event.ctrlKey || event.metaKey || event.altKey || !series.length) return;
    event.preventDefault();
    if (event.key.startsWith("Arrow") && !(cursor?.epoch >= 0)) return step(0, Infinity);
    cursor ??= { line: 0, epoch: series[0].x.length - 1 };
    actions[event.key](event.shiftKey ? 10 : 1);
  };
  const place = event => { const edge = plot.getBoundingClientRect(); return [event.clientX - edge.left, event.clientY - edge.top]; };
  plot.onpointerdown = event => {
    const [x, y] = place(event);
    if (event.button === 0) box = { x, y, toX: x, toY: y };
  };
  plot.onpointermove = event => {
    const [x, y] = place(event);
    if (box) {
      if (Math.abs(x - box.x) > 6) plot.setPointerCapture(event.pointerId);
      [box.toX, box.toY, cursor] = [x, y, null];
    } else cursor = under(x, y);
    point();
  };
  plot.onpointerup = event => {
    const at = frame(), [x, y, width, height] = box ? corner(at) : [0, 0, 0, 0];
    box = null;
    if (width < 7) { cursor = under(...place(event)); return point(); }
    const [left, bottom] = at.unit(x, y + height), [right, top] = at.unit(x + width, y);
    look([left, right, bottom, top]);
  };
  plot.onpointerleave = plot.onpointercancel = () => { box = cursor = null; point(); };
  plot.ondblclick = () => look(null);
  plot.onblur = () => { cursor = null; point(); };
  find("in").onclick = () => zoom(.5);
  find("out").onclick = () => zoom(2);
  find("whole").onclick = () => look(null);

  /** Beside each value that has a colour or a dash, a piece of its line. */
  function swatches() {
    for (const { facet, inputs } of boxes) for (const input of inputs) {
      const code = +input.value, colours = facet.key === find("colour").value, dashes = facet.key === find("dashes").value;
      const spot = input.nextElementSibling;
      spot.replaceChildren();
      if (!colours && !dashes) continue;
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), line = document.createElementNS(svg.namespaceURI, "line");
      for (const [name, value] of Object.entries({ x1: 0, x2: 24, y1: 4, y2: 4, "stroke-width": 3 })) line.setAttribute(name, value);
      line.style.stroke = colours ? `var(--c${code % COLOURS})` : "currentColor";
      line.setAttribute("stroke-dasharray", DASHES[((dashes ? code : 0) + (colours ? Math.floor(code / COLOURS) : 0)) % DASHES.length].join(" "));
      svg.setAttribute("viewBox", "0 0 24 8");
      svg.setAttribute("aria-hidden", "true");
      svg.append(line);
      spot.append(svg);
    }
  }

  function rebuild() {
    build();
    if (log === null) {
      let [low, high] = [Infinity, 0];
      for (const { y } of series) for (const value of y) if (value > 0 && value < Infinity) [low, high] = [Math.min(low, value), Math.max(high, value)];
      log = high > DECADE * low;
      find("log").checked = log;
    }
    cursor = null;
    swatches();
    look(view);
  }

  const natural = keys.filter(facet => facet !== state)
    .sort((a, b) => (a.key === "seed") - (b.key === "seed") || b.values.length - a.values.length);
  for (const [place, id] of ["colour", "dashes"].entries()) {
    find(id).append(new Option("–", ALL), ...keys.map(facet => new Option(facet.name, facet.key)));
    const chosen = natural[place];
    find(id).value = chosen && (place === 0 || chosen.key !== "seed") ? chosen.key : ALL;
    find(id).onchange = rebuild;
  }
  if (new Set(data.cells).size === data.cells.length || find("colour").value === "seed") find("lines").value = "runs";
  find("lines").onchange = rebuild;
  find("metric").onchange = () => { view = log = null; rebuild(); };
  find("log").onchange = () => { log = find("log").checked; look(null); };
  find("chart").hidden = false;
  new ResizeObserver(() => { draw(); point(); }).observe(plot);
  return {
    update: rebuild,
    /** Shows the line of a row of the table. */
    light(run) {
      cursor = run === null ? null : { line: series.findIndex(line => line.runs.includes(run)), epoch: -1 };
      if (cursor?.line < 0) cursor = null;
      point(false);
    },
  };
}

function update() {
  filter();
  chart.update();
}

rows.forEach((row, run) => { row.onmouseenter = () => chart.light(run); });
body.onmouseleave = () => chart.light(null);
update();
document.documentElement.dataset.ready = Math.round(performance.now());
}
