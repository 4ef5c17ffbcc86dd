// The query, its filters, the address that keeps both, and what was found.

import { $, ask } from "/asking.js";
import { clearCards, listenForArrows, showCards } from "/cards.js";
import { drawMap, mark } from "/map.js";
import { showPicture, takePictures } from "/picture.js";

const MORE = ["also", "unwanted", "hybrid", "rerank", "begin", "end", "shortest", "longest"];
const FILTERS = ["features", "dataset", "split", "label", "k", "frames", ...MORE];
const DEFAULT_HITS = "12";
const WELCOME = "Type what to look for.";
let datasets = [];
let first = {}; // features and dataset that the page begins with
let newest = 0; // number of the newest request: an answer that comes late is not shown

// What is empty does not narrow the search down.
function chosen() {
  const values = {};
  for (const name of FILTERS) {
    const value = $(name).type === "checkbox" ? $(name).checked && "true" : $(name).value.trim();
    if (value) values[name] = value;
  }
  return values;
}

function fill(select, values, all) {
  const before = select.value;
  select.replaceChildren();
  if (all) select.append(new Option(all, ""));
  for (const value of values) select.append(new Option(value, value));
  if (values.includes(before)) select.value = before;
}

// Menus offer what the chosen feature set and dataset have.
function updateMenus() {
  const having = datasets.filter((one) => one.features.includes($("features").value));
  fill($("dataset"), having.map((one) => one.name), "all");
  const dataset = $("dataset").value;
  const among = having.filter((one) => !dataset || one.name === dataset);
  fill($("split"), among.length === 1 ? among[0].splits : [], "all");
  const labels = new Set(among.flatMap((one) => one.labels));
  $("labels").replaceChildren(...[...labels].map((label) => new Option(label, label)));
}

const place = () => Object.fromEntries(new URLSearchParams(location.search));

// What is asked: words, a video (of, row and its id for the reader), or a picture.
function query() {
  const { of, row, id, picture } = place();
  const q = $("words").value.trim();
  if (q) return { q };
  if (of) return { of, row, id: id || "" };
  return picture ? { picture } : null;
}

function remember(asked) {
  const { k, ...filters } = chosen();
  const values = { ...asked, ...filters, k: k === DEFAULT_HITS ? "" : k };
  // A row may be 0.
  const kept = Object.entries(values).filter(([, value]) => value || value === 0);
  const address = `?${new URLSearchParams(Object.fromEntries(kept))}`;
  if (address !== location.search) history.pushState(null, "", address);
}

async function show(asked) {
  const number = ++newest;
  const { id, ...about } = asked;
  const parameters = { ...about, ...chosen() };
  if (!asked.picture) showPicture("");
  say("Searching.");
  const start = performance.now();
  try {
    const answer = await ask("/api/search", parameters);
    if (number !== newest) return;
    const taken = Math.round(performance.now() - start);
    const count = answer.hits.length;
    const shown = asked.of ? `like ${id || answer.query}` : "the picture";
    const words = asked.q ? `“${answer.query}”` : shown;
    say(`${count} ${count === 1 ? "hit" : "hits"} for ${words} in ${answer.features}, ${taken} ms`);
    showCards($("hits"), answer.hits, parameters, moreLike);
    offerFiles(count ? parameters : null);
    document.body.dataset.hits = count;
    mark(answer.hits);
  } catch (error) {
    if (number !== newest) return;
    say(error.message);
    clearCards($("hits"));
    offerFiles(null);
    document.body.dataset.hits = "error";
  }
}

const say = (text) => { $("said").textContent = text; };

function offerFiles(parameters) {
  $("save").hidden = !parameters;
  for (const link of $("save").querySelectorAll("a")) {
    link.href = `/api/saved/hits.${link.dataset.ending}?${new URLSearchParams(parameters ?? {})}`;
  }
}

function search(asked) {
  remember(asked);
  return show(asked);
}

function moreLike(hit) {
  $("words").value = "";
  search({ of: hit.dataset, row: hit.row, id: hit.id });
  scrollTo({ top: 0 });
}

function updateMap() {
  const having = datasets.find((one) => one.features.includes($("features").value));
  const dataset = $("dataset").value || having?.name || "";
  drawMap({ dataset, features: $("features").value, moreLike });
}

// What the address leaves out is as it was at the start.
function restore() {
  const { q, ...filters } = place();
  const values = { k: DEFAULT_HITS, ...first, ...filters };
  for (const name of FILTERS) {
    if ($(name).type === "checkbox") $(name).checked = values[name] === "true";
    else $(name).value = values[name] ?? "";
    if (name === "features" || name === "dataset") updateMenus();
  }
  if (MORE.some((name) => values[name])) $("more").open = true;
  $("words").value = q || "";
  const asked = query();
  if (asked) show(asked);
  else clear();
  updateMap();
}

function clear() {
  newest += 1;
  say(WELCOME);
  showPicture("");
  clearCards($("hits"));
  offerFiles(null);
  delete document.body.dataset.hits;
  mark([]);
}

function again() {
  updateMenus();
  updateMap();
  const asked = query();
  if (asked) search(asked);
}

function listen() {
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const q = $("words").value.trim();
    if (q) search({ q });
  });
  for (const name of FILTERS) $(name).addEventListener("change", again);
  $("map").addEventListener("toggle", updateMap);
  $("sent").querySelector("button").addEventListener("click", () => {
    remember({});
    restore();
    $("words").focus();
  });
  takePictures((picture) => {
    $("words").value = "";
    search({ picture });
  }, say);
  listenForArrows($("hits"));
  addEventListener("popstate", restore);
  addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("input:not([type=checkbox]), select, textarea");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    $("words").select();
  });
}

async function start() {
  const store = await ask("/api/store");
  datasets = store.datasets;
  document.title = `${store.store} – vifi serve`;
  fill($("features"), [...new Set(datasets.flatMap((one) => one.features))].sort());
  first = { features: store.features, dataset: store.dataset };
  listen();
  restore();
  document.body.dataset.ready = "true";
}

start().catch((error) => say(error.message));
