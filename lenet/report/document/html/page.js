// Filters, and what happens when.

const MOST_CHIPS = 8;
const MOST_CHARACTERS = 90; // of the chips of a column; more of them push the charts off the screen
const chosenValues = new Map(); // column -> the values that are let through; absent means all
let words = "";

const text = (value) => (value === null || value === undefined || value === "" ? "none" : String(value));
labelled(rows, Object.keys(content.labels));
const haystacks = rows.map((row) => [row.label, row.profile, row.final_status, row.final_reason, row.case_id, row.machine, row.run, row.dataset].join(" ").toLowerCase());

function chosen() {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    for (const [column, values] of chosenValues) if (!values.has(text(row[column]))) return false;
    return wanted.every((word) => haystacks[row.i].includes(word));
  });
}

function draw() {
  const now = chosen();
  const all = now.length === rows.length;
  document.getElementById("count").textContent = all
    ? `All ${whole.format(rows.length)} records are shown.`
    : `${whole.format(now.length)} of ${whole.format(rows.length)} records are shown. The headline is of all of them.`;
  drawTable(now, () => drawTable(now, draw));
  return drawCharts(now);
}

let waiting;
function redraw() {
  clearTimeout(waiting);
  portion = PORTION;
  waiting = setTimeout(draw, 60);
}

function valuesOf(column) {
  const values = [...new Set(rows.map((row) => text(row[column.name])))];
  if (column.kind === "figure") values.sort((a, b) => (a === "none") - (b === "none") || Number(a) - Number(b));
  return values;
}

function chips(column, values) {
  const set = element("fieldset", {}, element("legend", { textContent: column.title }));
  for (const value of values) {
    const box = element("input", { type: "checkbox", checked: true, value });
    box.addEventListener("change", () => {
      const boxes = [...set.querySelectorAll("input")];
      const on = boxes.filter((each) => each.checked).map((each) => each.value);
      if (on.length === boxes.length) chosenValues.delete(column.name);
      else chosenValues.set(column.name, new Set(on));
      redraw();
    });
    set.append(element("label", { className: "chip" }, box, element("span", { textContent: value, dir: "auto" })));
  }
  return set;
}

function select(column, values) {
  const made = element("select", {}, element("option", { value: "", textContent: "all" }), ...values.map((value) => element("option", { value: `=${value}`, textContent: value })));
  made.addEventListener("change", () => {
    if (made.value) chosenValues.set(column.name, new Set([made.value.slice(1)]));
    else chosenValues.delete(column.name);
    redraw();
  });
  return element("label", { className: "choice" }, element("span", { textContent: column.title }), made);
}

function drawFilters() {
  const form = document.getElementById("filters");
  const search = element("input", { type: "search", placeholder: "words in a record", spellcheck: false });
  search.addEventListener("input", () => {
    words = search.value;
    redraw();
  });
  const parts = [];
  for (const column of content.columns.filter((each) => each.filter)) {
    const values = valuesOf(column);
    const few = values.length <= MOST_CHIPS && values.join("").length <= MOST_CHARACTERS;
    if (values.length > 1) parts.push(few ? chips(column, values) : select(column, values));
  }
  parts.push(element("label", { className: "choice" }, element("span", { textContent: "search" }), search));
  const reset = element("button", { type: "reset", textContent: "Show all" });
  form.addEventListener("reset", () => {
    chosenValues.clear();
    words = "";
    redraw();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  const narrow = window.matchMedia("(max-width: 640px)").matches;
  form.replaceChildren(element("details", { open: !narrow }, element("summary", { textContent: "Filter" }), element("div", { className: "choices" }, ...parts, reset)));
}

drawFilters();
document.getElementById("more-charts")?.addEventListener("toggle", draw);
window.addEventListener("hashchange", route);
draw().then(() => {
  document.body.dataset.ready = "true";
  route();
});
