// The table of records: sorted, shown in portions.

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
  made.classList.toggle("detail", !column.brief);
  if (column.kind === "link") made.append(element("a", { href: address(row), textContent: text }));
  else if (column.kind === "speed" && !row.ok && text !== DASH) made.append(element("s", { textContent: text, title: `not valid: ${row.final_status}` }));
  else if (column.kind === "status") made.append(element("span", { className: `status ${row.ok ? "ok" : "bad"}`, textContent: text }));
  else made.textContent = text;
  if (text.length > 40) made.title = text; // a long one is cut
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
  return element("th", { scope: "col", "aria-sort": state, className: `${isText(column) ? "" : "n"} ${column.brief ? "" : "detail"}` }, button);
}

function drawTable(chosen, change) {
  const lines = sorted(chosen);
  const head = element("tr", {}, ...content.columns.map((column) => heading(column, change)));
  const body = element("tbody");
  for (const row of lines.slice(0, portion)) body.append(element("tr", {}, ...content.columns.map((column) => cell(column, row))));
  const table = element("table", {}, element("thead", {}, head), body);
  const home = document.getElementById("table");
  home.replaceChildren(table);
  home.dataset.left = lines.length > portion ? `${whole.format(lines.length - portion)} more records: see the page itself.` : "";
  const more = document.getElementById("more");
  more.hidden = lines.length <= portion;
  more.textContent = `Show ${Math.min(PORTION, lines.length - portion)} more of ${whole.format(lines.length - portion)}`;
  more.onclick = () => {
    portion += PORTION;
    change();
  };
}
