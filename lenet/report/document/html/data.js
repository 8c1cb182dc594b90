// The data in the page, as rows and points; formatting.

const content = JSON.parse(document.getElementById("data").textContent);

function unpack(columns) {
  const names = Object.keys(columns);
  if (!names.length) return [];
  const reads = names.map((name) => {
    const column = columns[name];
    return Array.isArray(column) ? (k) => column[k] : (k) => column.texts[column.at[k]];
  });
  const first = columns[names[0]];
  const length = Array.isArray(first) ? first.length : first.at.length;
  return Array.from({ length }, (_, k) => {
    const row = {};
    for (let c = 0; c < names.length; c++) row[names[c]] = reads[c](k);
    return row;
  });
}

const sets = {};
for (const [name, columns] of Object.entries(content.sets)) sets[name] = unpack(columns);
const rows = sets.rows;

const DASH = "–";
const digits = (places) => new Intl.NumberFormat("en", { minimumFractionDigits: places, maximumFractionDigits: places });
const decimals = [0, 1, 2, 3, 4].map((places) => digits(places));
const [whole, , two, three, four] = decimals;

// As `number` of lenet/report/layout.py: very large figures have an exponent.
const figure = (value, places) =>
  Math.abs(value) < 1e12 ? decimals[places].format(value) : value.toExponential(2).replace(/\.?0+e/, "e");

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

// What a cell shows. A partial training's accuracy must never read as a trained one's.
function shown(column, row) {
  const value = row[column.name];
  if (column.kind === "spread") {
    const { images_per_second_low: low, images_per_second_high: high } = row;
    return isNumber(low) && isNumber(high) && row.windows > 1 ? `${figure(low, 0)}–${figure(high, 0)}` : DASH;
  }
  if (column.kind === "accuracy") {
    if (!isNumber(value)) return DASH;
    return isNumber(row.epochs) ? four.format(value) : `(${three.format(value)} after ${whole.format(row.trained_images)} images)`;
  }
  if (!column.figure) return value === null || value === undefined || value === "" ? DASH : String(value);
  const { digits: places, divisor, suffix } = column.figure;
  return isNumber(value) ? `${figure(value / divisor, places)}${suffix}` : DASH;
}

// What a column sorts by.
function key(column, row) {
  return column.kind === "spread" ? row.images_per_second_high - row.images_per_second_low : row[column.name];
}

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}
