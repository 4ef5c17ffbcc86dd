// The screen of a hit: its picture, and once it is asked to play, the video from a moment on.

import { clock, make, rowAddress } from "/asking.js";
import { playPieces } from "/pieces.js";

let playing = null; // no two at a time

export class Player {
  // `stretch`: [start, end] in seconds, or null for the whole video.
  constructor(hit, stretch) {
    this.hit = hit;
    this.stretch = stretch;
    this.until = null;
    this.video = null;
    this.feed = null;
    this.element = make("div", undefined, "screen");
    this.watchers = [];
    this.#showPicture();
  }

  // Call back with the seconds that are shown.
  watch(callback) {
    this.watchers.push(callback);
  }

  get begins() {
    return this.stretch ? this.stretch[0] : 0;
  }

  #showPicture() {
    const middle = this.stretch ? `?at=${(this.stretch[0] + this.stretch[1]) / 2}` : "";
    const picture = make("img");
    const address = `/thumbnail/${rowAddress(this.hit)}${middle}`;
    Object.assign(picture, { src: address, alt: "", loading: "lazy" });
    picture.addEventListener("error", () => picture.remove());
    this.button = make("button", undefined, "play");
    this.button.type = "button";
    const from = this.stretch ? ` from ${clock(this.begins)}` : "";
    this.button.setAttribute("aria-label", `Play ${this.hit.id}${from}`);
    this.button.addEventListener("click", () => this.play(this.begins));
    this.element.replaceChildren(picture, this.button);
  }

  // Play from a moment on; the stretch that was found is played to its end, and no further.
  async play(at) {
    if (playing && playing !== this) playing.pause();
    playing = this;
    const isWithin = this.stretch && at >= this.stretch[0] - 0.05 && at < this.stretch[1];
    this.until = isWithin ? this.stretch[1] : null;
    if (this.video) {
      this.video.currentTime = at;
      this.video.play().catch(() => {});
      return;
    }
    this.#openVideo();
    this.element.setAttribute("aria-busy", "true");
    try {
      await (this.hit.is_playable ? this.#openFile(at) : this.#openPieces(at));
    } catch (error) {
      this.#say(error.message);
    }
    this.element.removeAttribute("aria-busy");
  }

  pause() {
    this.video?.pause();
  }

  close() {
    this.feed?.close();
    this.video?.removeAttribute("src");
    this.video?.load();
    if (playing === this) playing = null;
  }

  #openVideo() {
    const picture = this.element.querySelector("img");
    this.video = make("video");
    Object.assign(this.video, { controls: true, muted: true, playsInline: true });
    if (picture) this.video.poster = picture.src;
    // A single picture would be sought without end.
    this.video.addEventListener("durationchange", () => {
      this.video.loop = !this.stretch && this.video.duration >= 1;
    });
    this.video.setAttribute("aria-label", this.hit.id);
    this.video.addEventListener("timeupdate", () => this.#tell());
    this.video.addEventListener("seeking", () => this.#tell());
    this.element.replaceChildren(this.video);
    this.video.focus({ preventScroll: true });
  }

  #tell() {
    const now = this.video.currentTime;
    if (this.until !== null && now >= this.until) {
      this.until = null;
      this.video.pause();
    }
    for (const callback of this.watchers) callback(now);
  }

  // What this browser turns out not to play, or plays without a picture, comes in pieces.
  async #openFile(at) {
    const { video } = this;
    const isShown = new Promise((resolve) => {
      video.addEventListener("error", () => resolve(false), { once: true });
      video.addEventListener("loadedmetadata", () => resolve(video.videoWidth > 0), { once: true });
    });
    video.src = `/video/${rowAddress(this.hit)}${at > 0 ? `#t=${at}` : ""}`;
    video.play().catch(() => {});
    if (await isShown) return;
    await this.#openPieces(at);
  }

  async #openPieces(at) {
    const { video } = this;
    this.feed = await playPieces(video, this.hit, at);
    this.feed.fail = (error) => this.#say(error.message);
    video.addEventListener("error", () => this.#say("This browser cannot play its preview."));
    await video.play().catch(() => {});
  }

  #say(message) {
    this.feed?.close();
    this.video = null;
    this.#showPicture();
    this.button.remove();
    this.element.append(make("p", `${message} File: ${this.hit.path}`, "note"));
  }
}
