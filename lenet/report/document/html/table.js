// The table of records: sorted, shown in portions, copied.

const PORTION = 100;
const order = { column: null, down: true };
let portion = PORTION;

const address = (row) => `#record/${encodeURIComponent(row.run)}/${encodeURIComponent(row.case_id)}`;

function sorted(chosen) {
  const { column, down } = order;
  if (!column) return chosen;
  const sign = down ? -1 : 1;
  const empty = (value) => value === null || value === undefined || value === "" || Number.isNaN(value);
  return [...chosen].sort((a, b) => {
    const [x, y] = [key(column, a), key(column, b)];
    if (empty(x) || empty(y)) return empty(x) - empty(y); // what has no figure stands last, either way
    return sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
  });
}

const isText = (column) => ["text", "status", "link"].includes(column.kind);

function cell(column, row) {
  const text = shown(column, row);
  const made = element("td", isText(column) ? { dir: "auto" } : { className: "n" });
  if (column.kind === "link") made.append(element("a", { href: address(row), textContent: text }));
  else if (column.kind === "speed" && !row.ok && text !== DASH) made.append(element("s", { textContent: text, title: `not valid: ${row.final_status}` }));
  else if (column.kind === "status") made.append(element("span", { className: `status ${row.ok ? "ok" : "bad"}`, textContent: text }));
  else made.textContent = text;
  if (column.kind === "status" && row.final_reason && !row.ok) made.append(element("span", { className: "reason", textContent: row.final_reason, dir: "auto" }));
  return made;
}

function heading(column, change) {
  const button = element("button", { type: "button", textContent: column.title });
  button.addEventListener("click", () => {
    order.down = order.column === column ? !order.down : !isText(column);
    order.column = column;
    change();
    const place = [...content.columns].indexOf(column);
    document.querySelectorAll("#table thead button")[place].focus();
  });
  const state = order.column === column ? (order.down ? "descending" : "ascending") : "none";
  return element("th", { scope: "col", "aria-sort": state, className: isText(column) ? "" : "n" }, button);
}

function drawTable(chosen, change) {
  const lines = sorted(chosen);
  const head = element("tr", {}, ...content.columns.map((column) => heading(column, change)));
  const body = element("tbody");
  for (const row of lines.slice(0, portion)) body.append(element("tr", {}, ...content.columns.map((column) => cell(column, row))));
  const table = element("table", {}, element("thead", {}, head), body);
  document.getElementById("table").replaceChildren(table);
  const more = document.getElementById("more");
  more.hidden = lines.length <= portion;
  more.textContent = `Show ${Math.min(PORTION, lines.length - portion)} more of ${whole.format(lines.length - portion)}`;
  more.onclick = () => {
    portion += PORTION;
    change();
  };
}

// Direction marks and controls would let a text pose as another where it is pasted.
const visible = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ").trim();

function asMarkdown(chosen) {
  const escaped = (text) => visible(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/[\\|*_~`[\]]/g, "\\$&");
  const strike = (column, row, text) => (column.kind === "speed" && !row.ok && text !== DASH ? `~~${text}~~` : text);
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [
    line(content.columns.map((column) => escaped(column.title))),
    line(content.columns.map((column) => (isText(column) ? ":---" : "---:"))),
    ...sorted(chosen).map((row) => line(content.columns.map((column) => strike(column, row, escaped(shown(column, row)))))),
  ].join("\n") + "\n";
}

function asCsv(chosen) {
  const inert = (text) => (/^[=+\-@]/.test(text) ? `'${text}` : text); // a spreadsheet runs what begins like a formula
  const quoted = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    return `"${inert(visible(String(value))).replace(/"/g, '""')}"`;
  };
  return [content.fields.join(","), ...sorted(chosen).map((row) => content.fields.map((name) => quoted(row[name])).join(","))].join("\n") + "\n";
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea", { value: text, className: "away", "aria-hidden": "true" });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
