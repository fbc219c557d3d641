// A page that is served, and not a file, asks every two seconds for what has changed. The address holds the token.

const PERIOD = 2000; // milliseconds
const badgeLive = find("live");

/** Put what changed in its place: sections, states and numbers of runs, their epochs. */
function apply(changes) {
  data.version = changes.version;
  for (const [name, html] of Object.entries(changes.fragments)) find(name).innerHTML = html; // escaped where it was made
  for (const { run, state: code, diverged, values, epochs: found } of changes.runs) {
    state.codes[run] = code;
    data.diverged[run] = diverged;
    data.table.forEach((column, place) => { if (column.facet === null) column.values[run] = values[place]; });
    if (location.hash === `#run=${encodeURIComponent(data.runs[run])}`) fetchDetails(run);
    else delete data.details[run];
    fresh.set(run, Object.fromEntries(Object.entries(found).map(([name, numbers]) => [name, Float32Array.from(numbers, value => value ?? NaN)])));
    renew(run);
  }
  if (!changes.runs.length) return;
  const sorted = headings.findIndex(heading => heading.hasAttribute("aria-sort"));
  if (sorted >= 0) sort(sorted, headings[sorted].getAttribute("aria-sort"));
  filter();
  list();
  chart.renew();
  if (!single.hidden) show();
}

/** What a reader has chosen survives a reload. */
const CHOICES = ["metric", "lines", "colour", "dashes", "panels", "words"];
function keep() {
  const off = boxes.map(({ facet, inputs }) => [facet.key, inputs.filter(input => !input.checked).map(input => facet.values[+input.value])]);
  sessionStorage.setItem("chosen", JSON.stringify({ values: CHOICES.map(id => find(id).value), off, theme: theme.lastChild.textContent }));
}
function recall() {
  const kept = JSON.parse(sessionStorage.getItem("chosen") ?? "null");
  if (!kept) return;
  CHOICES.forEach((id, place) => {
    const control = find(id);
    if (!control.options || [...control.options].some(option => option.value === kept.values[place])) control.value = kept.values[place];
  });
  for (const { facet, inputs } of boxes) {
    const off = new Map(kept.off).get(facet.key) ?? [];
    for (const input of inputs) input.checked = !off.includes(facet.values[+input.value]);
  }
  paint(kept.theme);
}

async function ask() {
  try {
    const answer = await fetch(`changes?since=${data.version}`, { cache: "no-store" });
    if (answer.status === 205) { keep(); return location.reload(); } // runs have come or gone
    if (answer.status === 200) apply(await answer.json());
    badgeLive.textContent = answer.ok ? "live" : "not served any more";
    badgeLive.className = answer.ok ? "" : "lost";
  } catch {
    badgeLive.textContent = "not served any more";
    badgeLive.className = "lost";
  }
  setTimeout(ask, document.hidden ? 5 * PERIOD : PERIOD);
}

const asked = new Set();
async function fetchDetails(run) {
  if (asked.has(run)) return;
  asked.add(run);
  try {
    const answer = await fetch(`run?name=${encodeURIComponent(data.runs[run])}`, { cache: "no-store" });
    if (answer.ok) data.details[run] = await answer.json();
  } finally {
    asked.delete(run);
  }
  if (!single.hidden && data.details[run]) show();
}
