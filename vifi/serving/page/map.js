// The map of a dataset: every video a point, near to those that are like it.

import { $, ask, make } from "/asking.js";

let drawn = ""; // what the map shows

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

// `wanted`: dataset and features, and `moreLike` that is called with a video.
export async function drawMap(wanted) {
  const { dataset, features } = wanted;
  const key = JSON.stringify([dataset, features]);
  if (!$("map").open || key === drawn) return;
  drawn = key;
  $("map-said").hidden = false;
  try {
    const [points] = await Promise.all([ask("/api/map", { dataset, features }), loadPlotly()]);
    await plot(points, dataset, wanted);
    $("map-said").textContent = `${points.row.length} videos of ${dataset}; click one to ` +
      "find others like it.";
  } catch (error) {
    drawn = "";
    $("map-said").textContent = error.message;
  }
}

// Plotly reads a few tags in the texts it shows.
const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

async function plot(points, dataset, wanted) {
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
    wanted.moreLike({ dataset, row: points.row[index], id: points.id[index] });
  });
  mark(shownHits);
}

// Neighbouring numbers get hues that lie far apart.
const hue = (number) => Math.round((number * 137.508) % 360);

let shownHits = [];

export function mark(hits) {
  shownHits = hits;
  const points = $("plot").points;
  if (!points || !window.Plotly) return;
  const places = hits.filter((hit) => hit.dataset === points.dataset)
    .map((hit) => points.row.indexOf(hit.row)).filter((index) => index >= 0);
  const update = { x: [places.map((at) => points.x[at])], y: [places.map((at) => points.y[at])] };
  Plotly.restyle("plot", update, [1]);
}
