const { charts, entries } = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];
const views = {};

/** Set a parameter of charts, which may not be drawn yet. */
function setParameter(name, value, ...ids) {
  for (const id of ids) {
    charts[id].params.find((parameter) => parameter.name === name).value = value;
    views[id]?.signal(name, value).runAsync();
  }
}

/** A duration with its unit, to three digits. */
function duration(seconds) {
  const units = [[86400, "days"], [3600, "h"], [60, "min"], [1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
  const [scale, unit] = units.find(([least]) => seconds >= least * 0.9995) ?? units.at(-1);
  return `${Number((seconds / scale).toPrecision(3)).toLocaleString("en")} ${unit}`;
}

const element = (name, text) => Object.assign(document.createElement(name), { textContent: text });

// The chosen case. The pickers of all sections show the same one.

const PICKED = ["network", "operation", "batch", "dtype"];
const chosen = entries.length ? Object.fromEntries(PICKED.map((name) => [name, String(entries[0][name])])) : {};

/** Offer the values that occur together with those chosen before; keep the chosen one if it is among them. */
function offerCases() {
  let fitting = entries;
  for (const name of PICKED) {
    const values = [...new Set(fitting.map((entry) => String(entry[name])))];
    if (!values.includes(chosen[name])) chosen[name] = values[0];
    for (const select of all(`[data-choose="${name}"]`)) {
      select.replaceChildren(...values.map((value) => new Option(value, value)));
      select.value = chosen[name];
    }
    fitting = fitting.filter((entry) => String(entry[name]) === chosen[name]);
  }
  return fitting;
}

/** The backends of a case by their time for all calls, with the shortest and longest time that the interval allows. */
function ranking(fitting, calls, cached) {
  return fitting.filter((entry) => entry.seconds !== null).map((entry) => {
    const compiling = (cached ? entry.cached : entry.cold) ?? 0;
    const total = (factor) => compiling + calls * entry.seconds * factor;
    const { speedup } = entry;
    return {
      entry,
      compiling,
      total: total(1),
      least: total(speedup && entry.high ? speedup / entry.high : 1),
      most: total(speedup && entry.low ? speedup / entry.low : 1),
    };
  }).sort((a, b) => a.total - b.total);
}

function showCase() {
  const fitting = offerCases();
  const calls = Math.min(1e9, Math.max(1, Math.round(Number(byId("use-calls").value)) || 1));
  const cached = byId("use-cached").checked;
  const ranked = ranking(fitting, calls, cached);
  const rows = ranked.map(({ entry, compiling, total }) => {
    const row = document.createElement("tr");
    const name = element("th", entry.backend);
    name.scope = "row";
    row.append(name, ...[compiling ? duration(compiling) : "–", entry.time_text, duration(total)].map((text) => element("td", text)));
    return row;
  });
  byId("ranking").tBodies[0].replaceChildren(...rows);
  const answer = byId("answer");
  if (!ranked.length) {
    answer.replaceChildren("No backend was timed in this case.");
  } else {
    const best = ranked[0];
    const tied = ranked.slice(1).filter((other) => other.least <= best.most).map(({ entry }) => entry.backend);
    const times = calls === 1 ? "one call" : `${calls.toLocaleString("en")} calls`;
    const compiling = best.compiling ? `, of which ${duration(best.compiling)} are for ${cached ? "loading the compiled code" : "compiling"}` : "";
    const unknown = entries.some(({ cold }) => cold !== null) ? "" : " The compile times are not in these files, and not counted.";
    const also = tied.length ? ` These may be as fast, within the intervals: ${tied.join(", ")}.` : "";
    answer.replaceChildren(element("strong", best.entry.backend), ` takes ${duration(best.total)} for ${times}${compiling}.${unknown}${also}`);
  }
  setParameter("chosen_case", fitting[0].case, "gains", "speeds", "errors");
  setParameter("chosen_calls", calls, "gains");
  setParameter("cached", cached, "gains");
  setParameter("highlight", ranked[0]?.entry.backend ?? "", "gains");
}

// The table: which case is shown, in which order, and copies of what is shown.

function shownRows() {
  return [...byId("times").tBodies[0].rows].filter((row) => !row.hidden);
}

function showRows() {
  const value = byId("shown-case").value;
  byId("times").classList.toggle("one-case", value !== "");
  for (const row of byId("times").tBodies[0].rows) row.hidden = value !== "" && row.dataset.case !== value;
}

function sortRows(heading) {
  const index = heading.cellIndex;
  const direction = heading.ariaSort === "ascending" ? "descending" : "ascending";
  const sign = direction === "ascending" ? 1 : -1;
  const numeric = index > 1;
  const key = (row) => (numeric ? row.cells[index].dataset.value : row.cells[index].textContent);
  const body = byId("times").tBodies[0];
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (!numeric) return sign * x.localeCompare(y);
    return x === "" || y === "" ? (x === "") - (y === "") : sign * (Number(x) - Number(y));
  };
  body.append(...[...body.rows].sort(compare));
  for (const other of heading.parentElement.cells) other.ariaSort = other === heading ? direction : "none";
}

const FORMATS = {
  markdown(lines) {
    const escaped = (text) => text.replace(/[\\`*_|~$<>[\]]/g, "\\$&");
    const [heading, ...rest] = lines.map((line) => `| ${line.map(escaped).join(" | ")} |`);
    return [heading, `|${" --- |".repeat(lines[0].length)}`, ...rest].join("\n");
  },
  csv(lines) {
    // A spreadsheet would compute a cell that begins like a formula.
    const cell = (text) => `"${text.replace(/^[=+\-@\t\r](?!$)/, "'$&").replaceAll('"', '""')}"`;
    return lines.map((line) => line.map(cell).join(",")).join("\r\n");
  },
};

async function copyTable(format) {
  const rows = [byId("times").tHead.rows[0], ...shownRows()];
  const lines = rows.map((row) => [...row.cells].map((cell) => cell.textContent.trim()));
  try {
    await navigator.clipboard.writeText(FORMATS[format](lines));
    byId("copied").textContent = `Copied ${lines.length - 1} rows.`;
  } catch {
    byId("copied").textContent = "The browser does not allow copying.";
  }
}

// Light and dark. Without a choice, the page follows the system.

const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.style.colorScheme || (dark.matches ? "dark" : "light")) === "dark";
const nameTheme = () => { byId("theme").textContent = isDark() ? "Light" : "Dark"; };

byId("theme").addEventListener("click", () => {
  document.documentElement.style.colorScheme = isDark() ? "light" : "dark";
  nameTheme();
});
dark.addEventListener("change", nameTheme);
nameTheme();

for (const form of all("form")) form.addEventListener("submit", (event) => event.preventDefault());
for (const select of all("[data-choose]")) {
  select.addEventListener("change", () => {
    chosen[select.dataset.choose] = select.value;
    showCase();
  });
}
for (const select of all("[data-signal]")) {
  const ids = select.dataset.charts.split(" ");
  const parameter = charts[ids[0]].params.find(({ name }) => name === select.dataset.signal);
  select.value = parameter.value;
  select.addEventListener("change", () => setParameter(select.dataset.signal, select.value, ...ids));
}
if (byId("times")) {
  byId("shown-case").selectedIndex = 1;
  byId("shown-case").addEventListener("change", showRows);
  showRows();
  for (const heading of byId("times").tHead.rows[0].cells) heading.firstChild.addEventListener("click", () => sortRows(heading));
  for (const button of all("[data-copy]")) button.addEventListener("click", () => copyTable(button.dataset.copy));
}

if (byId("answer")) {
  for (const id of ["use-calls", "use-cached"]) byId(id).addEventListener("input", showCase);
  showCase();
}

// ``ast`` interprets the expressions, so that the page's policy need not allow code from text.
const options = {
  actions: false,
  ast: true,
  defaultStyle: false,
  renderer: "svg",
  tooltip: { disableDefaultStyle: true },
};
for (const [id, spec] of Object.entries(charts)) {
  views[id] = (await vegaEmbed(byId(id), spec, options)).view;
}
document.documentElement.dataset.ready = "true";
