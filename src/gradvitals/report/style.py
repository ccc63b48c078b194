"""How pages look: one set of variables for light, dark and paper.

``--c0`` ... are the colours of Okabe & Ito (2008) that read on both grounds, told apart by every kind of sight;
``--s0`` ... run from early to late steps. Figures name these roles, never a colour.
"""

CSS = """
:root { --paper: #ffffff; --ink: #1a1f26; --muted: #59636e; --rule: #e2e6ea; --wash: #f5f7f9; --gap: #e8ebee;
  --good: #00674b; --bad: #b04a00; --link: #005f96; --select: #fff3dc;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #b5568e; --c4: #3a9bd6; --c5: #b87e00; --c6: #59636e;
  --s0: #440154; --s1: #3b528b; --s2: #21918c; --s3: #35a065; --s4: #7fae1b; color-scheme: light; }
@media screen and (prefers-color-scheme: dark) { :root:not(.printing) {
  --paper: #14171b; --ink: #e7eaee; --muted: #a3adb8; --rule: #2c323a; --wash: #1c2026; --gap: #2a2f36;
  --good: #4cc79e; --bad: #f29a57; --link: #7cc4f2; --select: #3b3015;
  --c0: #5aaee0; --c1: #f08a3c; --c2: #33c09a; --c3: #dd93bd; --c4: #8fd0f5; --c5: #e8b93f; --c6: #a3adb8;
  --s0: #8d6fc4; --s1: #6f8fd6; --s2: #3fb5b0; --s3: #6fd080; --s4: #f0e04a; color-scheme: dark; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0 auto; max-width: 1180px; padding: 28px 28px 64px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif; }
h1 { font-size: 30px; line-height: 1.2; margin: 4px 0 8px; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 44px 0 10px; padding-top: 14px; border-top: 1px solid var(--rule); font-weight: 650; }
h3 { font-size: 15px; margin: 22px 0 4px; font-weight: 650; }
p { margin: 6px 0; max-width: 78ch; overflow-wrap: anywhere; }
a { color: var(--link); text-underline-offset: 2px; }
code, pre { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { overflow-wrap: anywhere; }
pre { margin: 8px 0; padding: 10px 12px; background: var(--wash); border: 1px solid var(--rule); border-radius: 6px;
  white-space: pre-wrap; overflow-wrap: anywhere; }
pre.command { user-select: all; }
.over { color: var(--muted); font-size: 13px; margin: 0; overflow-wrap: anywhere; }
.lede { font-size: 17px; max-width: 74ch; }
.muted, figcaption, .caption { color: var(--muted); }
td .marked { white-space: nowrap; } .mark { display: inline-block; width: 1.15em; }
.good { color: var(--good); } .bad { color: var(--bad); }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 18px 0 0; font-size: 14px; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)); gap: 14px 20px; margin:
  20px 0 4px; }
dl.facts div { border-left: 2px solid var(--rule); padding-left: 10px; min-width: 0; }
dl.facts dt { color: var(--muted); font-size: 13px; }
dl.facts dd { margin: 0; font-size: 19px; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap:
  anywhere; }
dl.facts dd small { display: block; font-size: 12.5px; font-weight: 400; color: var(--muted); }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 10px 32px; }
.cells { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 250px), 1fr)); gap: 6px 22px; }
figure { margin: 14px 0 6px; min-width: 0; }
figcaption { font-size: 13px; line-height: 1.4; margin-bottom: 2px; overflow-wrap: anywhere; }
figcaption b { display: block; color: var(--ink); font-size: 15px; font-weight: 650; overflow-wrap: anywhere; }
.plot { width: 100%; overflow: hidden; }
.cells figcaption b { font-size: 12.5px; }
.panel { display: block; width: 100%; height: auto; } .panel text { font-size: 11px; fill: var(--muted); }
.panel .power { font-size: 8px; } .panel .rule { stroke: var(--rule); } .panel path { fill: none; stroke-width: 1.6; }
.panel .start { stroke: var(--c0); } .panel .end { stroke: var(--c1); stroke-dasharray: 4 3; }
span.start { color: var(--c0); } span.end { color: var(--bad); }
.scroll { overflow-x: auto; margin: 10px 0; }
.tall { max-height: 560px; overflow-y: auto; }
.tall th { position: sticky; top: 0; background: var(--paper); box-shadow: 0 1px 0 var(--rule); z-index: 1; }
table { border-collapse: collapse; font-size: 13.5px; line-height: 1.35; min-width: min(100%, 340px); }
.caption { font-size: 13px; }
th, td { padding: 5px 14px 5px 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); }
th { color: var(--muted); font-weight: 600; vertical-align: bottom; }
td { max-width: 46ch; overflow-wrap: break-word; }
td.number, th.number { text-align: right; } td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
td code { font-size: 12.5px; }
td:has(> code) { min-width: min(30ch, 50vw); } td:has(> code.key) { min-width: 0; }
td code.key { overflow-wrap: normal; }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid var(--link); }
th[aria-sort="ascending"] button::after { content: " ▲"; } th[aria-sort="descending"] button::after { content: " ▼"; }
tr.differs td { background: var(--select); }
details { margin: 10px 0; } @media print { details.screen { display: none; } }
summary { cursor: pointer; color: var(--link); }
.bar { display: flex; flex-wrap: wrap; gap: 8px 10px; align-items: center; margin: 12px 0; font-size: 14px; }
.bar input[type="search"], .bar button, select { font: inherit; color: inherit; background: var(--paper);
  border: 1px solid var(--muted); border-radius: 6px; padding: 4px 10px; max-width: 100%; }
.bar input[type="search"] { flex: 0 1 330px; } .bar button { cursor: pointer; } select { margin: 4px 0; }
.sticky { position: sticky; top: 0; background: var(--paper); z-index: 3; padding: 6px 0; border-bottom: 1px solid
  var(--rule); }
footer { margin-top: 48px; color: var(--muted); font-size: 13px; }
@media (max-width: 600px) { body { padding: 18px 16px 40px; } h1 { font-size: 25px; } .lede { font-size: 16px; } }
@page { size: A4; margin: 14mm; }
@media print { body { padding: 0; max-width: none; font-size: 10.5pt; } nav, .bar, select, .modebar, summary {
  display: none; }
  figure, tr, pre, dl.facts { break-inside: avoid; } h2, h3, figcaption { break-after: avoid; }
  .row { display: block; } .cells { grid-template-columns: repeat(3, 1fr); } .scroll { overflow: visible;
  max-height: none; }
  .tall th { position: static; } td code { font-size: 7.5pt; }
  dl.facts { grid-template-columns: repeat(6, 1fr); gap: 12px; } table { font-size: 7.5pt; } th { white-space:
  normal; } th, td { padding-right:
  8px; } }
"""
