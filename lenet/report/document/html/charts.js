// Draws the charts of the rows that are shown. What a chart computes stands in its specification, not here.

const views = new Map(); // chart id -> the views on the page
let drawing = 0;

// Copies with the fields that a chart reads: Vega marks the objects that it is given.
function slimFor(chart) {
  return (row) => Object.fromEntries(chart.fields.map((field) => [field, row[field]]));
}

function pointsOf(chart, chosen) {
  const slim = slimFor(chart);
  if (chart.data === "rows") return chosen.filter((row) => row.ok && isNumber(row[chart.needs])).map(slim);
  const wanted = new Set(chosen.map((row) => row.i));
  return sets[chart.data].filter((point) => wanted.has(point.i)).map((point) => Object.assign(slim(rows[point.i]), point));
}

function panelsOf(chart, points) {
  const panels = new Map();
  for (const point of points) {
    const name = chart.panel ? point[chart.panel] : "";
    if (!panels.has(name)) panels.set(name, { name, points: [], rank: Infinity });
    const panel = panels.get(name);
    panel.points.push(point);
    // Speeds: the fastest panel first. Trainings: the smallest batch first.
    panel.rank = Math.min(panel.rank, chart.data === "rows" ? -point.images_per_second : point.batch_size);
  }
  const drawable = [...panels.values()].filter((panel) => !chart.lines || countLines(chart, panel.points) > 0);
  return drawable.sort((a, b) => a.rank - b.rank);
}

function countLines(chart, points) {
  const held = new Map();
  for (const point of points) {
    if (!held.has(point[chart.lines])) held.set(point[chart.lines], new Set());
    held.get(point[chart.lines]).add(chart.contrast ? point[chart.contrast] : null);
  }
  return [...held.values()].filter((values) => !chart.contrast || values.size > 1).length;
}

// Long names and legends give way where there is little room.
function configFor(width) {
  const { axisY, legend } = content.config;
  return {
    ...content.config,
    axisY: { ...axisY, labelLimit: Math.min(280, width * 0.42) },
    legend: { ...legend, columns: width < 520 ? 1 : 3 },
  };
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
    const words = `${panels.length} of ${all.length} panels, the fastest; choose fewer with the filters to see the others.`;
    figures.push(element("p", { className: "empty", textContent: words }));
  }
  for (const old of views.get(chart.id) ?? []) old.finalize();
  home.style.minHeight = `${home.offsetHeight}px`; // the page does not jump while it is drawn again
  home.replaceChildren(...figures);
  home.classList.toggle("single", panels.length === 1);
  const drawn = [];
  for (const [panel, target] of made) {
    const name = panel.name ? `${chart.title}, ${panel.name}` : chart.title;
    const band = sets.band.filter((each) => each.training === panel.name);
    const spec = {
      width: "container",
      height: 250,
      ...chart.spec,
      ...(params.length ? { params } : {}),
      autosize: { type: "fit", contains: "padding" },
      data: { name: "shown" },
      datasets: { shown: panel.points, band },
      description: `${name}. The table of records has these figures as text.`,
      config: configFor(target.clientWidth),
    };
    if (!band.length && spec.layer) spec.layer = spec.layer.filter((layer) => layer.data?.name !== "band");
    if (chart.lines) {
      spec.autosize = { type: "fit-x", contains: "padding" };
      spec.height = content.lineHeight * Math.min(content.bars, countLines(chart, panel.points));
    }
    // A warning about a size that is as it should be is no news for a reader: errors alone are.
    const options = { logLevel: 1, actions: false, renderer: "svg", ast: true, defaultStyle: false, hover: true, tooltip: { theme: "custom", offsetX: 14 } };
    drawn.push(await window.vegaEmbed(target, spec, options));
    if (generation !== drawing) break;
  }
  views.set(chart.id, drawn);
  home.style.minHeight = "";
}

async function drawCharts(chosen) {
  const generation = ++drawing;
  for (const chart of content.charts) {
    await new Promise((next) => setTimeout(next)); // what stands already is shown, and the page answers
    if (generation !== drawing) return;
    await drawChart(chart, chosen, generation);
    if (generation !== drawing) return;
  }
  document.body.dataset.drawn = String(chosen.length);
}
