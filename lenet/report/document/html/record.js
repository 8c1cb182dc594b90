// One record's raw figures, at an address of their own: #record/RUN/CASE.

function list(pairs) {
  const made = element("dl", { className: "card" });
  for (const [name, value] of pairs) {
    if (value === null || value === undefined || value === "") continue;
    made.append(element("div", {}, element("dt", { textContent: name }), element("dd", { dir: "auto", textContent: String(value) })));
  }
  return made;
}

function small(title, headings, lines) {
  const head = element("tr", {}, ...headings.map((text) => element("th", { scope: "col", className: "n", textContent: text })));
  const body = element("tbody", {}, ...lines.map((line) => element("tr", {}, ...line.map((text) => element("td", { className: "n", textContent: text })))));
  const table = element("table", {}, element("caption", { textContent: title }), element("thead", {}, head), body);
  return element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": title }, table);
}

function block(title, text) {
  return element("div", {}, element("h3", { textContent: title }), element("pre", { tabIndex: 0, textContent: text }));
}

function openRecord(row) {
  const detail = content.details[row.i];
  const body = document.getElementById("record-body");
  const parts = [list(content.fields.map((name) => [name.replaceAll("_", " "), row[name]])
    .concat([["started at (UTC)", detail.at]], Object.entries(detail.sha256).map(([name, text]) => [`sha256 of ${name}`, `${text}…`])))];
  if (detail.evaluations.length) {
    parts.push(small("Evaluations", ["epoch", "steps", "training seconds", "right", "of", "accuracy"],
      detail.evaluations.map(([epoch, steps, seconds, right, of]) => [whole.format(epoch), whole.format(steps), two.format(seconds), whole.format(right), whole.format(of), four.format(right / of)])));
  }
  if (detail.phases) parts.push(small("Phases", ["phase", "seconds"], detail.phases.map((seconds, k) => [content.phases[k], three.format(seconds)])));
  if (detail.speeds.length) {
    const every = detail.step > 1 ? ` (every ${detail.step}th of ${whole.format(detail.windows)})` : "";
    parts.push(block(`Speed of each window${every}, images/s; the first ${detail.warmup} are warm-up`, detail.speeds.join("  ")));
  }
  if (detail.resident.length) parts.push(block("Speed of each window on a resident batch, images/s", detail.resident.join("  ")));
  if (detail.software) parts.push(element("h3", { textContent: "Software" }), list(Object.entries(detail.software)));
  if (detail.tail) parts.push(block("The end of what the worker printed", detail.tail));
  body.replaceChildren(...parts);
  const section = document.getElementById("record");
  const title = document.getElementById("record-title");
  title.textContent = `Record ${row.case_id}`;
  section.hidden = false;
  section.scrollIntoView();
  title.focus({ preventScroll: true });
}

function route() {
  const parts = location.hash.split("/");
  if (parts[0] !== "#record") {
    document.getElementById("record").hidden = true;
    return;
  }
  let found;
  try {
    const [run, id] = parts.slice(1).map(decodeURIComponent);
    found = rows.find((row) => row.run === run && row.case_id === id);
  } catch {
    found = undefined; // an address that somebody mistyped
  }
  if (found) openRecord(found);
}
