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

const bound = (micros) => (micros === null ? "more" : micros < 1000 ? `${micros} µs`
  : micros < 1e6 ? `${Math.round(micros / 1024)} ms` : `${Math.round(micros / 1048576)} s`);

/** The bound of the bucket that holds the middle one of all. */
function median(buckets) {
  const total = buckets.reduce((sum, bucket) => sum + bucket.count, 0);
  let seen = 0;
  const middle = buckets.find((bucket) => (seen += bucket.count) * 2 >= total);
  return total ? `half within ${bound(middle.up_to_micros)}` : "none yet";
}

/** Bars over buckets; `series` are [name, buckets] drawn on top of each other, the last one lowest. */
function drawHistogram(box, series, legend) {
  let bars = box.querySelector(".histogram");
  if (!bars) {
    bars = document.createElement("div");
    bars.className = "histogram";
    const text = document.createElement("p");
    text.className = "legend";
    box.append(bars, text);
  }
  box.querySelector(".legend").replaceChildren(...legend.flatMap(([name, words]) => {
    const mark = document.createElement("i");
    mark.className = name;
    return [mark, words];
  }));
  const count = (at) => series.reduce((sum, [, buckets]) => sum + buckets[at].count, 0);
  const all = series[0][1].map((_, at) => at);
  const first = Math.max(0, all.findIndex(count) - 1), last = Math.min(all.length - 1, Math.max(first + 6, all.findLastIndex(count) + 1));
  const tallest = Math.max(1, ...all.map(count));
  bars.replaceChildren(...all.slice(first, last + 1).map((at) => {
    const column = document.createElement("div");
    for (const [name, buckets] of series) {
      const bar = document.createElement("i");
      bar.className = name;
      bar.style.height = `${(80 * buckets[at].count) / tallest}%`;
      bar.title = `${format(buckets[at].count)}, up to ${bound(buckets[at].up_to_micros)}`;
      column.append(bar);
    }
    const text = document.createElement("span");
    text.textContent = bound(series[0][1][at].up_to_micros);
    column.append(text);
    return column;
  }));
}

function statusRows({ status, refreshes }) {
  return status.map(({ name, refresh_mode, schedule, status, is_populated, staleness_s, error }) => {
    const refresh = refreshes.find((table) => table.name === name);
    return { name, mode: refresh_mode, schedule: schedule === "calculated" ? "calc" : schedule, status, populated: is_populated ? "●" : "○",
      age_s: staleness_s, last_rows: refresh?.rows_changed ?? null, last_ms: refresh?.duration_ms ?? null, error: error ?? "" };
  });
}

/** The panel under the scenario's own. */
export function drawStatus(parent, answer) {
  const rows = statusRows(answer);
  if (rows.every((row) => row.error === "")) rows.forEach((row) => delete row.error);
  objects(titled(parent, "status", "Stream table status", 12), rows, { status: "badge" });
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
    ["subscriptions begun", format(weir.subscriptions)], ["rows told to subscribers", format(weir.subscription_rows)],
  ];
  drawTable(routes, ["statements", "count"], rows);
  const { from_memory: memory, forwarded } = answer.reads;
  drawHistogram(titled(parent, "latency", "Latency of this page's reads, at the client", 6), [["forwarded", forwarded], ["memory", memory]],
    [["memory", `from memory, ${median(memory)}`], ["forwarded", `forwarded, ${median(forwarded)}`]]);
  if (!weir.error) {
    drawHistogram(titled(parent, "visible", "From commit to visible in memory", 6), [["memory", weir.commit_to_visible]],
      [["memory", `commits, ${median(weir.commit_to_visible)}`]]);
  }
  objects(titled(parent, "health", "Stream table health", 6), health(answer.health), { severity: "badge" });
  const tree = titled(parent, "tree", "Dependency tree", 5);
  let lines = tree.querySelector("pre");
  if (!lines) { lines = document.createElement("pre"); tree.append(lines); }
  lines.textContent = answer.tree.map((row) => row.tree_line).join("\n");
  objects(titled(parent, "efficiency", "Refresh efficiency", 7), efficiency(answer.efficiency));
  objects(titled(parent, "advice", "Refresh mode advisor", 12), advice(answer.advice));
  objects(titled(parent, "history", "Refresh history", 12), history(answer.history), { status: "badge", started: "time" });
}
