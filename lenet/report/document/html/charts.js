// Draws the charts of the rows that are shown. What a chart computes stands in its specification, not here.

const views = new Map(); // chart id -> the views on the page
let drawing = 0;

// Copies with the fields that a chart reads: Vega marks the objects that it is given.
function slimFor(chart) {
  return (row) => Object.fromEntries(chart.fields.map((field) => [field, row[field]]));
}

// As `labelled` of lenet/report/charts/labels.py: labels name the axes in which the rows of these points differ.
function labelled(points, names) {
  const held = [...new Set(points.map((point) => point.i))].map((i) => rows[i]);
  const varies = (axis) => {
    const field = content.words + axis;
    if (!held.length || !(field in held[0])) return false;
    const kinds = new Map();
    for (const row of held) {
      const beside = axis === "framework_version" ? row.framework : "";
      if (!kinds.has(beside)) kinds.set(beside, new Set());
      kinds.get(beside).add(row[field]);
    }
    return [...kinds.values()].some((values) => values.size > 1);
  };
  for (const name of names) {
    const axes = content.labels[name].filter(varies);
    if (!axes.length && !content.panelLabels.includes(name)) axes.push("mode");
    for (const point of points) point[name] = axes.map((axis) => rows[point.i][content.words + axis]).filter(Boolean).join(" · ");
  }
  return points;
}

const labelNames = (chart) => Object.keys(content.labels).filter((name) => chart.fields.includes(name));

function pointsOf(chart, chosen) {
  const slim = slimFor(chart);
  let points;
  if (chart.data === "rows") points = chosen.filter((row) => row.ok && isNumber(row[chart.needs])).map(slim);
  else {
    const wanted = new Set(chosen.map((row) => row.i));
    points = sets[chart.data].filter((point) => wanted.has(point.i)).map((point) => Object.assign(slim(rows[point.i]), point));
  }
  labelled(points, labelNames(chart));
  if (!chart.contrast) return points;
  const groupOf = (point) => (chart.lines ? point[chart.lines] : JSON.stringify([point[chart.panel], point.series]));
  const held = new Map();
  for (const point of points) {
    if (!held.has(groupOf(point))) held.set(groupOf(point), new Set());
    held.get(groupOf(point)).add(point[chart.contrast]);
  }
  const compares = (values) => values.size > 1 && (!chart.base || values.has(chart.base));
  return labelled(points.filter((point) => compares(held.get(groupOf(point)))), labelNames(chart));
}

function panelsOf(chart, points) {
  const panels = new Map();
  for (const point of points) {
    const name = chart.panel ? point[chart.panel] : "";
    if (!panels.has(name)) panels.set(name, { name, points: [], rank: Infinity, peer: true });
    const panel = panels.get(name);
    panel.points.push(point);
    // As `filled` of lenet/report/charts/picture.py: MindSpore's speeds first, then the fastest; or the smallest batch.
    panel.rank = Math.min(panel.rank, chart.data === "rows" ? -point.images_per_second : point.batch_size);
    panel.peer &&= chart.data === "rows" && point.framework !== content.own;
  }
  return [...panels.values()].sort((a, b) => a.peer - b.peer || a.rank - b.rank);
}

// As `Chart.height`: labels have several lines where they are long, `width` characters each.
function heightOf(chart, points, width) {
  const labels = new Set(points.map((point) => point[chart.lines]));
  const lines = new RegExp(content.divided.replace(`{1,${content.labelWidth}}`, `{1,${width}}`), "g");
  const most = Math.max(...[...labels].map((label) => label.replace(lines, "$1\n").trim().split("\n").length));
  return Math.min(content.bars, labels.size) * Math.max(content.lineHeight, content.labelLine * most + 6);
}

// As `_among` of lenet/report/charts/picture.py: scales and legends have only the series that are drawn.
function among(part, there) {
  if (Array.isArray(part)) return part.map((each) => among(each, there));
  if (part === null || typeof part !== "object") return part;
  const made = Object.fromEntries(Object.entries(part).map(([name, each]) => [name, among(each, there)]));
  if (part.field === "series" && part.scale?.domain) {
    const kept = part.scale.domain.map((name, k) => [name, k]).filter(([name]) => there.has(name)).map(([, k]) => k);
    for (const list of ["domain", "range"]) if (part.scale[list]) made.scale[list] = kept.map((k) => part.scale[list][k]);
  }
  return made;
}

// A legend has as many columns as fit: none of its names is cut.
function configFor(width, points) {
  const longest = Math.max(26, ...points.map((point) => point.series?.length ?? 0));
  return { ...content.config, legend: { ...content.config.legend, columns: Math.max(1, Math.floor((width - 60) / (longest * 6.8 + 32))) } };
}

// The same axis for all panels of a chart: otherwise a slow device looks as fast as a quick one.
function limits(chart, panels) {
  if (!chart.spec.params) return [];
  const valid = panels.flatMap((panel) => panel.points).filter((point) => point.ok && isNumber(point.images_per_second));
  const top = Math.max(...valid.map((point) => point.images_per_second_high ?? point.images_per_second));
  const bottom = Math.min(...valid.map((point) => point.images_per_second_low ?? point.images_per_second));
  const values = { top: top * 1.05, bottom: bottom / 1.05 };
  return chart.spec.params.map((param) => (param.name in values ? { ...param, value: values[param.name] } : param));
}

async function drawChart(chart, chosen, generation) {
  const home = document.querySelector(`[data-chart="${chart.id}"]`);
  const all = panelsOf(chart, pointsOf(chart, chosen));
  const panels = all.slice(0, content.panels);
  const params = limits(chart, panels);
  const made = [];
  const figures = [];
  for (const panel of panels) {
    const target = element("div", { className: "plot" });
    const title = panel.name ? element("figcaption", { dir: "auto", textContent: panel.name }) : null;
    figures.push(element("figure", {}, title, target));
    made.push([panel, target]);
  }
  if (!panels.length) figures.push(element("p", { className: "empty", textContent: "Nothing to draw in what is chosen." }));
  if (all.length > panels.length) {
    const words = `${panels.length} of ${all.length} panels; choose fewer with the filters to see the others.`;
    figures.push(element("p", { className: "empty", textContent: words }));
  }
  for (const old of views.get(chart.id) ?? []) old.finalize();
  home.style.minHeight = `${home.offsetHeight}px`; // the page does not jump while it is drawn again
  home.replaceChildren(...figures);
  home.classList.toggle("single", panels.length === 1);
  const drawn = [];
  for (const [panel, target] of made) {
    const name = panel.name ? `${chart.title}, ${panel.name}` : chart.title;
    const band = sets.band.filter((each) => each.training_panel === panel.name);
    const characters = Math.max(12, Math.min(content.labelWidth, Math.floor((target.clientWidth * 0.42) / 6.5)));
    const wrapping = JSON.stringify(chart.spec).replaceAll(`{1,${content.labelWidth}}`, `{1,${characters}}`);
    const spec = {
      width: "container",
      height: 250,
      ...among(JSON.parse(wrapping), new Set(panel.points.map((point) => point.series))),
      ...(params.length ? { params } : {}),
      autosize: { type: "fit", contains: "padding" },
      data: { name: "shown" },
      datasets: { shown: panel.points, band },
      description: `${name}. The table of records has these figures as text.`,
      config: configFor(target.clientWidth, panel.points),
    };
    if (!band.length && spec.layer) spec.layer = spec.layer.filter((layer) => layer.data?.name !== "band");
    if (chart.lines) {
      spec.autosize = { type: "fit-x", contains: "padding" };
      spec.height = heightOf(chart, panel.points, characters);
    }
    // A warning about a size that is as it should be is no news for a reader: errors alone are.
    const options = { logLevel: 1, actions: false, renderer: "svg", ast: true, defaultStyle: false, hover: true, tooltip: { theme: "custom", offsetX: 14 } };
    drawn.push(await window.vegaEmbed(target, spec, options));
    if (generation !== drawing) break;
  }
  views.set(chart.id, drawn);
  home.style.minHeight = "";
}

// Charts that are folded away have no width to be drawn in.
const folded = (chart) => document.querySelector(`[data-chart="${chart.id}"]`).closest("details:not([open])") !== null;

async function drawCharts(chosen) {
  const generation = ++drawing;
  for (const chart of content.charts) {
    await new Promise((next) => setTimeout(next)); // what stands already is shown, and the page answers
    if (generation !== drawing) return;
    if (folded(chart)) continue;
    await drawChart(chart, chosen, generation);
    if (generation !== drawing) return;
  }
  document.body.dataset.drawn = String(chosen.length);
}
