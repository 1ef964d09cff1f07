// Panels and tables. A cell is written only when its text has changed; one that differs from what the row of the same name
// said before lights up, wherever that row stood.

const BADGES = {
  HIGH: "bad", BREACH: "bad", OUT_OF_STOCK: "bad", ERROR: "bad", SUSPENDED: "bad", FAILED: "bad",
  MEDIUM: "warning", ELEVATED: "warning", WARNING: "warning", WARN: "warning", LOW_STOCK: "warning", INITIALIZING: "warning",
  LOW: "good", STANDARD: "good", OK: "good", ACTIVE: "good", COMPLETED: "good",
};

const grouped = (value, digits) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** The text of a value as its column wants it; all of a column have the decimals that its largest needs. */
export function format(value, look, { largest = Math.abs(value), isWhole = Number.isInteger(value) } = {}) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return look === "time" ? time(value) : String(value);
  switch (look) {
    case "money": case "signed": return (look === "signed" && value > 0 ? "+" : "") + grouped(value, largest >= 1e5 ? 0 : 2);
    case "price": return grouped(value, 4);
    case "percent": case "rate": case "share": return `${grouped(value, 1)} %`;
    default: return grouped(value, isWhole || largest >= 1e5 ? 0 : largest < 1 ? 3 : 2);
  }
}

function time(text) {
  const [day, clock] = text.split(" ");
  if (!clock || /^00:00:00([+-]|$)/.test(clock)) return day;
  const moment = new Date(text.replace(" ", "T").replace(/([+-]\d\d)$/, "$1:00"));
  return Number.isNaN(moment.getTime()) ? text : moment.toLocaleTimeString();
}

/** A column's name as words. */
const label = (column) => column.replaceAll("_", " ").replace(/\bpnl\b/, "P&L").replace(/\bvar\b/, "VaR");

function put(parent, tag, className) {
  const child = document.createElement(tag);
  if (className) child.className = className;
  parent.append(child);
  return child;
}

/** Makes `parent` have exactly `count` children, keeping those it has. */
function fit(parent, count, make) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(make(parent.children.length));
}

function setText(node, text) {
  if (node.textContent === text) return false;
  node.textContent = text;
  return true;
}

function light(node) {
  node.classList.remove("changed");
  void node.offsetWidth;
  node.classList.add("changed");
}

function drawCell(cell, value, look, column, before) {
  const text = format(value, look, column), { largest } = column;
  cell.classList.toggle("number", typeof value === "number");
  cell.classList.toggle("long", typeof value === "string" && value.length > 60);
  if (look === "bar" && typeof value === "number") {
    if (!cell.querySelector(".bar")) { cell.textContent = ""; const bar = put(cell, "span", "bar"); put(bar, "i"); put(bar, "b"); }
    cell.querySelector("i").style.width = `${largest > 0 ? Math.max(0, 100 * Math.abs(value) / largest) : 0}%`;
    setText(cell.querySelector("b"), text);
  } else if (look === "badge" || look === "alert") {
    if (!cell.querySelector(".badge")) { cell.textContent = ""; put(cell, "span", "badge"); }
    const badge = cell.querySelector(".badge");
    setText(badge, text);
    badge.className = `badge ${BADGES[text] ?? ""}`;
  } else {
    setText(cell, text);
  }
  const line = cell.parentElement, isAlert = look === "alert";
  if (isAlert) line.className = `alert ${BADGES[text] ?? ""}`;
  const isSigned = look === "signed" || look === "percent";
  cell.classList.toggle("positive", (isSigned && value > 0.01) || (look === "rate" && value < 25));
  cell.classList.toggle("middling", look === "rate" && value >= 25 && value < 50);
  cell.classList.toggle("negative", (isSigned && value < -0.01) || (look === "rate" && value >= 50));
  if (before !== undefined && before !== text) light(cell);
  else if (cell.dataset.text !== text) cell.classList.remove("changed");
  cell.dataset.text = text;
}

/** What tells the rows apart: the first column, or the first few. */
function namer(rows) {
  const named = (count) => (row) => row.slice(0, count).join("\n");
  const enough = [1, 2, 3].find((count) => new Set(rows.map(named(count))).size === rows.length);
  return named(enough ?? 3);
}

/** A table in `parent`: `columns` are names, `rows` arrays, `looks` by column name. */
export function drawTable(parent, columns, rows, looks = {}) {
  if (!parent.querySelector("table")) {
    const table = put(put(parent, "div", "scroll"), "table");
    put(put(table, "thead"), "tr");
    put(table, "tbody");
  }
  const head = parent.querySelector("thead tr"), body = parent.querySelector("tbody");
  fit(head, columns.length, () => document.createElement("th"));
  const numbers = columns.map((_, at) => rows.map((row) => row[at]).filter((value) => typeof value === "number"));
  columns.forEach((column, at) => {
    setText(head.children[at], label(column));
    head.children[at].className = numbers[at].length ? "number" : "";
  });
  const traits = numbers.map((values) => ({ largest: Math.max(0, ...values.map(Math.abs)), isWhole: values.every(Number.isInteger) }));
  const nameOf = namer(rows);
  fit(body, rows.length, () => document.createElement("tr"));
  const known = body.known ?? new Map();
  body.known = new Map();
  rows.forEach((row, at) => {
    const line = body.children[at], name = nameOf(row);
    const texts = row.map((value, column) => format(value, looks[columns[column]], traits[column]));
    // A row that was not there is new in all its cells, but not those of a table that has just been made.
    const before = known.get(name) ?? (known.size ? [] : texts);
    body.known.set(name, texts);
    fit(line, columns.length, () => document.createElement("td"));
    row.forEach((value, column) => drawCell(line.children[column], value, looks[columns[column]], traits[column], before[column] ?? ""));
  });
}

function drawFigures(box, panel) {
  fit(box, panel.columns.length + 1, (at) => {
    if (at === panel.columns.length) { const route = document.createElement("span"); route.className = "route"; return route; }
    const figure = document.createElement("div");
    put(figure, "strong");
    put(figure, "span");
    return figure;
  });
  panel.columns.forEach((column, at) => {
    const figure = box.children[at], value = panel.rows[0]?.[at] ?? null, look = panel.looks[column];
    const isSigned = look === "signed" && typeof value === "number";
    figure.className = `figure ${look ?? ""} ${isSigned ? (value < 0 ? "bad" : "good") : ""}`;
    setText(figure.children[0], format(value, look));
    setText(figure.children[1], label(column));
  });
}

function drawProportions(box, panel) {
  let parts = box.querySelector(".proportions");
  parts ??= put(box, "div", "proportions");
  fit(parts, panel.rows.length, () => document.createElement("div"));
  const whole = panel.rows.reduce((sum, row) => sum + Number(row[1]), 0);
  panel.rows.forEach(([label, count], at) => {
    const part = parts.children[at];
    part.className = BADGES[label] ?? "";
    part.style.flexGrow = count;
    setText(part, `${label} ${format(Number(count))} (${whole ? Math.round(100 * count / whole) : 0} %)`);
    part.title = part.textContent;
  });
}

function drawRoute(box, panel) {
  const route = box.querySelector(".route");
  setText(route, `${panel.route} · ${panel.micros < 1000 ? `${panel.micros} µs` : `${(panel.micros / 1000).toFixed(1)} ms`}`);
  route.className = `route ${panel.route.startsWith("memory") ? "memory" : ""}`;
  route.title = panel.sql;
}

/** All panels of a scenario. */
export function drawPanels(parent, panels) {
  fit(parent, panels.length, (at) => {
    const box = document.createElement("article");
    box.className = panels[at].kind === "figures" ? "figures" : "panel";
    box.style.gridColumn = `span ${panels[at].width}`;
    if (panels[at].kind !== "figures") { const title = put(box, "h2"); put(title, "span").textContent = panels[at].title; put(title, "span", "route"); }
    return box;
  });
  panels.forEach((panel, at) => {
    const box = parent.children[at];
    if (panel.kind === "figures") drawFigures(box, panel);
    else if (panel.kind === "proportions") drawProportions(box, panel);
    else drawTable(box, panel.columns, panel.rows, panel.looks);
    drawRoute(box, panel);
  });
}

/** A panel with a title in `parent`, made once; returns the box to draw in. */
export function titled(parent, id, title, width) {
  let box = parent.querySelector(`[data-panel="${id}"]`);
  if (!box) {
    box = put(parent, "article", "panel");
    box.dataset.panel = id;
    box.style.gridColumn = `span ${width}`;
    put(box, "h2").textContent = title;
  }
  return box;
}
