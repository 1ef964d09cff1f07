// Polls the two addresses and shows one of three pages. Pages are drawn into what is there: no flicker.
import { drawPanels } from "./panels.js";
import { drawGraph } from "./graph.js";
import { drawInternals } from "./internals.js";

const DATA_EVERY = 2000, INTERNALS_EVERY = 5000;
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

async function data() {
  try {
    const { scenario, panels } = await fetchJson("/api/data");
    element("scenario").textContent = scenario;
    document.title = `Weir: ${scenario}`;
    drawPanels(element("board"), panels);
    const remembered = panels.filter((panel) => panel.route.startsWith("memory")).length;
    say(`${remembered} of ${panels.length} panels from memory, ${new Date().toLocaleTimeString()}`, false);
  } catch (error) {
    say(`no answer: ${error.message}`, true);
  }
}

async function internals() {
  try {
    const answer = await fetchJson("/api/internals");
    drawGraph(element("picture"), element("node"), answer);
    drawInternals(element("internals"), answer);
  } catch (error) {
    say(`no answer: ${error.message}`, true);
  }
}

function repeat(work, interval) {
  const again = async () => {
    if (!document.hidden) await work();
    setTimeout(again, interval);
  };
  again();
}

function show(name) {
  page = name;
  for (const id of ["board", "graph", "internals"]) element(id).hidden = id !== page;
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
repeat(data, DATA_EVERY);
repeat(internals, INTERNALS_EVERY);
