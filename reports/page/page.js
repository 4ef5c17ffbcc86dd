// Draws the plots of the page from the JSON in it. Names of classes and files reach the page as
// text (textContent) or, inside the plotting library's own labels, with their signs escaped.
"use strict";

(() => {
  if (!window.Plotly) return;
  document.documentElement.classList.add("scripted");

  const plots = JSON.parse(document.getElementById("plots").textContent);
  const tip = document.getElementById("tip");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const isTouch = window.matchMedia("(pointer: coarse)").matches;
  // The markers of the printed figures, in their order; above this many points SVG is too slow.
  const SYMBOLS = ["circle", "triangle-up", "square", "x", "triangle-down", "diamond", "cross"];
  const DASH = "dash";
  const NUM_COLOURS = 7;
  const FEW_LINES = 6;
  const MAX_SVG_POINTS = 8000;
  const CONFIG = { responsive: true, displaylogo: false, displayModeBar: false };

  // Without WebGL a large map is slow, but it is drawn.
  const hasWebGL = document.createElement("canvas").getContext("webgl") !== null;

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const escaped = (text) =>
    String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\n/g, "<br>");
  const colour = (series) => css(`--c${series % NUM_COLOURS}`);
  const symbol = (series) => SYMBOLS[Math.floor(series / NUM_COLOURS) % SYMBOLS.length];
  // Neighbouring lines differ in colour and sign.
  const lineSymbol = (series) => SYMBOLS[(series + Math.floor(series / NUM_COLOURS)) % SYMBOLS.length];
  const faded = (hex, opacity) => hex + Math.round(opacity * 255).toString(16).padStart(2, "0");

  const layout = (changes) => ({
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: css("--sans"), size: 12, color: css("--ink") },
    hoverlabel: { font: { family: css("--sans") } },
    margin: { l: 44, r: 10, t: 8, b: 44 },
    showlegend: false,
    dragmode: false,
    ...changes,
  });
  const axis = (changes) => ({
    gridcolor: css("--line"),
    linecolor: css("--line"),
    zeroline: false,
    automargin: true,
    fixedrange: true,
    ...changes,
  });

  // Names of lines under the plot, below the title of its axis; of many the plot is taller.
  function legendBelow(area, count) {
    if (count > FEW_LINES) area.style.height = `${22 + 2 * (count - FEW_LINES)}rem`;
    return { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0, font: { size: 11 } };
  }

  // Curves: a line with its 95% interval as a band; the paper's are dashed and grey.
  function curves(area, panel, plot) {
    const traces = panel.lines.flatMap((line) => {
      const isPaper = line.series === null;
      const ink = isPaper ? css("--soft") : colour(line.series);
      const name = escaped(line.label);
      const drawn = {
        x: line.x, y: line.y, name, legendgroup: name, mode: isPaper ? "lines" : "lines+markers",
        line: { color: ink, width: 2, dash: isPaper ? DASH : "solid" },
        marker: { color: ink, size: 8, symbol: isPaper ? "circle" : lineSymbol(line.series) },
        customdata: line.low.map((low, n) => (low === null ? "" : ` [${low.toFixed(1)}, ${line.high[n].toFixed(1)}]`)),
        hovertemplate: "%{y:.1f}%{customdata}<extra>%{fullData.name}</extra>",
      };
      if (line.low.includes(null)) return [drawn];
      return [band(line, ink, name), drawn];
    });
    const ticks = [...new Set(panel.lines.flatMap((line) => line.x))].sort((a, b) => a - b);
    const xaxis = axis({
      type: "log", tickvals: ticks, ticktext: ticks.map(String), title: { text: plot.xlabel }, showgrid: false,
    });
    const yaxis = axis({ title: { text: "top-1 (%)" } });
    const legend = legendBelow(area, panel.lines.length);
    return [traces, layout({ xaxis, yaxis, legend, showlegend: true, hovermode: "x unified" })];
  }

  // The intervals of a line.
  function band(line, ink, name) {
    return {
      x: [...line.x, ...[...line.x].reverse()], y: [...line.high, ...[...line.low].reverse()],
      fill: "toself", fillcolor: faded(ink, 0.16), line: { width: 0 }, mode: "lines",
      hoverinfo: "skip", legendgroup: name, showlegend: false,
    };
  }

  // Trainings: a line a run against steps, with bands where there are intervals.
  function runs(area, panel, plot) {
    const traces = panel.lines.flatMap((line) => {
      const ink = colour(line.series);
      const name = escaped(line.label);
      const drawn = {
        x: line.x, y: line.y, name, legendgroup: name, mode: line.x.length > 30 ? "lines" : "lines+markers",
        line: { color: ink, width: 2, dash: line.series < NUM_COLOURS ? "solid" : DASH }, marker: { color: ink, size: 6 },
        hovertemplate: "%{y:.4g}<extra>%{fullData.name}</extra>",
      };
      if (line.low.includes(null)) return [drawn];
      return [band(line, ink, name), drawn];
    });
    const xaxis = axis({ title: { text: plot.xlabel }, showgrid: false });
    const yaxis = axis({ title: { text: panel.unit } });
    const legend = legendBelow(area, panel.lines.length);
    return [traces, layout({ xaxis, yaxis, legend, showlegend: true, hovermode: "x unified" })];
  }

  // Rows and columns are told by their number: cut short, two names may be the same.
  function matrix(panel, xTitle, yTitle, told, changes) {
    const rows = panel.rows.map(escaped), columns = panel.columns.map(escaped);
    const trace = {
      type: "heatmap", z: panel.values, x: columns.map((_, x) => x), y: rows.map((_, y) => y),
      text: rows.map((row) => columns.map((column) => told(row, column))),
      colorscale: "Cividis", showscale: false, hoverongaps: false,
      hovertemplate: "%{text}<br>%{z:.1f}%<extra></extra>", ...changes,
    };
    const named = (names) => ({ showgrid: false, tickvals: names.map((_, n) => n), ticktext: names });
    const xaxis = axis({ title: { text: xTitle }, ...named(columns) });
    const yaxis = axis({
      title: { text: yTitle, standoff: 12 }, autorange: "reversed", ...named(rows),
    });
    return [trace, xaxis, yaxis];
  }

  function heatmap(area, panel) {
    area.style.height = `${6.5 + 2.6 * panel.rows.length}rem`;
    const told = (row, column) => `trained: ${row}<br>scored: ${column}`;
    const [trace, xaxis, yaxis] = matrix(panel, "scored with", "trained with", told, { xgap: 2, ygap: 2 });
    return [[trace], layout({ xaxis, yaxis, annotations: cellTexts(panel) })];
  }

  function confusion(area, panel) {
    area.style.height = `${11 + 1.1 * panel.rows.length}rem`;
    const told = (row, column) => (row === column ? `${row}: right` : `${row}<br>taken for ${column}`);
    const scale = { zmin: 0, zmax: 100 };
    const [trace, xaxis, yaxis] = matrix(panel, "taken for", "class", told, scale);
    // Names that would cover each other are left to the pointer.
    const longest = Math.max(...panel.rows.map((name) => name.length));
    const hasRoom = area.clientWidth - 5.5 * longest - 60 > 11 * panel.columns.length;
    const font = { size: 10 };
    const across = { ...xaxis, tickangle: -90, tickfont: font, showticklabels: hasRoom };
    return [[trace], layout({ xaxis: across, yaxis: { ...yaxis, tickfont: font } })];
  }

  // Black on the bright half of the scale and white on the dark one, as printed.
  function cellTexts(panel) {
    const values = panel.values.flat().filter((value) => value !== null);
    const middle = (Math.min(...values) + Math.max(...values)) / 2;
    return panel.values.flatMap((row, y) => row.map((value, x) => ({
      x, y, text: value === null ? "" : value.toFixed(1), showarrow: false,
      font: { size: 13, color: value > middle ? "#000000" : "#ffffff" },
    })));
  }

  // A map: trace 0 are the videos, trace 1 a ring round the one that is pointed at.
  function mapPanel(area, panel, plot, opacityOf) {
    const labels = panel.video.map((video) => plot.labels[video]);
    const isKnown = (label) => label >= 0;
    const points = {
      type: panel.video.length > MAX_SVG_POINTS && hasWebGL ? "scattergl" : "scatter",
      x: panel.x, y: panel.y, mode: "markers", hoverinfo: "none",
      marker: {
        size: panel.video.length > 2000 ? 5 : 7,
        color: labels.map((label) => (isKnown(label) ? colour(label) : css("--unlabelled"))),
        symbol: labels.map((label) => (isKnown(label) ? symbol(label) : "circle")),
        opacity: labels.map(opacityOf),
        line: { width: 0 },
      },
    };
    const ring = {
      x: [], y: [], mode: "markers", hoverinfo: "skip",
      marker: { size: 17, color: "rgba(0,0,0,0)", line: { width: 2.5, color: css("--ink") } },
    };
    const hidden = { visible: false, fixedrange: false };
    return [[points, ring], layout({
      margin: { l: 0, r: 0, t: 0, b: 0 }, xaxis: hidden, yaxis: hidden, hovermode: "closest",
      dragmode: isTouch ? false : "zoom",
    })];
  }

  function showTip(plot, video, event) {
    tip.replaceChildren();
    if (plot.pictures[video]) {
      const picture = document.createElement("img");
      picture.src = plot.pictures[video].split("/").map(encodeURIComponent).join("/");
      picture.alt = "";
      tip.append(picture);
    }
    const name = document.createElement("b");
    name.textContent = plot.classes[plot.labels[video]] ?? "no label";
    const id = document.createElement("span");
    id.textContent = plot.ids[video];
    tip.append(name, id);
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const place = (at, size, room) => Math.max(4, at + 16 + size > room ? at - 16 - size : at + 16);
    tip.style.left = `${place(event.clientX, box.width, innerWidth)}px`;
    tip.style.top = `${place(event.clientY, box.height, innerHeight)}px`;
  }

  function drawMap(element, plot) {
    const areas = [...element.querySelectorAll(".area")];
    const pointOf = plot.panels.map((panel) => new Map(panel.video.map((video, point) => [video, point])));
    const pressed = new Set();
    let pointedClass = null;

    const opacityOf = (label) => {
      const singled = pointedClass === null ? pressed : new Set([pointedClass]);
      if (!singled.size) return label >= 0 ? 0.85 : 0.6;
      return singled.has(label) ? 0.95 : 0.07;
    };
    const fade = () => areas.forEach((area, n) => {
      const opacity = plot.panels[n].video.map((video) => opacityOf(plot.labels[video]));
      Plotly.restyle(area, { "marker.opacity": [opacity] }, [0]);
    });
    const ring = (video) => areas.forEach((area, n) => {
      const point = pointOf[n].get(video);
      const panel = plot.panels[n];
      const place = point === undefined ? [[], []] : [[panel.x[point]], [panel.y[point]]];
      Plotly.restyle(area, { x: [place[0]], y: [place[1]] }, [1]);
    });
    let pointed = null;
    const leave = () => {
      pointed = null;
      tip.hidden = true;
      ring(null);
    };

    areas.forEach((area, n) => {
      const panel = plot.panels[n];
      const draw = () => Plotly.react(area, ...mapPanel(area, panel, plot, opacityOf), CONFIG);
      draw();
      dark.addEventListener("change", draw);
      area.on("plotly_hover", ({ points, event }) => {
        const video = panel.video[points[0].pointNumber];
        showTip(plot, video, event);
        if (video !== pointed) ring(video);
        pointed = video;
      });
      area.addEventListener("mouseleave", leave);
      area.on("plotly_unhover", leave);
    });
    for (const button of element.querySelectorAll(".legend button")) {
      const label = Number(button.dataset.class);
      button.addEventListener("click", () => {
        if (!pressed.delete(label)) pressed.add(label);
        button.setAttribute("aria-pressed", pressed.has(label));
        pointedClass = null;
        fade();
      });
      if (isTouch) continue;
      button.addEventListener("mouseenter", () => { pointedClass = label; fade(); });
      button.addEventListener("mouseleave", () => { pointedClass = null; fade(); });
    }
  }

  function drawPanels(element, plot) {
    const make = { curves, heatmap, runs, confusion }[plot.kind];
    element.querySelectorAll(".area").forEach((area, n) => {
      const draw = () => Plotly.react(area, ...make(area, plot.panels[n], plot), CONFIG);
      draw();
      dark.addEventListener("change", draw);
    });
  }

  for (const element of document.querySelectorAll("[data-plot]")) {
    const plot = plots[element.dataset.plot];
    (plot.kind === "map" ? drawMap : drawPanels)(element, plot);
  }
})();
