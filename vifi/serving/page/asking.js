// What the server is asked, and the small pieces that all of the page uses.

export const $ = (id) => document.getElementById(id);

// Whatever comes from the store is set as text, never as markup.
export function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

export async function ask(path, parameters = {}, options = {}) {
  const response = await fetch(`${path}?${new URLSearchParams(parameters)}`, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || "The request was not understood.");
  return answer;
}

// 75.25 -> 1:15.2
export function clock(seconds) {
  const tenths = Math.max(0, Math.floor(seconds * 10 + 1e-6));
  const minutes = Math.floor(tenths / 600);
  return `${minutes}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}

export const rowAddress = (hit) => `${encodeURIComponent(hit.dataset)}/${hit.row}`;
