/** The report's style sheet. Fonts are those of the reader's system; nothing is loaded. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #fdfdfb; --ink: #22262b; --quiet: #646b73; --rule: #dcdcd6; --shade: #f3f3ee;
  --blue: #2f6690; --orange: #d1691e; --blue-rgb: 47 102 144; --orange-rgb: 209 105 30;
  --class-0: #4e79a7; --class-1: #2a9d8f; --class-2: #c0504d; --class-3: #e9a13b; --class-4: #7d5ba6;
  --class-5: #8a9a2b; --class-6: #e07ba4; --class-7: #3fa7d6; --class-8: #8c6d46; --class-9: #6c7680;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #17191c; --ink: #e4e4df; --quiet: #9aa0a6; --rule: #363a3f; --shade: #202327;
    --blue: #7fb2d9; --orange: #ee9a57; --blue-rgb: 90 150 200; --orange-rgb: 220 120 50;
    --class-0: #7ba3d0; --class-1: #4cc2b3; --class-2: #e57f7b; --class-3: #f0bd6a; --class-4: #b08fdb;
    --class-5: #b5c74f; --class-6: #f0a3c3; --class-7: #79cdf2; --class-8: #c19d70; --class-9: #a5afb9;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 4rem 1.5rem 5rem; max-width: 64rem; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 Charter, 'Bitstream Charter', 'Sitka Text', Cambria, Georgia, serif;
}
p, h1, h2, .lede { max-width: 42rem; }
h1 { margin: 0 0 .75rem; font-size: 2.25rem; line-height: 1.15; font-weight: 600; letter-spacing: -.01em; }
h2 { margin: 4rem 0 .5rem; font-size: 1.375rem; line-height: 1.3; font-weight: 600; }
p { margin: 0 0 1rem; }
.lede { font-size: 1.1875rem; line-height: 1.55; }
a { color: inherit; }
code { font: .875em/1.5 ui-monospace, 'Cascadia Mono', Menlo, Consolas, monospace; }
pre { margin: 0 0 1rem; padding: .875rem 1rem; white-space: pre-wrap; background: var(--shade); border-radius: .375rem; }
.numbers, table, figcaption, .panel h3, .legend, .tile {
  font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif;
}
.numbers {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1.5rem 2rem; margin: 2.5rem 0 0;
  padding: 1.5rem 0; border: solid var(--rule); border-width: 1px 0;
}
.numbers div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.numbers dt { color: var(--quiet); font-size: .8125rem; line-height: 1.4; }
.numbers dd { margin: 0; font-size: 1.625rem; line-height: 1.25; font-weight: 600; font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0 0; }
figcaption { max-width: 46rem; margin-top: .75rem; color: var(--quiet); font-size: .875rem; line-height: 1.5; }
figcaption b { color: var(--ink); font-weight: 600; }
svg { display: block; width: 100%; height: auto; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: 1rem 2.5rem; }
.panel h3 { margin: 0 0 .5rem; font-size: .9375rem; font-weight: 600; }
.panel h3 span { color: var(--quiet); font-weight: 400; }
.panel svg { background: var(--shade); border-radius: .375rem; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: .875rem 0 0; padding: 0; list-style: none; font-size: .8125rem; }
.legend li { display: flex; align-items: center; gap: .4375rem; }
.legend i { width: .6875rem; height: .6875rem; border-radius: 50%; }
.legend i.line { height: .1875rem; width: 1.125rem; border-radius: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th { font-weight: 400; text-align: left; }
.confusion { width: 100%; min-width: 50rem; table-layout: fixed; }
.confusion th:first-child { width: 6.5rem; }
.confusion thead th { padding: 0 .25rem .5rem; color: var(--quiet); font-size: .75rem; text-align: center; vertical-align: bottom; }
.confusion tbody th { padding: .25rem .75rem .25rem 0; white-space: nowrap; }
.confusion td { padding: 0; border: 1px solid var(--paper); height: 2.125rem; text-align: center; }
.confusion td.right { background: rgb(var(--blue-rgb) / var(--share)); }
.confusion td.wrong { background: rgb(var(--orange-rgb) / var(--share)); }
.confusion td.none { background: var(--shade); color: transparent; }
.confusion td.strong { color: #fff; }
.confusion th.rate, .confusion td.rate { padding-left: 1.25rem; border: 0; text-align: left; white-space: nowrap; }
.confusion th.rate { width: 10.5rem; }
.bar { display: inline-block; width: 5rem; height: .5rem; margin-right: .625rem; background: var(--shade); border-radius: .25rem; overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--blue); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.25rem, 1fr)); gap: 1.5rem 1.25rem; }
.tile { font-size: .8125rem; line-height: 1.4; }
.tile img { display: block; width: 100%; aspect-ratio: 1; margin-bottom: .5rem; border-radius: .375rem; image-rendering: pixelated; }
.tile b { display: block; font-weight: 600; }
.tile span { color: var(--quiet); }
.facts { width: 100%; max-width: 46rem; margin-top: 1rem; }
.facts th, .facts td { padding: .4375rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
.facts th { width: 11rem; padding-right: 1.5rem; color: var(--quiet); }
footer { margin-top: 4rem; padding-top: 1rem; border-top: 1px solid var(--rule); color: var(--quiet); font-size: .875rem; }
@media print { body { padding: 0; } h2, figcaption { break-after: avoid; } figure, tr { break-inside: avoid; } }
`.trim();
