// The curves: a canvas with a panel for each value of a key, lines by colour and dashes, the one that is pointed at with
// its spread. All panels have one view: what is zoomed in one is zoomed in all.

const DASHES = [[], [7, 3], [2, 2.5], [8, 3, 2, 3]], DECADE = 20, GAP = 14, TITLE = 20, STRIP = 9, EDGE = 6;
const chart = makeChart();

function makeChart() {
  const plot = find("plot"), base = find("base"), over = find("over"), readout = find("readout");
  let series = [], view = null, cursor = null, box = null, log = null, parts = [];

  const facetOf = id => data.facets.find(facet => facet.key === find(id).value);
  const metric = () => find("metric").value;

  /** The lines of the runs that are shown: one a run, or one for those that differ in nothing but what is averaged. */
  function build() {
    const [first, second, panel] = ["colour", "dashes", "panels"].map(facetOf);
    const means = find("lines").value === "means", groups = new Map();
    shown.forEach((visible, run) => {
      if (!visible || !(data.lengths[run] || fresh.has(run) || data.diverged[run] !== null)) return;
      const key = means ? [data.cells[run], first?.codes[run], second?.codes[run], panel?.codes[run]].join() : run;
      groups.get(key)?.push(run) ?? groups.set(key, [run]);
    });
    series = [...groups.values()].map(runs => {
      const paint = first?.codes[runs[0]] ?? 0, dash = (second?.codes[runs[0]] ?? 0) + Math.floor(paint / COLOURS);
      const told = data.facets.filter(facet => facet !== state && runs.every(run => facet.codes[run] === facet.codes[runs[0]]));
      const lines = runs.map(run => [epochs(run, "epoch"), epochs(run, metric())]).filter(([x, y]) => x?.length && y);
      const gone = runs.filter(run => data.diverged[run] !== null);
      return {
        runs,
        panel: panel?.codes[runs[0]] ?? 0,
        colour: paint % COLOURS,
        dash: DASHES[dash % DASHES.length],
        label: called(runs[0], told) || data.runs[runs[0]],
        gone: gone.length,
        ends: gone.map(run => last(epochs(run, "epoch"), epochs(run, metric()))).filter(Boolean),
        early: gone.filter(run => !last(epochs(run, "epoch"), epochs(run, metric()))).map(run => data.diverged[run]),
        ...(lines.length > 1 ? mean(lines) : lines.length ? { x: lines[0][0], y: lines[0][1] } : { x: [], y: [] }),
      };
    });
    const codes = [...new Set(series.map(line => line.panel))].sort((a, b) => a - b);
    parts = codes.map(code => ({ code, title: panel ? [panel.name, panel.values[code]].join(" ") : "" }));
  }

  /** The last epoch that has a value, and the value. */
  function last(x, y) {
    for (let i = (x && y ? x.length : 0) - 1; i >= 0; i--) if (Number.isFinite(y[i])) return [x[i], y[i]];
    return null;
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
      if (!x.length) continue;
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
    if (!(right >= left)) [left, right] = [1, 2];
    if (!log && bottom >= 0) bottom = 0;
    const spare = (top - bottom || 1) * .04;
    return [left, right > left ? right : left + 1, bottom && bottom - spare, top + spare];
  }

  /** Where each panel is, and the way from epochs and values to points of the canvas and back. */
  function frames() {
    const width = plot.clientWidth, height = plot.clientHeight, [left, right, bottom, top] = view ?? whole();
    const count = Math.max(parts.length, 1), across = Math.min(count, width < 560 ? 1 : width < 900 ? 2 : 3);
    const down = Math.ceil(count / across), wide = (width - GAP * (across - 1)) / across, tall = height / down;
    return Array.from({ length: count }, (_, number) => {
      const column = number % across, line = Math.floor(number / across);
      const area = {
        left: column * (wide + GAP) + (column ? 34 : 52), right: column * (wide + GAP) + wide - 8,
        top: line * tall + STRIP + (parts[number]?.title ? TITLE : 0), bottom: (line + 1) * tall - 38,
      };
      const x = (area.right - area.left) / (right - left), y = (area.bottom - area.top) / (top - bottom);
      return {
        ...area, number, code: parts[number]?.code ?? 0, title: parts[number]?.title ?? "", view: [left, right, bottom, top],
        x: epoch => area.left + (epoch - left) * x,
        y: value => area.bottom - (scale(value) - bottom) * y,
        unit: (px, py) => [left + (px - area.left) / x, bottom + (area.bottom - py) / y],
        holds: (px, py) => px > area.left - 40 && px < area.right + GAP && py > area.top - TITLE && py < area.bottom + 38,
      };
    });
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

  /** Round numbers between two; `least` is the smallest step. */
  function ticks(from, to, count, least = 0) {
    const raw = Math.max((to - from) / count, least), power = 10 ** Math.floor(Math.log10(raw));
    const step = Math.max([1, 2, 5, 10].find(factor => factor * power >= raw * .999) * power, least), marks = [];
    for (let k = Math.ceil(from / step); k * step <= to; k++) marks.push(+(k * step).toPrecision(12));
    return marks;
  }

  function heights(bottom, top) {
    if (!log || top - bottom < .5) return ticks(...[bottom, top].map(back), 5).filter(value => !log || value > 0);
    const every = Math.max(1, Math.ceil((top - bottom) / 6)), marks = [];
    for (let k = Math.floor(bottom); k <= top; k++) if (k % every === 0) for (const digit of top - bottom < 2.5 ? [1, 2, 5] : [1]) marks.push(digit * 10 ** k);
    return marks.filter(value => scale(value) >= bottom && scale(value) <= top);
  }

  const digits = value => !value || Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5 ? String(+value.toPrecision(4)) : value.toExponential().replace("e+", "e");

  function draw() {
    size();
    const pen = clean(base), paints = Array.from({ length: COLOURS }, (_, place) => colour(`c${place}`));
    find("nothing").hidden = series.length > 0;
    if (!series.length) return;
    for (const at of frames()) panel(pen, at, series.filter(line => line.panel === at.code), paints);
  }

  function panel(pen, at, lines, paints) {
    const [left, right, bottom, top] = at.view, family = getComputedStyle(plot).fontFamily;
    pen.font = `12px ${family}`;
    pen.fillStyle = colour("quiet");
    pen.strokeStyle = colour("line");
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const value of heights(bottom, top)) {
      pen.fillText(digits(value), at.left - 8, at.y(value));
      pen.beginPath();
      pen.moveTo(at.left, at.y(value));
      pen.lineTo(at.right, at.y(value));
      pen.stroke();
    }
    pen.textAlign = "center";
    pen.textBaseline = "top";
    const count = Math.max(2, (at.right - at.left) / 60);
    for (const value of ticks(left, right, count, 1)) pen.fillText(digits(value), Math.min(at.x(value), at.right - 8), at.bottom + 6);
    pen.fillText("epoch", (at.left + at.right) / 2, at.bottom + 21);
    if (at.title) written(pen, at.title, (at.left + at.right) / 2, at.top - STRIP - TITLE + 3, family);
    pen.save();
    pen.beginPath();
    pen.rect(at.left - EDGE, at.top - STRIP, at.right - at.left + 2 * EDGE, at.bottom - at.top + STRIP);
    pen.clip();
    pen.globalAlpha = series.length > 150 ? .6 : 1;
    pen.lineWidth = lines.length > 60 ? 1 : 1.75;
    for (const line of lines) trace(pen, at, line, paints[line.colour]);
    pen.restore();
  }

  /** A title with powers of L raised. */
  function written(pen, text, middle, top, family) {
    const pieces = text.split(/L\^(-?[0-9.]+(?:\/[0-9]+)?)/).map((part, number) => number % 2
      ? [["L", `italic 600 13px ${family}`, 0], [part.replace("-", "−"), `600 10px ${family}`, -4]]
      : [[part, `600 13px ${family}`, 0]]).flat().filter(([part]) => part);
    const widths = pieces.map(([part, font]) => { pen.font = font; return pen.measureText(part).width; });
    let x = middle - widths.reduce((sum, width) => sum + width, 0) / 2;
    pen.textAlign = "left";
    pen.fillStyle = colour("ink");
    pieces.forEach(([part, font, rise], number) => { pen.font = font; pen.fillText(part, x, top + (rise ? 0 : 1)); x += widths[number]; });
  }

  function trace(pen, at, { x, y, dash, ends, early }, paint) {
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
    const crosses = [...ends.map(([epoch, value]) => [at.x(epoch), at.y(value)]), ...early.map(epoch => [at.x(epoch), at.top - 4])];
    for (const [px, py] of crosses) {
      if (!Number.isFinite(py)) continue;
      pen.beginPath();
      for (const side of [-4, 4]) { pen.moveTo(px - 4, py - side); pen.lineTo(px + 4, py + side); }
      pen.stroke();
    }
    if (x.length === 1) { pen.fillStyle = paint; pen.fillRect(at.x(x[0]) - 2, at.y(y[0]) - 2, 4, 4); }
  }

  /** ± sd around a line. */
  function band(pen, at, { x, y, sd }, paint) {
    const low = at.bottom + 1e3; // where what a logarithm has no place for is put
    pen.globalAlpha = .2;
    pen.fillStyle = paint;
    pen.beginPath();
    for (let i = 0; i < x.length; i++) pen.lineTo(at.x(x[i]), at.y(y[i] + sd[i]));
    for (let i = x.length - 1; i >= 0; i--) pen.lineTo(at.x(x[i]), !log || y[i] > sd[i] ? at.y(y[i] - sd[i]) : low);
    pen.fill();
    pen.globalAlpha = 1;
  }

  /** What is pointed at: its line with its spread, a ring, and words; or the box that is being drawn. */
  function point(rowToo = true) {
    const pen = clean(over), line = cursor && series[cursor.line], all = frames();
    readout.hidden = !line || cursor.epoch < 0;
    if (rowToo) for (const [run, made] of rowOf) made.classList.toggle("lit", Boolean(line?.runs.includes(run)));
    if (box) {
      pen.globalAlpha = .15;
      pen.fillStyle = colour("accent");
      pen.fillRect(...corner(all[box.panel]));
      pen.globalAlpha = 1;
    }
    if (!line) return;
    const at = all.find(frame => frame.code === line.panel) ?? all[0], tint = colour(`c${line.colour}`);
    pen.save();
    pen.beginPath();
    pen.rect(at.left - EDGE, at.top - STRIP, at.right - at.left + 2 * EDGE, at.bottom - at.top + STRIP);
    pen.clip();
    if (line.sd) band(pen, at, line, tint);
    for (const [width, stroke] of [[7, colour("card")], [3, tint]]) { // the halo takes it out of the crowd
      pen.lineWidth = width;
      trace(pen, at, line, stroke);
    }
    pen.restore();
    if (cursor.epoch < 0) return; // the whole line, from the table
    const i = cursor.epoch, early = !line.x.length, px = at.x(early ? line.early[0] : line.x[i]), py = early ? at.top - 4 : at.y(line.y[i]);
    if (!early) {
      pen.lineWidth = 2;
      pen.strokeStyle = tint;
      pen.fillStyle = colour("card");
      pen.beginPath();
      pen.arc(px, py, 4.5, 0, 7);
      pen.fill();
      pen.stroke();
    }
    const write = value => isError(metric()) ? value.toFixed(2) : digits(value);
    const spread = line.n?.[i] > 1 ? ` ± ${write(line.sd[i])} (n = ${line.n[i]})` : "";
    const fate = line.gone ? `${line.gone} of ${line.runs.length} diverged${early ? ` in epoch ${line.early[0]}` : ""}` : "";
    const said = [line.label, ...(early ? [] : [`epoch ${line.x[i]}: ${write(line.y[i])}${spread}`]), ...(fate ? [fate] : [])];
    if (readout.dataset.said !== said.join("\n")) readout.replaceChildren(...said.map(text => make("span", {}, ...typeset(text))));
    readout.dataset.said = said.join("\n");
    readout.style.left = `${Math.max(0, Math.min(px + 14, plot.clientWidth - readout.offsetWidth))}px`;
    readout.style.top = `${py > plot.clientHeight / 2 ? Math.max(0, py - readout.offsetHeight - 12) : py + 14}px`;
  }

  /** The place in a line of the epoch that is nearest. */
  function nearest(x, epoch) {
    let [low, high] = [0, x.length - 1];
    while (low < high) { const middle = (low + high) >> 1; x[middle] < epoch ? low = middle + 1 : high = middle; }
    return low > 0 && epoch - x[low - 1] < x[low] - epoch ? low - 1 : Math.max(low, 0);
  }

  function under(px, py) {
    const at = frames().find(frame => frame.holds(px, py));
    if (!at) return null;
    const epoch = at.unit(px, py)[0];
    let found = null, least = 40; // pixels
    series.forEach(({ x, y, early, panel: code }, line) => {
      if (code !== at.code) return;
      const i = x.length ? nearest(x, epoch) : 0;
      const away = x.length ? Math.hypot(at.x(x[i]) - px, at.y(y[i]) - py) : Math.hypot(at.x(early[0]) - px, at.top - 4 - py);
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
    const [left, right, bottom, top] = view ?? whole(), line = cursor && series[cursor.line], held = line?.x.length && cursor.epoch >= 0;
    const x = held ? line.x[cursor.epoch] : (left + right) / 2, y = held ? scale(line.y[cursor.epoch]) : (bottom + top) / 2;
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

  /** To the next curve above (1) or below (−1) at this epoch, and from the last of a panel to the next panel. */
  function climb(way) {
    const here = series[cursor.line], epoch = here.x[cursor.epoch] ?? here.early[0];
    const level = line => line.x.length ? line.y[nearest(line.x, epoch)] : Infinity;
    const sorted = series.map((line, number) => [line.panel, level(line), number]).sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]);
    const next = sorted[sorted.findIndex(([, , number]) => number === cursor.line) + way];
    if (next) step(next[2], series[next[2]].x.length ? nearest(series[next[2]].x, epoch) : 0);
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
  const spot = event => { const edge = plot.getBoundingClientRect(); return [event.clientX - edge.left, event.clientY - edge.top]; };
  plot.onpointerdown = event => {
    const [x, y] = spot(event), at = frames().find(frame => frame.holds(x, y));
    if (event.button === 0 && at) box = { x, y, toX: x, toY: y, panel: at.number };
  };
  plot.onpointermove = event => {
    const [x, y] = spot(event);
    if (box) {
      if (Math.abs(x - box.x) > 6) plot.setPointerCapture(event.pointerId);
      [box.toX, box.toY, cursor] = [x, y, null];
    } else cursor = under(x, y);
    point();
  };
  plot.onpointerup = event => {
    const at = box && frames()[box.panel], [x, y, width, height] = box ? corner(at) : [0, 0, 0, 0];
    box = null;
    if (width < 7) { cursor = under(...spot(event)); return point(); }
    const [left, bottom] = at.unit(x, y + height), [right, top] = at.unit(x + width, y);
    look([left, right, bottom, top]);
  };
  plot.onpointerleave = plot.onpointercancel = () => { box = cursor = null; point(); };
  plot.ondblclick = () => look(null);
  plot.onblur = () => { if (document.activeElement !== plot) { cursor = null; point(); } }; // else the window lost it
  find("in").onclick = () => zoom(.5);
  find("out").onclick = () => zoom(2);
  find("whole").onclick = () => look(null);

  /** As high as its rows of panels need. */
  function size() {
    const count = Math.max(parts.length, 1), width = plot.clientWidth, across = Math.min(count, width < 560 ? 1 : width < 900 ? 2 : 3);
    const down = Math.ceil(count / across), one = across > 1 || down > 1 ? Math.max(220, Math.min(320, width / across * .75)) : Math.max(256, Math.min(448, width * .42));
    const height = `${Math.round(down * one)}px`;
    if (plot.style.height !== height) plot.style.height = height;
  }

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
    if (find("chart").hidden) return;
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

  const choosable = data.facets.filter(facet => facet.choosable);
  for (const id of ["colour", "dashes", "panels"]) {
    find(id).append(new Option("–", ALL), ...choosable.map(facet => new Option(facet.name, facet.key)));
    find(id).value = data.facets[data.choices[id]]?.key ?? ALL;
    find(id).onchange = rebuild;
  }
  function offer() {
    find("metric").replaceChildren(...data.metrics.map(([name, title]) => new Option(title, name)));
    find("chart").hidden = data.metrics.length === 0;
    find("curveless").hidden = data.metrics.length > 0;
  }
  offer();
  if (new Set(data.cells).size === data.cells.length || find("colour").value === "seed") find("lines").value = "runs";
  find("lines").onchange = rebuild;
  find("metric").onchange = () => { view = log = null; rebuild(); };
  find("log").onchange = () => { log = find("log").checked; look(null); };
  new ResizeObserver(() => { if (!find("chart").hidden) { draw(); point(); } }).observe(plot);
  repaint.push(() => { if (!find("chart").hidden) { draw(); point(); swatches(); } });
  return {
    update: rebuild,
    /** With new epochs: whoever points at a curve goes on pointing at it. */
    renew() {
      const held = cursor && { ...cursor, runs: series[cursor.line].runs };
      rebuild();
      if (held) cursor = { line: series.findIndex(line => line.runs[0] === held.runs[0]), epoch: held.epoch };
      if (cursor?.line < 0) cursor = null;
      if (held) point();
    },
    /** Shows the line of a row of the table. */
    light(run) {
      cursor = run === null ? null : { line: series.findIndex(line => line.runs.includes(run)), epoch: -1 };
      if (cursor?.line < 0) cursor = null;
      if (!find("chart").hidden) point(false);
    },
  };
}
