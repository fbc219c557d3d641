// What all parts of the page share. Run i is entry i of data.runs, in the order of the page.
// What comes from the sweep is only ever put in place as text.

const data = JSON.parse(document.getElementById("data").textContent);
const find = id => document.getElementById(id);
const ALL = "";

/** An element with children; attributes by name, `text`, `hidden` and handlers as properties. */
function make(tag, attributes = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...inside.filter(part => part !== null && part !== undefined));
  return made;
}

/** Text in which powers of L are raised, as on the rest of the page. */
function typeset(text) {
  const parts = String(text).split(/L\^(-?[0-9.]+(?:\/[0-9]+)?)/);
  return parts.flatMap((part, place) => place % 2
    ? [make("i", {}, "L"), make("sup", {}, part.replace("-", "−"))]
    : part ? [part] : []);
}

/** A number as the tables of the page write it. */
function digitsOf(value, digits) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  if (digits !== null && digits !== undefined) return value.toFixed(digits);
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (value && !(size >= 1e-3 && size < 1e9)) return value.toPrecision(4).replace(/\.?0+(e|$)/, "$1");
  return value.toFixed(value ? Math.max(3 - Math.floor(Math.log10(size)), 0) : 0);
}

const isError = metric => /(^|[^a-z])err(or)?([^a-z]|$)/.test(metric.replaceAll("_", " "));
const state = data.facets.at(-1);
const stateOf = run => state.values[state.codes[run]];

function badge(word) {
  return make("span", { class: `state ${word}` }, word.replaceAll("_", " "));
}

/** A run's values of the keys that tell runs apart: "depth 20, norm batch, τ 1, seed 0". */
function called(run, facets = data.facets) {
  return facets.filter(facet => facet !== state).map(facet => `${facet.name} ${facet.values[facet.codes[run]]}`).join(", ");
}

/** The epochs of a run: an array of numbers a metric, or undefined. Those that came later stand in `fresh`. */
const fresh = new Map();
const columns = {};
let total = 0;
const starts = data.lengths.map(length => (total += length) - length);
function epochs(run, name) {
  if (fresh.has(run)) return fresh.get(run)[name];
  if (!data.lengths[run] || !(name in data.columns)) return undefined;
  if (!columns[name]) { // decoded when first drawn
    const raw = atob(data.columns[name]), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    columns[name] = new Float32Array(bytes.buffer);
  }
  return columns[name].subarray(starts[run], starts[run] + data.lengths[run]);
}

// ---------------------------------------------------------------- light and dark

const theme = find("theme"), themes = ["system", "light", "dark"], repaint = [];
theme.hidden = false;
function paint(chosen) {
  theme.lastChild.textContent = chosen;
  document.documentElement.dataset.theme = chosen;
  for (const again of repaint) again();
}
theme.onclick = () => paint(themes[(themes.indexOf(theme.lastChild.textContent) + 1) % themes.length]);
matchMedia("(prefers-color-scheme: dark)").onchange = () => { for (const again of repaint) again(); };

/** A colour of the style sheet as the theme has it. */
function colour(name) {
  const probe = find("theme");
  probe.style.caretColor = `var(--${name})`; // a property that shows nothing here
  return getComputedStyle(probe).caretColor;
}
const COLOURS = 8;
