"""How a report looks: the colours and shapes of the player page, in light and dark, on a desk, a phone and paper.

Pure.
"""

from __future__ import annotations

from encoder.report.charts import COLOURS

# Round the colour wheel from the accent's hue, in strides, so that neighbours differ most; lightness is the page's.
_HUES = tuple((55 + 3 * at * 360 // COLOURS) % 360 for at in range(COLOURS))

SHEET = """
:root { color-scheme: light dark;
  --ground: #f5f6f8; --raised: #fff; --higher: #eceff4; --edge: #dce1e9; --text: #171b24; --dim: #5a6475;
  --accent: #9a5400; --fill: #ffb454; --good: #13724a; --bad: #b3261e; --light: 50%; --strength: 0.135;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #0c0e13; --raised: #151922; --higher: #1e2430; --edge: #272e3c; --text: #eceff5; --dim: #98a2b5;
  --accent: #ffb454; --good: #6fd6a0; --bad: #ff7d6b; --light: 77%; --strength: 0.12; } }
*, *::before, *::after { box-sizing: border-box; }
body { margin: 0; color: var(--text); background: var(--ground); -webkit-font-smoothing: antialiased; }
h1, h2, h3, p, ul, dl, dd, figure { margin: 0; padding: 0; }
a { color: inherit; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 4px; }
header, main, footer { max-width: 82rem; margin: 0 auto; padding: 0 clamp(1rem, 3vw, 2.5rem); }
header { padding-top: 1.1rem; }
.brand { display: flex; align-items: center; gap: 0.6rem; color: var(--dim); font-weight: 620; }
.brand svg { width: 1.5rem; height: 1.5rem; }
h1 { margin-top: 1.6rem; font-size: clamp(1.7rem, 4vw, 2.6rem); font-weight: 680; letter-spacing: -0.025em;
  line-height: 1.15; overflow-wrap: anywhere; }
.lead { margin-top: 0.5rem; color: var(--dim); overflow-wrap: anywhere; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.3rem 1.2rem; margin: 1.2rem 0 0; list-style: none; font-size: 0.9rem; }
nav a { color: var(--accent); text-underline-offset: 3px; }
section { margin-top: 1.5rem; padding: 1.3rem clamp(0.9rem, 2.5vw, 1.6rem) 1.5rem; background: var(--raised);
  border: 1px solid var(--edge); border-radius: 14px; }
h2 { font-size: 1.2rem; font-weight: 650; letter-spacing: -0.01em; }
h3 { margin-top: 1.2rem; font-size: 1rem; font-weight: 620; }
.say { max-width: 54rem; margin-top: 0.35rem; color: var(--dim); font-size: 0.92rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 10.5rem), 1fr)); gap: 0.7rem;
  margin-top: 1.5rem; }
.tile { padding: 0.8rem 1rem; background: var(--raised); border: 1px solid var(--edge); border-radius: 14px; }
.tile dt { color: var(--dim); font-size: 0.82rem; }
.tile dd { font-size: 1.45rem; font-weight: 640; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; }
.tile dd + dd { color: var(--dim); font-size: 0.8rem; font-weight: 400; letter-spacing: 0; }
figure { margin-top: 1rem; }
.chart { display: block; width: 100%; height: auto; }
.narrow { display: none; }
.chart text { fill: var(--dim); font-size: 12.5px; font-variant-numeric: tabular-nums; }
.narrow text { font-size: 12px; }
.grid path { fill: none; stroke: var(--edge); }
.grid .cut { stroke: var(--dim); stroke-dasharray: 1 5; opacity: 0.8; }
.line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; }
.dashed { stroke-dasharray: 6 5; stroke-width: 1.5; }
.names text { fill: var(--c); font-weight: 600; }
.names .strong { fill: var(--text); }
.mark.dot { fill: var(--c); stroke: var(--raised); stroke-width: 2; }
.mark.ring { fill: var(--raised); stroke: var(--c); stroke-width: 1.6; }
.mark.diamond { fill: var(--raised); stroke: var(--c); stroke-width: 1.6; }
.legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1.3rem; margin-top: 0.3rem; padding: 0; list-style: none;
  color: var(--dim); font-size: 0.84rem; }
.legend span { display: inline-block; width: 0.65rem; height: 0.65rem; margin-right: 0.45rem; border-radius: 50%;
  border: 2px solid var(--dim); }
.legend .dot { background: var(--accent); border-color: var(--accent); }
.legend .diamond { border-radius: 0; transform: rotate(45deg) scale(0.8); }
details { margin-top: 0.6rem; }
summary { width: fit-content; color: var(--dim); font-size: 0.88rem; cursor: pointer; }
.scroll { margin-top: 0.6rem; overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: 0.88rem; font-variant-numeric: tabular-nums; }
caption { padding-bottom: 0.4rem; color: var(--dim); font-size: 0.84rem; text-align: left; }
th, td { padding: 0.35rem 0.55rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--edge); }
th { color: var(--dim); font-weight: 560; }
thead th { white-space: normal; vertical-align: bottom; }
tbody th { color: var(--text); }
.word { text-align: left; }
tbody tr:last-child > * { border-bottom: 0; }
.stills { display: grid; gap: 1.4rem; margin-top: 1rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0.5rem; margin-top: 0.5rem; }
.pair figcaption { color: var(--dim); font-size: 0.84rem; }
.pair figure { margin: 0; }
.pair img { display: block; width: 100%; height: auto; max-height: 26rem; object-fit: contain; background: #000;
  border-radius: 8px; }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: 0.35rem 0.9rem; align-items: center;
  margin-top: 0.9rem; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
.bars div { height: 0.7rem; background: var(--fill); border-radius: 4px; }
.bars dt, .bars dd { margin: 0; }
.pairs { display: grid; grid-template-columns: max-content 1fr; gap: 0.3rem 1.4rem; margin-top: 0.8rem;
  font-size: 0.9rem; }
.pairs dt { color: var(--dim); }
.pairs dd { overflow-wrap: anywhere; }
footer { padding-top: 1.5rem; padding-bottom: 3rem; color: var(--dim); font-size: 0.84rem; }
@media (max-width: 42rem) {
  .wide { display: none; }
  .narrow { display: block; }
  section { margin-left: -0.4rem; margin-right: -0.4rem; }
  .tiles { grid-template-columns: 1fr 1fr; }
}
@media print {
  :root { color-scheme: light; }
  section { break-inside: avoid; border: 0; padding: 0; }
  nav { display: none; }
}
""" + "".join(
    f".c{at} {{ --c: oklch(var(--light) var(--strength) {hue}); }}\n" for at, hue in enumerate(_HUES)
) + f".c{COLOURS} {{ --c: var(--dim); }}\n.c{COLOURS + 1} {{ --c: var(--accent); }}\n"  # fmt: skip
