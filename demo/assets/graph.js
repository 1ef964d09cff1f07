// The graph of stream tables as a picture: base tables left, each stream table right of everything it reads.
const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 62, GAP_X = 40, GAP_Y = 18, MARGIN = 18;
/** As wide as the longest name, and as what is said below it. */
const LETTER = 7.7, LEAST_WIDTH = 160;
/** A picture is not drawn smaller than this; what does not fit is scrolled to. */
const LEAST_SCALE = 0.75;
let chosen = null;
let drawn = "";

function make(tag, attributes, parent) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent?.append(node);
  return node;
}

/** Nodes with their column and row: columns by longest way from base tables, rows by where their sources are. */
function place(edges, names) {
  const sources = new Map(names.map((name) => [name, []]));
  for (const { reader, source } of edges) {
    if (!sources.has(source)) sources.set(source, []);
    sources.get(reader)?.push(source);
  }
  const level = new Map();
  const levelOf = (name, seen = new Set()) => {
    if (level.has(name)) return level.get(name);
    if (seen.has(name)) return 0;
    seen.add(name);
    const reads = sources.get(name) ?? [];
    const found = reads.length ? 1 + Math.max(...reads.map((source) => levelOf(source, seen))) : 0;
    level.set(name, found);
    return found;
  };
  for (const name of sources.keys()) levelOf(name);
  const columns = [];
  for (const [name, at] of level) (columns[at] ??= []).push(name);
  const row = new Map();
  columns.forEach((column, at) => {
    const middle = (name) => {
      const reads = sources.get(name) ?? [];
      return reads.length ? reads.reduce((sum, source) => sum + (row.get(source) ?? 0), 0) / reads.length : 0;
    };
    if (at > 0) column.sort((left, right) => middle(left) - middle(right) || left.localeCompare(right));
    const tallest = Math.max(...columns.map((other) => other?.length ?? 0));
    column.forEach((name, index) => row.set(name, index + (tallest - column.length) / 2));
  });
  return { columns, level, row, sources };
}

const short = (name) => (name.length > 25 ? `${name.slice(0, 24)}…` : name);

function describe(status, refresh) {
  if (!status) return ["base table", ""];
  const fresh = status.staleness_s === null ? "never refreshed" : `${status.staleness_s.toFixed(1)} s old`;
  const work = refresh ? `${refresh.rows_changed} rows in ${refresh.duration_ms} ms` : "no refresh yet";
  return [`${status.schedule} · ${fresh}`, work];
}

/** Everything below and above a node, itself included. */
function related(name, edges) {
  const walk = (from, to) => {
    const seen = new Set([name]);
    for (let size = 0; size !== seen.size;) {
      size = seen.size;
      for (const edge of edges) if (seen.has(edge[from])) seen.add(edge[to]);
    }
    return seen;
  };
  return new Set([...walk("reader", "source"), ...walk("source", "reader")]);
}

function build(parent, answer, choose) {
  const { columns, level, row, sources } = place(answer.edges, answer.status.map((table) => table.name));
  const tallest = Math.max(...columns.map((column) => column?.length ?? 0));
  const longest = Math.max(...[...sources.keys()].map((name) => short(name).length));
  const WIDTH = Math.max(LEAST_WIDTH, 24 + LETTER * longest);
  const width = MARGIN * 2 + columns.length * (WIDTH + GAP_X) - GAP_X, height = MARGIN * 2 + tallest * (HEIGHT + GAP_Y) - GAP_Y;
  const svg = make("svg", { style: `max-width: ${width}px; min-width: ${LEAST_SCALE * width}px`, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "graph of stream tables" });
  const x = (name) => MARGIN + level.get(name) * (WIDTH + GAP_X), y = (name) => MARGIN + row.get(name) * (HEIGHT + GAP_Y);
  for (const { reader, source } of answer.edges) {
    const from = [x(source) + WIDTH, y(source) + HEIGHT / 2], to = [x(reader), y(reader) + HEIGHT / 2], bend = GAP_X / 2;
    const d = `M${from} C${from[0] + bend},${from[1]} ${to[0] - bend},${to[1]} ${to}`;
    make("path", { class: "edge", d, "data-reader": reader, "data-source": source }, svg);
  }
  for (const name of sources.keys()) {
    const group = make("g", { class: "node", tabindex: 0, role: "button", "data-name": name, transform: `translate(${x(name)},${y(name)})` }, svg);
    make("rect", { width: WIDTH, height: HEIGHT }, group);
    make("title", {}, group).textContent = name;
    make("text", { x: 12, y: 22 }, group).textContent = short(name);
    make("text", { x: 12, y: 38, class: "detail" }, group);
    make("text", { x: 12, y: 53, class: "detail" }, group);
    group.addEventListener("click", () => choose(name));
    group.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(name); });
  }
  parent.replaceChildren(svg);
}

/** Without the blanks that all lines begin with. */
function outdented(text) {
  const lines = text.split("\n").filter((line, at, all) => line.trim() || (at > 0 && at < all.length - 1));
  const indent = Math.min(...lines.filter((line) => line.trim()).map((line) => line.search(/\S/)));
  return lines.map((line) => line.slice(indent)).join("\n");
}

function fillDetails(aside, name, answer) {
  const status = answer.status.find((table) => table.name === name);
  aside.hidden = !name;
  if (!name) return;
  const heading = document.createElement("h2"), text = document.createElement("p"), query = document.createElement("pre");
  heading.textContent = name;
  const readers = answer.edges.filter((edge) => edge.source === name).map((edge) => edge.reader);
  const reads = answer.edges.filter((edge) => edge.reader === name).map((edge) => edge.source);
  text.textContent = [status ? `${status.refresh_mode}, ${status.status.toLowerCase()}` : "base table",
    reads.length ? `reads ${reads.join(", ")}` : "", readers.length ? `read by ${readers.join(", ")}` : ""].filter(Boolean).join(" · ");
  query.textContent = outdented(answer.definitions.find((table) => table.name === name)?.query ?? "");
  aside.replaceChildren(heading, text, ...(query.textContent ? [query] : []));
}

/** Draws the picture anew only when the graph has changed; otherwise only what its nodes say. */
export function drawGraph(parent, aside, answer) {
  const update = () => {
    const near = chosen ? related(chosen, answer.edges) : null;
    for (const node of parent.querySelectorAll(".node")) {
      const name = node.dataset.name, status = answer.status.find((table) => table.name === name);
      const refresh = answer.refreshes.find((table) => table.name === name);
      const lines = describe(status, refresh), texts = node.querySelectorAll(".detail");
      const last = refresh?.start_time ?? "";
      node.classList.toggle("lit", node.dataset.last !== undefined && node.dataset.last !== last && refresh?.rows_changed > 0);
      node.dataset.last = last;
      lines.forEach((line, at) => { texts[at].textContent = line; });
      node.classList.toggle("stream", Boolean(status));
      node.classList.toggle("ill", Boolean(status) && status.status !== "ACTIVE");
      node.classList.toggle("chosen", name === chosen);
      node.classList.toggle("dim", Boolean(near) && !near.has(name));
    }
    for (const edge of parent.querySelectorAll(".edge")) {
      const inside = near?.has(edge.dataset.reader) && near?.has(edge.dataset.source);
      edge.classList.toggle("lit", Boolean(inside));
      edge.classList.toggle("dim", Boolean(near) && !inside);
    }
    fillDetails(aside, chosen, answer);
  };
  const shape = JSON.stringify(answer.edges);
  if (shape !== drawn) {
    drawn = shape;
    build(parent, answer, (name) => { chosen = chosen === name ? null : name; parent.redraw(); });
  }
  parent.redraw = update;
  update();
}
