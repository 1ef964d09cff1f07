// Is told of changes (or asks, where events do not come) and shows one of three pages. Pages are drawn into what is there: no flicker.
import { drawPanels } from "./panels.js";
import { drawGraph } from "./graph.js";
import { drawInternals, drawStatus } from "./internals.js";

const DATA_EVERY = 2000, INTERNALS_EVERY = 5000, FIRST_EVENT_WITHIN = 5000;
const element = (id) => document.getElementById(id);
let page = "board";

async function fetchJson(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

function say(text, lost) {
  element("source").textContent = text;
  element("source").classList.toggle("lost", lost);
}

function showData({ scenario, panels }) {
  element("scenario").textContent = scenario;
  document.title = `Weir: ${scenario}`;
  drawPanels(element("board"), panels);
  const remembered = panels.filter((panel) => panel.route.startsWith("memory")).length;
  say(`${remembered} of ${panels.length} panels from memory, ${new Date().toLocaleTimeString()}`, false);
}

function showInternals(answer) {
  drawGraph(element("picture"), element("node"), answer);
  drawStatus(element("status"), answer);
  drawInternals(element("internals"), answer);
}

/** Asks until `isOver`: for a browser or a way between that passes no events on. */
function ask(path, show, interval, isOver) {
  const again = async () => {
    if (isOver()) return;
    try {
      if (!document.hidden) show(await fetchJson(path));
    } catch (error) {
      say(`no answer: ${error.message}`, true);
    }
    setTimeout(again, interval);
  };
  again();
}

/** Events come when a stream table has changed. A page that is not looked at asks for none. */
function listen() {
  let source = null, isHeard = false;
  const open = () => {
    source = new EventSource("/api/events");
    source.addEventListener("data", (event) => { isHeard = true; showData(JSON.parse(event.data)); });
    source.addEventListener("internals", (event) => showInternals(JSON.parse(event.data)));
    source.addEventListener("lost", (event) => say(`no answer: ${event.data}`, true));
    source.addEventListener("error", () => { isHeard = false; say("no answer: the connection is lost", true); });
  };
  document.addEventListener("visibilitychange", () => { source.close(); if (!document.hidden) open(); });
  open();
  setTimeout(() => {
    if (isHeard) return;
    ask("/api/data", showData, DATA_EVERY, () => isHeard);
    ask("/api/internals", showInternals, INTERNALS_EVERY, () => isHeard);
  }, FIRST_EVENT_WITHIN);
}

function show(name) {
  page = name;
  for (const id of ["board", "graph", "internals"]) element(id).hidden = id !== page;
  element("status").hidden = page !== "board";
  for (const tab of document.querySelectorAll("[role=tab]")) tab.setAttribute("aria-selected", tab.dataset.page === page);
  history.replaceState(null, "", `#${page}`);
}

function chooseTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
}

for (const tab of document.querySelectorAll("[role=tab]")) tab.addEventListener("click", () => show(tab.dataset.page));
const preferred = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? preferred;
element("theme").addEventListener("click", () => chooseTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
const asked = location.hash.slice(1);
show(["board", "graph", "internals"].includes(asked) ? asked : "board");
listen();
