"""Style of the page: light and dark, narrow and wide, no font or script from elsewhere."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fcfcfb; --ink: #1c1f23; --soft: #5b636d; --line: #dfe2e6; --wash: #f2f4f6;
  --accent: #0a5ea8; --here: #eef5fb; --plot: #ffffff;
  --serif: Charter, "Bitstream Charter", "Source Serif 4", Georgia, "DejaVu Serif", serif;
  --sans: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", "Noto Sans", sans-serif;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181c; --ink: #e4e7ea; --soft: #9aa4af; --line: #333a42; --wash: #1d2228;
    --accent: #7ab8f5; --here: #1a2836;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.6 var(--serif); }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; padding: .5rem; background: var(--paper); z-index: 1; }
header, main, footer { max-width: 84rem; margin: 0 auto; padding: 0 clamp(1rem, 3vw, 2.5rem); }
header { padding-top: clamp(1.5rem, 5vw, 3.5rem); }
h1, h2, h3, nav, table, .tiles, summary, .links { font-family: var(--sans); }
h1 { font-size: clamp(1.7rem, 5vw, 2.4rem); line-height: 1.15; margin: 0 0 .4rem; }
h2 {
  font-size: 1.3rem; margin: 3rem 0 .8rem; padding-top: .8rem; border-top: 1px solid var(--line);
}
h3 { font-size: 1.02rem; margin: 0; }
p, li { max-width: 44rem; overflow-wrap: anywhere; }
a { color: var(--accent); text-underline-offset: .15em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
nav { font-size: .92rem; }
nav ul {
  display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; margin: 1rem 0 0; padding: 0;
}

.tiles {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .8rem;
  margin: 1.2rem 0;
}
.tiles div { background: var(--wash); border-radius: .5rem; padding: .7rem .9rem; }
.tiles dt { font-size: .8rem; color: var(--soft); }
.tiles dd {
  margin: 0; font-size: 1.5rem; font-weight: 600; font-variant-numeric: tabular-nums;
}

figure { margin: 2rem 0; }
figcaption p { margin: .15rem 0 .7rem; color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; }
table {
  border-collapse: collapse; font-size: .88rem; line-height: 1.35;
  font-variant-numeric: tabular-nums;
}
thead { border-top: 2px solid var(--ink); border-bottom: 1px solid var(--ink); }
tbody:last-child { border-bottom: 2px solid var(--ink); }
tbody tr + tr { border-top: 1px solid var(--line); }
th, td { padding: .36rem .5rem; vertical-align: top; }
th { text-align: left; font-weight: 500; overflow-wrap: break-word; }
thead th { font-weight: 600; vertical-align: bottom; }
td, thead th:not(.corner) { text-align: right; white-space: nowrap; }
thead th[scope="colgroup"] { padding-bottom: 0; }
thead th[scope="colgroup"][colspan]:not([colspan="1"]) { text-align: center; }
.grid tbody th {
  position: sticky; left: 0; min-width: 9.5rem; max-width: 17rem; background: var(--paper);
}
.grid tr.here > * { background: var(--here); }
tr.here td { font-weight: 600; }
tr.paper > * { color: var(--soft); }
.grid tr.section th {
  position: static; max-width: none; padding-top: .9rem; font-style: italic; color: var(--soft);
}
td small { display: block; }
th small { margin-left: .2em; }
td small, th small { font-size: .76rem; font-weight: 400; color: var(--soft); }
tr td.run { font-weight: 400; color: var(--soft); }
sup { line-height: 0; font-size: .7em; margin-left: .1em; }
.records td, .records thead th { text-align: left; white-space: normal; }
.records td { max-width: 24rem; overflow-wrap: break-word; }
.records td.number, .records thead th.number { text-align: right; white-space: nowrap; }

.notes { list-style: none; padding: 0; margin: .6rem 0; font-size: .84rem; color: var(--soft); }
.notes cite { font-style: normal; }
.notes cite::before { content: "("; }
.notes cite::after { content: ")"; }
details { font-size: .88rem; margin: .6rem 0; }
summary { cursor: pointer; color: var(--accent); }
code { font: .84em/1.5 var(--mono); overflow-wrap: anywhere; }
.commands li { margin: .25rem 0; max-width: none; }

.plots { display: flex; flex-wrap: wrap; gap: 0 2rem; align-items: flex-start; }
.plots figure { margin: 1rem 0; max-width: 100%; }
.plots figcaption p { max-width: 30rem; }
.sheet {
  display: inline-block; max-width: 100%; padding: .8rem; background: var(--plot);
  border: 1px solid var(--line); border-radius: .5rem;
}
.sheet img { display: block; height: auto; }
.links { font-size: .82rem; margin: .3rem 0 0; }
footer { margin: 4rem auto 2rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 40rem) {
  th, td { padding: .34rem .45rem; }
  .grid tbody th { min-width: 6rem; max-width: 8.5rem; }
}
@media print { nav, .skip { display: none; } .scroll { overflow: visible; } }
"""
