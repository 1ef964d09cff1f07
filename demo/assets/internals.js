// What is inside: health, status, refreshes, efficiency, the advisor, and what Weir did with the statements it saw.
import { drawTable, format, titled } from "./panels.js";

function objects(box, rows, looks) {
  const columns = rows.length ? Object.keys(rows[0]) : ["nothing yet"];
  drawTable(box, columns, rows.map((row) => columns.map((column) => row[column])), looks);
}

function advice(rows) {
  return rows.map(({ name, effective_mode, recommended_mode, confidence, reason }) => ({
    name, mode: effective_mode,
    advice: recommended_mode === "KEEP" ? `✓ KEEP ${effective_mode}` : `→ SWITCH TO ${recommended_mode}`, confidence, reason,
  }));
}

function efficiency(rows) {
  return rows.map(({ name, total, diff, full, avg_diff_ms, avg_full_ms, speedup, avg_change_ratio }) => ({
    name, total, diff, full, avg_diff_ms, avg_full_ms, speedup: speedup ?? "–", avg_change_ratio,
  }));
}

function health(rows) {
  return rows.map(({ check, severity, detail }) => ({ check: check.replaceAll("_", " "), severity, detail }));
}

function history(rows) {
  return rows.map(({ start_time, name, action, status, duration_ms, inserted, deleted, was_full_fallback, error }) => ({
    started: start_time, name: was_full_fallback ? `▲ ${name}` : name, action, status, ms: duration_ms, inserted, deleted, error: error ?? "",
  }));
}

function drawHistogram(box, reads) {
  let bars = box.querySelector(".histogram");
  if (!bars) {
    bars = document.createElement("div");
    bars.className = "histogram";
    const legend = document.createElement("p");
    legend.className = "legend";
    legend.innerHTML = "<i></i>from memory<i class=forwarded></i>forwarded: time of this page's own statements, at the client";
    box.append(bars, legend);
  }
  const tallest = Math.max(1, ...reads.from_memory.map((bucket, at) => bucket.count + reads.forwarded[at].count));
  const label = (bound) => (bound === null ? "more" : bound < 1000 ? `${bound} µs` : `${Math.round(bound / 1024)} ms`);
  bars.replaceChildren(...reads.from_memory.map((bucket, at) => {
    const column = document.createElement("div");
    for (const [count, name] of [[reads.forwarded[at].count, "forwarded"], [bucket.count, "memory"]]) {
      const bar = document.createElement("i");
      bar.className = name;
      bar.style.height = `${(80 * count) / tallest}%`;
      bar.title = `${count} ${name}, up to ${label(bucket.up_to_micros)}`;
      column.append(bar);
    }
    const text = document.createElement("span");
    text.textContent = label(bucket.up_to_micros);
    column.append(text);
    return column;
  }));
}

/** All panels of the page. */
export function drawInternals(parent, answer) {
  const { weir } = answer;
  const routes = titled(parent, "routes", "What Weir did", 6);
  const total = weir.answered + weir.forwarded;
  const rows = weir.error ? [["counters", weir.error]] : [
    ["answered from memory", format(weir.answered) + (total ? ` (${((100 * weir.answered) / total).toFixed(1)} %)` : "")],
    ...weir.forwarded_by_reason.map(({ reason, count }) => [`forwarded: ${reason}`, format(count)]),
    ["without a stream table", format(weir.passed_through)], ["commits applied", format(weir.commits)],
  ];
  drawTable(routes, ["statements", "count"], rows);
  drawHistogram(titled(parent, "latency", "Latency of this page's reads", 6), answer.reads);
  objects(titled(parent, "health", "Stream table health", 6), health(answer.health), { severity: "badge" });
  const tree = titled(parent, "tree", "Dependency tree", 6);
  let lines = tree.querySelector("pre");
  if (!lines) { lines = document.createElement("pre"); tree.append(lines); }
  lines.textContent = answer.tree.map((row) => row.tree_line).join("\n");
  const status = answer.status.map(({ name, refresh_mode, schedule, status, is_populated, staleness_s, error }) => ({
    name, mode: refresh_mode, schedule, populated: is_populated ? "●" : "○", status, staleness_s, error: error ?? "",
  }));
  objects(titled(parent, "status", "Stream table status", 12), status, { status: "badge" });
  objects(titled(parent, "efficiency", "Refresh efficiency", 6), efficiency(answer.efficiency));
  objects(titled(parent, "advice", "Refresh mode advisor", 6), advice(answer.advice));
  objects(titled(parent, "history", "Refresh history", 12), history(answer.history), { status: "badge", started: "time" });
}
