// The strip under a hit: how well each moment of its video answers the query; a click plays there.

import { ask, clock, make, rowAddress } from "/asking.js";

const SVG = "http://www.w3.org/2000/svg";
const strips = new Set();
let lowest = Infinity; // of all strips that are shown, which have one scale
let highest = -Infinity;

export function forgetStrips() {
  strips.clear();
  lowest = Infinity;
  highest = -Infinity;
}

export class Strip {
  constructor(hit, stretch, player) {
    Object.assign(this, { hit, stretch, player });
    this.element = make("div", undefined, "strip");
    this.said = make("span", undefined, "at");
    this.at = player.begins;
    player.watch((seconds) => this.#move(seconds));
  }

  // Ask for the scores once the hit is on the screen.
  load(parameters, signal) {
    const seen = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      seen.disconnect();
      ask(`/api/timeline/${rowAddress(this.hit)}`, parameters, { signal })
        .then((answer) => this.#show(answer))
        // A set without frames has no strip.
        .catch(() => this.element.remove());
    }, { rootMargin: "300px" });
    seen.observe(this.element);
  }

  #show({ parts, best }) {
    if (!parts.length) {
      this.element.remove();
      return;
    }
    this.parts = parts;
    const last = parts.at(-1).times.at(-1);
    this.duration = Math.max(this.hit.duration_seconds ?? 0, last);
    if (!this.stretch) this.at = Math.min(best, this.duration);
    for (const { scores } of parts) {
      lowest = Math.min(lowest, ...scores);
      highest = Math.max(highest, ...scores);
    }
    strips.add(this);
    this.#draw();
    this.#listen();
    for (const strip of strips) strip.rescale();
    this.#move(this.at);
  }

  #draw() {
    const drawing = node("svg", { preserveAspectRatio: "none", "aria-hidden": "true" });
    if (this.stretch) {
      const [start, end] = this.stretch;
      this.found = node("rect", { class: "found", x: start, width: Math.max(end - start, 0) });
      drawing.append(this.found);
    }
    this.curve = node("path", { class: "curve" });
    this.line = node("path", { class: "line" });
    this.cursor = node("path", { class: "cursor" });
    drawing.append(this.curve, this.line, this.cursor);
    this.drawing = drawing;
    this.element.replaceChildren(drawing, this.said);
  }

  // Equal heights are equal scores, whichever the hit.
  rescale() {
    const height = Math.max(highest - lowest, 1e-3);
    const top = -(highest + height * 0.08);
    const bottom = -(lowest - height * 0.25);
    this.drawing.setAttribute("viewBox", `0 ${top} ${this.duration} ${bottom - top}`);
    this.found?.setAttribute("y", top);
    this.found?.setAttribute("height", bottom - top);
    const lines = this.parts.map(({ times, scores }) =>
      times.map((time, index) => `${index ? "L" : "M"}${time} ${-scores[index]}`).join(""));
    this.line.setAttribute("d", lines.join(""));
    this.curve.setAttribute("d", lines.map((line, index) => {
      const { times } = this.parts[index];
      return `${line}L${times.at(-1)} ${bottom}L${times[0]} ${bottom}Z`;
    }).join(""));
    this.vertical = `${top}V${bottom}`;
    this.#move(this.at);
  }

  #listen() {
    const { element } = this;
    element.tabIndex = 0;
    element.setAttribute("role", "slider");
    element.setAttribute("aria-label", `Scores over time of ${this.hit.id}; Enter plays there`);
    element.setAttribute("aria-valuemin", "0");
    element.setAttribute("aria-valuemax", this.duration.toFixed(1));
    element.addEventListener("click", (event) => this.player.play(this.#secondsAt(event)));
    element.addEventListener("pointermove", (event) => this.#tell(this.#secondsAt(event)));
    element.addEventListener("pointerleave", () => this.#tell(this.at));
    element.addEventListener("keydown", (event) => this.#press(event));
  }

  #press(event) {
    const step = Math.max(this.duration / 100, 0.1);
    const to = {
      ArrowRight: this.at + step, ArrowUp: this.at + step,
      ArrowLeft: this.at - step, ArrowDown: this.at - step,
      PageUp: this.at + 10 * step, PageDown: this.at - 10 * step,
      Home: 0, End: this.duration,
    }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (to !== undefined) this.#move(Math.min(Math.max(to, 0), this.duration));
    else if (event.key === "Enter" || event.key === " ") this.player.play(this.at);
    else return;
    event.preventDefault();
  }

  #secondsAt(event) {
    const box = this.element.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return Math.min(Math.max(share, 0), 0.999) * this.duration;
  }

  #move(seconds) {
    this.at = seconds;
    if (!this.cursor) return;
    this.cursor.setAttribute("d", `M${Math.min(seconds, this.duration)} ${this.vertical}`);
    this.element.setAttribute("aria-valuenow", seconds.toFixed(1));
    const words = this.#words(seconds);
    this.element.setAttribute("aria-valuetext", words);
    this.said.textContent = words;
  }

  #tell(seconds) {
    this.said.textContent = this.#words(seconds);
  }

  #words(seconds) {
    const score = scoreAt(this.parts, seconds);
    return score === null ? clock(seconds) : `${clock(seconds)}, score ${score.toFixed(3)}`;
  }
}

function node(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// Of the frame that is nearest; null where no frame was seen.
function scoreAt(parts, seconds) {
  const part = parts.find(({ times }) => times[0] <= seconds && seconds <= times.at(-1));
  if (!part) return null;
  const distances = part.times.map((time) => Math.abs(time - seconds));
  return part.scores[distances.indexOf(Math.min(...distances))];
}
