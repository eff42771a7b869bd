"""The style of a report's page: the reader's fonts, light or dark as the reader has it."""

STYLE = """
:root {
  color-scheme: light dark;
  --text: #1d2127; --muted: #5b6470; --back: #fdfdfc; --card: #f4f4f2; --line: #d9dadb;
  --link: #0b5cad; --mark: #fbe8a6; --better: #0a6b3d; --worse: #a6321f; --shadow: #0003;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #dfe3e8; --muted: #9aa4b0; --back: #14171b; --card: #1d2126; --line: #353b43;
    --link: #7fb7ef; --mark: #5a4a10; --better: #6fcf97; --worse: #f0937f; --shadow: #000c;
  }
  figure img { filter: invert(1) hue-rotate(180deg); } /* black turns white, hues stay */
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1.5rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 84rem;
  background: var(--back); color: var(--text);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Helvetica, Arial, sans-serif;
}
h1, h2, h3 { line-height: 1.2; font-weight: 600; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; margin: 0 0 .4rem; }
h2 { font-size: 1.25rem; margin: 0 0 .8rem; }
h3 { font-size: 1rem; margin: 0 0 .6rem; }
p { margin: 0 0 .8rem; max-width: 46rem; overflow-wrap: anywhere; }
a { color: var(--link); }
header > p, small, figcaption, .nearest { color: var(--muted); }
nav ol { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin: 1rem 0 0; padding: 0; list-style: none; }
main > section { margin-top: 2.2rem; padding-top: 1.6rem; border-top: 1px solid var(--line); }
.scroll, pre { overflow-x: auto; max-width: 100%; margin: 0 0 1.2rem; }
.scroll { /* a shadow at each edge behind which there is more: the first two layers move with the content */
  background:
    linear-gradient(to right, var(--back) 40%, transparent) 0 0 / 3rem 100% local,
    linear-gradient(to left, var(--back) 40%, transparent) 100% 0 / 3rem 100% local,
    linear-gradient(to right, var(--shadow), transparent) 0 0 / .8rem 100%,
    linear-gradient(to left, var(--shadow), transparent) 100% 0 / .8rem 100%;
  background-repeat: no-repeat;
}
.table { margin: 0 0 1.2rem; }
.table figcaption { margin: 0 0 .4rem; font-size: .875rem; }
.table .scroll { margin: 0; }
.scroll:focus-visible, pre:focus-visible, summary:focus-visible, a:focus-visible {
  outline: 2px solid var(--link); outline-offset: 2px;
}
table { border-collapse: separate; border-spacing: 0; font-size: .875rem; line-height: 1.35; }
th, td { padding: .3rem .7rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
tbody th[scope=row] { min-width: 15rem; }
@media (max-width: 40rem) {
  tbody th[scope=row] { min-width: 8.5rem; }
  .table figcaption::after { content: " · wide tables scroll sideways"; }
}
td { overflow-wrap: anywhere; min-width: 5rem; }
.numeric td, .numeric thead th:not(:first-child) { text-align: right; }
.numeric td { white-space: nowrap; font-variant-numeric: tabular-nums; }
thead th { border-bottom: 2px solid var(--line); vertical-align: bottom; }
tbody th[scope=row] {
  font-weight: 400; position: sticky; left: 0; background: var(--back);
}
thead th:first-child { position: sticky; left: 0; background: var(--back); }
tbody th[scope=colgroup] { background: var(--card); font-size: .8125rem; color: var(--muted); }
th small, td small { display: block; font-weight: 400; font-size: .75rem; }
.better { color: var(--better); }
.worse { color: var(--worse); }
pre {
  background: var(--card); border-radius: .4rem; padding: .8rem 1rem; font-size: .8125rem; line-height: 1.45;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
details { margin: 0 0 1rem; }
summary { cursor: pointer; color: var(--link); margin-bottom: .6rem; }
.figures, .samples {
  display: grid; gap: 1rem; margin-bottom: 1.2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr));
}
.figures.medium { grid-template-columns: repeat(auto-fill, minmax(min(100%, 34rem), 1fr)); }
.figures.wide { grid-template-columns: minmax(0, 1fr); }
.figures figure { margin: 0 0 .6rem; min-width: 0; }
.figures .scroll { margin: 0; }
figure img {
  display: block; width: 100%; max-width: 70rem;
}
.medium img { min-width: 27rem; }
.wide img { min-width: 48rem; }
figcaption { font-size: .8125rem; margin-top: .4rem; max-width: 46rem; }
.card { background: var(--card); border-radius: .4rem; padding: 1rem; min-width: 0; }
.card h3 small { display: block; font-weight: 400; }
.card ol { margin: 0; padding-left: 1.5rem; }
.card li { margin-bottom: .7rem; }
.card p { margin: 0; }
.nearest { font-size: .8125rem; }
.nearest span { white-space: nowrap; font-style: italic; }
mark { background: var(--mark); color: inherit; border-radius: .15rem; }
@media print { body { max-width: none; } .scroll, pre { overflow: visible; } }
"""
