// Whatever comes from the store is set as text, never as markup.
"use strict";

const $ = (id) => document.getElementById(id);
const FILTERS = ["features", "dataset", "split", "label", "k", "frames"];
const DEFAULT_HITS = "12";
const WELCOME = "Type what to look for.";
let datasets = [];
let first = {}; // features and dataset that the page begins with
let newest = 0; // number of the newest request: an answer that comes late is not shown
let drawn = ""; // what the map shows

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

async function ask(path, parameters) {
  const response = await fetch(`${path}?${new URLSearchParams(parameters)}`);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || "The request was not understood.");
  return answer;
}

function chosen() {
  const values = {};
  for (const name of FILTERS) values[name] = $(name).value;
  values.frames = $("frames").checked;
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

function place() {
  const address = new URLSearchParams(location.search);
  return Object.fromEntries(address);
}

function remember(query) {
  const { k, ...filters } = chosen();
  const values = { ...query, ...filters, k: k === DEFAULT_HITS ? "" : k };
  // A row may be 0.
  const kept = Object.entries(values).filter(([, value]) => value || value === 0);
  const address = `?${new URLSearchParams(Object.fromEntries(kept))}`;
  if (address !== location.search) history.pushState(null, "", address);
}

async function show(query) {
  const number = ++newest;
  const parameters = { ...query, ...chosen() };
  $("said").textContent = "Searching.";
  const start = performance.now();
  try {
    const path = query.of ? "/api/like" : "/api/search";
    const answer = await ask(path, parameters);
    if (number !== newest) return;
    const taken = Math.round(performance.now() - start);
    const asked = query.of ? `like ${query.id || answer.query}` : `“${answer.query}”`;
    const count = answer.hits.length;
    $("said").textContent =
      `${count} ${count === 1 ? "hit" : "hits"} for ${asked} in ${answer.features}, ${taken} ms`;
    $("hits").replaceChildren(...answer.hits.map(card));
    document.body.dataset.hits = answer.hits.length;
    mark(answer.hits);
  } catch (error) {
    if (number !== newest) return;
    $("said").textContent = error.message;
    $("hits").replaceChildren();
    document.body.dataset.hits = "error";
  }
}

function search(query) {
  remember(query);
  return show(query);
}

function card(hit) {
  const element = make("article", undefined, "hit");
  const facts = make("div", undefined, "facts");
  const title = make("div");
  title.append(make("strong", `${hit.rank}. ${hit.label || "no label"}`));
  facts.append(title, make("div", hit.id));
  facts.append(make("div", `${hit.dataset} · ${hit.score.toFixed(3)}${times(hit)}`, "faint"));
  const more = make("button", "More like this");
  more.addEventListener("click", () => {
    $("words").value = "";
    search({ of: hit.dataset, row: hit.row, id: hit.id });
    scrollTo({ top: 0 });
  });
  facts.append(more);
  element.append(screen(hit), facts);
  return element;
}

function times(hit) {
  if (hit.end_seconds === null) return "";
  return ` · ${hit.start_seconds.toFixed(1)}–${hit.end_seconds.toFixed(1)} s`;
}

function screen(hit) {
  const element = make("div", undefined, "screen");
  const address = `${encodeURIComponent(hit.dataset)}/${hit.row}`;
  const isMoment = $("frames").checked && hit.end_seconds !== null;
  const isPart = isMoment || (hit.is_part && hit.end_seconds !== null);
  const at = isMoment ? `?at=${(hit.start_seconds + hit.end_seconds) / 2}` : "";
  const picture = `/thumbnail/${address}${at}`;
  if (!hit.is_playable) {
    element.append(still(picture), note(`Browsers do not play this format. File: ${hit.path}`));
    return element;
  }
  const video = make("video");
  Object.assign(video, { controls: true, loop: true, muted: true, preload: "none", poster: picture });
  video.src = `/video/${address}${isPart ? `#t=${hit.start_seconds},${hit.end_seconds}` : ""}`;
  video.addEventListener("error", () =>
    element.replaceChildren(still(picture), note(`This browser cannot play it. File: ${hit.path}`)));
  element.append(video);
  return element;
}

function still(address) {
  const image = make("img");
  Object.assign(image, { src: address, alt: "", loading: "lazy" });
  return image;
}

const note = (text) => make("p", text, "note");

// The map -------------------------------------------------------------------------------------

function loadPlotly() {
  if (window.Plotly) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const script = make("script");
    script.src = "/plotly.js";
    script.onload = resolve;
    script.onerror = () => reject(new Error("The plotting library cannot be loaded."));
    document.head.append(script);
  });
}

function mapDataset() {
  if ($("dataset").value) return $("dataset").value;
  const having = datasets.find((one) => one.features.includes($("features").value));
  return having ? having.name : "";
}

async function drawMap() {
  const wanted = { dataset: mapDataset(), features: $("features").value };
  const key = JSON.stringify(wanted);
  if (!$("map").open || key === drawn) return;
  drawn = key;
  $("map-said").hidden = false;
  try {
    const [points] = await Promise.all([ask("/api/map", wanted), loadPlotly()]);
    await plot(points, wanted.dataset);
    $("map-said").textContent = `${points.row.length} videos of ${wanted.dataset}; click one to ` +
      "find others like it.";
  } catch (error) {
    drawn = "";
    $("map-said").textContent = error.message;
  }
}

// Plotly reads a few tags in the texts it shows.
const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

async function plot(points, dataset) {
  const style = getComputedStyle(document.body);
  const labels = [...new Set(points.label)];
  const colours = points.label.map((label) => `hsl(${hue(labels.indexOf(label))} 65% 50%)`);
  const text = points.id.map((id, index) =>
    `<b>${plain(points.label[index] || "no label")}</b><br>${plain(id)}`);
  const all = {
    type: "scatter", mode: "markers", x: points.x, y: points.y, text, customdata: points.row,
    hovertemplate: "%{text}<extra></extra>", marker: { size: 7, color: colours, opacity: 0.75 },
  };
  const hits = {
    type: "scatter", mode: "markers", x: [], y: [], hoverinfo: "skip",
    marker: { size: 15, color: "rgba(0,0,0,0)", line: { width: 3, color: style.color } },
  };
  const axis = { visible: false, fixedrange: false };
  const layout = {
    margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, hovermode: "closest",
    xaxis: axis, yaxis: { ...axis, scaleanchor: "x" }, dragmode: "pan",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: style.color },
  };
  const options = { responsive: true, displaylogo: false, scrollZoom: true };
  // What is not shown has no width, and would be drawn as wide as it may become.
  $("plot").hidden = false;
  await Plotly.newPlot("plot", [all, hits], layout, options);
  $("plot").points = { ...points, dataset };
  $("plot").on("plotly_click", (event) => {
    const index = event.points[0].pointIndex;
    $("words").value = "";
    search({ of: dataset, row: points.row[index], id: points.id[index] });
  });
  mark(shownHits);
}

// Neighbouring numbers get hues that lie far apart.
const hue = (number) => Math.round((number * 137.508) % 360);

let shownHits = [];

function mark(hits) {
  shownHits = hits;
  const points = $("plot").points;
  if (!points || !window.Plotly) return;
  const places = hits.filter((hit) => hit.dataset === points.dataset)
    .map((hit) => points.row.indexOf(hit.row)).filter((index) => index >= 0);
  const update = { x: [places.map((at) => points.x[at])], y: [places.map((at) => points.y[at])] };
  Plotly.restyle("plot", update, [1]);
}

// Start ---------------------------------------------------------------------------------------

// What the address leaves out is as it was at the start.
function restore() {
  const { q, of, row, id, ...filters } = place();
  const values = { split: "", label: "", k: DEFAULT_HITS, ...first, ...filters };
  for (const name of FILTERS) {
    if (name === "frames") $("frames").checked = values.frames === "true";
    else $(name).value = values[name];
    if (name === "features" || name === "dataset") updateMenus();
  }
  $("words").value = q || "";
  if (q) show({ q });
  else if (of) show({ of, row, id: id || "" });
  else clear();
  drawMap();
}

function clear() {
  newest += 1;
  $("said").textContent = WELCOME;
  $("hits").replaceChildren();
  delete document.body.dataset.hits;
  mark([]);
}

function again() {
  updateMenus();
  drawMap();
  const { of, row, id } = place();
  if ($("words").value.trim()) search({ q: $("words").value.trim() });
  else if (of) search({ of, row, id: id || "" });
}

async function start() {
  const store = await ask("/api/store", {});
  datasets = store.datasets;
  document.title = `${store.store} – vifi serve`;
  fill($("features"), [...new Set(datasets.flatMap((one) => one.features))].sort());
  first = { features: store.features, dataset: store.dataset };
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const q = $("words").value.trim();
    if (q) search({ q });
  });
  for (const name of FILTERS) $(name).addEventListener("change", again);
  $("map").addEventListener("toggle", drawMap);
  addEventListener("popstate", restore);
  restore();
  document.body.dataset.ready = "true";
}

start().catch((error) => { $("said").textContent = error.message; });
