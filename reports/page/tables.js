// Tables of the page can be sorted by a column and filtered by words. Without it they are as printed.
"use strict";

(() => {
  const FEWEST_TO_FILTER = 8;

  const valueOf = (row, place) => {
    const cell = row.cells[place];
    if (!cell) return null;
    const text = cell.dataset.value ?? cell.textContent.trim();
    if (!text) return null;
    const number = Number(text.replace(/,/g, "").replace("\u2212", "-").replace(/%$/, ""));
    return Number.isNaN(number) ? text.toLowerCase() : number;
  };
  const isNumber = (value) => typeof value === "number";

  // Numbers before texts, what is not there last; of equal ones the order stays.
  function compare(one, other, sign) {
    if (one === null || other === null) return (one === null) - (other === null);
    if (isNumber(one) !== isNumber(other)) return isNumber(one) ? -1 : 1;
    return one < other ? -sign : one > other ? sign : 0;
  }

  // Rows are sorted within their section, and the paper's stays above ours.
  function sort(table, place, sign) {
    for (const body of table.tBodies) {
      const fixed = [...body.rows].filter((row) => row.classList.contains("section"));
      const units = [];
      for (const row of body.rows) {
        if (row.classList.contains("section")) continue;
        row.dataset.place ??= row.sectionRowIndex;
        const above = units.at(-1);
        const isOurs = row.classList.contains("here") && above?.[0].classList.contains("paper") && above.length === 1;
        if (isOurs) above.push(row);
        else units.push([row]);
      }
      const key = (unit) => valueOf(unit.at(-1), place);
      units.sort((one, other) => (sign
        ? compare(key(one), key(other), sign)
        : one[0].dataset.place - other[0].dataset.place));
      body.append(...fixed, ...units.flat());
    }
  }

  function makeSortable(table) {
    const heads = [...table.tHead.rows].at(-1).cells;
    const isGrouped = table.tHead.rows.length > 1;
    const buttons = [];
    [...heads].forEach((head, index) => {
      const place = isGrouped ? index + 1 : index;
      const button = document.createElement("button");
      button.type = "button";
      button.title = "sort";
      button.append(...head.childNodes);
      head.append(button);
      buttons.push(button);
      button.addEventListener("click", () => {
        const next = { "": "descending", descending: "ascending", ascending: "" };
        const state = next[head.getAttribute("aria-sort") ?? ""];
        buttons.forEach((other) => other.parentElement.removeAttribute("aria-sort"));
        if (state) head.setAttribute("aria-sort", state);
        sort(table, place, { "": 0, descending: -1, ascending: 1 }[state]);
      });
    });
  }

  function makeFilter(table) {
    const rows = [...table.querySelectorAll("tbody tr:not(.section)")];
    if (rows.length < FEWEST_TO_FILTER) return;
    const label = document.createElement("label");
    label.className = "filter";
    const field = document.createElement("input");
    field.type = "search";
    field.placeholder = "filter rows by words";
    field.setAttribute("aria-label", "filter rows by words");
    const count = document.createElement("output");
    label.append(field, count);
    (table.closest(".scroll") ?? table).before(label);
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const section = row.parentElement.querySelector(".section")?.textContent ?? "";
        const text = `${section} ${row.textContent}`.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
      for (const body of table.tBodies) body.hidden = ![...body.rows].some((row) => rows.includes(row) && !row.hidden);
      const left = rows.filter((row) => !row.hidden).length;
      count.textContent = words.length ? `${left} of ${rows.length}` : "";
    });
  }

  // What a link leads to may be folded or filtered away.
  function unfold() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    target.hidden = false;
    for (let part = target.parentElement; part; part = part.parentElement) {
      if (part instanceof HTMLDetailsElement) part.open = true;
      if (part instanceof HTMLTableSectionElement) part.hidden = false;
    }
    target.scrollIntoView({ block: "center" });
  }

  for (const table of document.querySelectorAll("main table")) {
    if (!table.tHead) continue;
    makeSortable(table);
    makeFilter(table);
  }
  window.addEventListener("hashchange", unfold);
  unfold();
})();
