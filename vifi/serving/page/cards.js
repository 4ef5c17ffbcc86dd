// The hits: a card each, with its screen, its strip and what is known of it.

import { clock, make } from "/asking.js";
import { Player } from "/player.js";
import { Strip, forgetStrips } from "/strip.js";

let shown = []; // the players of the hits that are shown
let asking = new AbortController();

// `parameters`: what the hits were asked with. `moreLike`: called with a hit.
export function showCards(container, hits, parameters, moreLike) {
  clearCards(container);
  container.append(...hits.map((hit) => card(hit, parameters, moreLike)));
}

export function clearCards(container) {
  asking.abort();
  asking = new AbortController();
  for (const player of shown) player.close();
  shown = [];
  forgetStrips();
  container.replaceChildren();
}

function card(hit, parameters, moreLike) {
  const element = make("article", undefined, "hit");
  element.setAttribute("aria-label", `Hit ${hit.rank}: ${hit.label || "no label"}, ${hit.id}`);
  const isPart = (parameters.frames || hit.is_part) && hit.end_seconds !== null;
  const stretch = isPart ? [hit.start_seconds, hit.end_seconds] : null;
  const player = new Player(hit, stretch);
  const strip = new Strip(hit, stretch, player);
  strip.load(parameters, asking.signal);
  shown.push(player);
  element.append(player.element, strip.element, facts(hit, stretch, moreLike));
  return element;
}

function facts(hit, stretch, moreLike) {
  const element = make("div", undefined, "facts");
  const title = make("div");
  title.append(make("strong", `${hit.rank}. ${hit.label || "no label"}`));
  const times = stretch ? ` · ${stretch.map(clock).join("–")}` : length(hit);
  const more = make("button", "More like this");
  more.type = "button";
  more.setAttribute("aria-label", `More like ${hit.id}`);
  more.addEventListener("click", () => moreLike(hit));
  const score = make("div", `${hit.dataset} · ${hit.score.toFixed(3)}${times}`, "faint");
  element.append(title, make("div", hit.id), score, more);
  return element;
}

const length = (hit) => (hit.duration_seconds ? ` · ${clock(hit.duration_seconds)}` : "");

// Arrows go from screen to screen, as they lie on the page.
export function listenForArrows(container) {
  container.addEventListener("keydown", (event) => {
    if (!event.target.matches(".play") || !event.key.startsWith("Arrow")) return;
    const next = neighbour(container, event.target, event.key);
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}

function neighbour(container, from, key) {
  const all = [...container.querySelectorAll(".play")];
  const place = all.indexOf(from);
  if (key === "ArrowRight") return all[place + 1];
  if (key === "ArrowLeft") return all[place - 1];
  const { x, y } = from.getBoundingClientRect();
  const column = all
    .map((one) => ({ one, box: one.getBoundingClientRect() }))
    .filter(({ box }) => Math.abs(box.x - x) < 4);
  if (key === "ArrowDown") return column.find(({ box }) => box.y > y + 4)?.one;
  return column.findLast(({ box }) => box.y < y - 4)?.one;
}
