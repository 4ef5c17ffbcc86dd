// Plays a video that this browser cannot, in pieces that the server makes as they are watched.

import { ask, rowAddress } from "/asking.js";

const AHEAD_SECONDS = 8;
const BEHIND_SECONDS = 20;
const MOST_PIECES = 60;

let told; // seconds of a piece, and the kinds that the server makes with their types

async function chosenKind() {
  told ??= ask("/api/previews");
  const { seconds, kinds } = await told;
  const source = globalThis.MediaSource;
  const kind = source && kinds.find(([, type]) => source.isTypeSupported(type));
  return kind ? { seconds, ending: kind[0], type: kind[1] } : null;
}

const once = (target, name) =>
  new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));

// Resolves once the first piece is there; throws what keeps it from being made.
export async function playPieces(video, hit, at) {
  const kind = await chosenKind();
  if (!kind) throw new Error("This browser plays none of the previews that can be made here.");
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await once(source, "sourceopen");
  URL.revokeObjectURL(video.src);
  const feed = new Feed(video, source, kind, `/preview/${rowAddress(hit)}`);
  if (hit.duration_seconds) source.duration = hit.duration_seconds;
  await feed.add(Math.floor(at / kind.seconds));
  if (at > 0) video.currentTime = feed.have.size ? at : feed.lastBegin();
  feed.run();
  return feed;
}

class Feed {
  constructor(video, source, kind, address) {
    Object.assign(this, { video, source, kind, address });
    this.buffer = source.addSourceBuffer(kind.type);
    this.have = new Set();
    this.end = Infinity; // number of the first piece behind the end
    this.closed = new AbortController();
    this.asked = null;
  }

  close() {
    this.closed.abort();
  }

  // The number of the piece that is needed next; null where enough is there.
  needed() {
    const now = this.video.currentTime;
    let number = Math.floor(now / this.kind.seconds);
    while (this.have.has(number)) number += 1;
    const isFar = number * this.kind.seconds > now + AHEAD_SECONDS;
    return isFar || number >= this.end ? null : number;
  }

  async run() {
    const { video, closed } = this;
    let wake = () => {};
    const nudge = () => wake();
    for (const name of ["timeupdate", "seeking", "waiting"]) {
      video.addEventListener(name, nudge, { signal: closed.signal });
    }
    closed.signal.addEventListener("abort", nudge);
    // What is being made for a place that was left is not waited for.
    video.addEventListener("seeking", () => this.asked?.abort(), { signal: closed.signal });
    while (!closed.signal.aborted) {
      const number = this.needed();
      if (number === null) {
        await new Promise((resolve) => { wake = resolve; });
        continue;
      }
      try {
        await this.add(number);
      } catch (error) {
        if (closed.signal.aborted) return;
        if (error.name === "AbortError") continue;
        this.fail?.(error);
        return;
      }
    }
  }

  async add(number) {
    this.asked = new AbortController();
    const signal = AbortSignal.any([this.asked.signal, this.closed.signal]);
    const response = await fetch(`${this.address}/${number}.${this.kind.ending}`, { signal });
    if (response.status === 204) return this.finish(number);
    if (!response.ok) {
      const { error } = await response.json().catch(() => ({}));
      throw new Error(error || "The server makes no preview of it.");
    }
    const data = await response.arrayBuffer();
    await this.makeRoom();
    this.buffer.timestampOffset = number * this.kind.seconds;
    this.buffer.appendBuffer(data);
    await once(this.buffer, "updateend");
    this.have.add(number);
    const stop = (number + 1) * this.kind.seconds;
    const reached = this.bufferedUntil(number * this.kind.seconds);
    // A short piece is the last one.
    if (reached < stop - 0.25) return this.finish(number + 1, reached);
  }

  bufferedUntil(seconds) {
    const { buffered } = this.buffer;
    for (let index = 0; index < buffered.length; index += 1) {
      const isWithin = buffered.start(index) <= seconds + 0.25 && seconds < buffered.end(index);
      if (isWithin) return buffered.end(index);
    }
    return Infinity;
  }

  // A header may promise more than there is: what is sought behind the end goes back to it.
  finish(end, reached) {
    if (end === 0) throw new Error("The video shows nothing.");
    this.end = Math.min(this.end, end);
    if (this.source.readyState !== "open") return;
    const { buffered } = this.buffer;
    const last = buffered.length ? buffered.end(buffered.length - 1) : 0;
    this.source.duration = Math.max(reached ?? end * this.kind.seconds, last);
    if (this.have.has(this.end - 1)) this.source.endOfStream();
    else this.video.currentTime = Math.min(this.video.currentTime, this.lastBegin());
  }

  // Where the last piece begins, as far as is known.
  lastBegin() {
    return (this.end - 1) * this.kind.seconds;
  }

  // Browsers hold some hundred megabytes at most.
  async makeRoom() {
    if (this.have.size < MOST_PIECES) return;
    const now = this.video.currentTime;
    const begin = Math.max(0, Math.floor((now - BEHIND_SECONDS) / this.kind.seconds));
    const end = Math.ceil((now + AHEAD_SECONDS) / this.kind.seconds) + 1;
    for (const [from, to] of [[0, begin], [end, Infinity]]) {
      if (to <= from) continue;
      this.buffer.remove(from * this.kind.seconds, to * this.kind.seconds);
      await once(this.buffer, "updateend");
    }
    this.have = new Set([...this.have].filter((number) => number >= begin && number < end));
  }
}
