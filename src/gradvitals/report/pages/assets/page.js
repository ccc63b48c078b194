// What pages do by themselves: unpack the plotting library, draw figures in the reader's colors, sort, choose.
//
// A figure's traces name roles, which are painted here, and again when the theme changes and for printing: meta.color
// (one of a palette), meta.shade (0 early, 1 late), meta.run (drawn while that run is chosen), meta.choice (drawn while
// it is selected above the figure).
"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const specs = new Map(), PAPER = 680;  // pixels of an A4 page between its margins
let chosen = null, printing = false;

// Tables: a click on a heading sorts, numbers by size and the largest first.
const valueOf = (row, column) => {
  const cell = row.cells[column], number = cell.dataset.value;
  return number === undefined ? cell.textContent.trim() : Number(number);
};
const compare = (a, b) => typeof a !== typeof b ? (typeof a === "number" ? 1 : -1)
  : typeof a === "number" ? a - b : a.localeCompare(b, "en", {numeric: true});
const sort = (heading) => {
  const table = heading.closest("table"), column = heading.cellIndex, body = table.tBodies[0];
  const fresh = heading.classList.contains("number") ? "descending" : "ascending";
  const other = fresh === "ascending" ? "descending" : "ascending";
  const order = heading.getAttribute("aria-sort") === fresh ? other : fresh;
  all("th", table).forEach((each) => each.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  body.append(...[...body.rows].sort((a, b) => sign * compare(valueOf(a, column), valueOf(b, column))));
};
all("th button").forEach((button) => button.addEventListener("click", () => sort(button.closest("th"))));

// Colors
const mix = (share) => {
  const at = Math.min(Math.max(share, 0), 1) * 4, low = Math.min(Math.floor(at), 3);
  const [a, b] = [low, low + 1].map((i) => css(`--s${i}`).match(/\w\w/g).map((pair) => parseInt(pair, 16)));
  return `rgb(${a.map((part, i) => Math.round(part + (b[i] - part) * (at - low))).join()})`;
};
const painted = (trace) => {
  const {shade, color: index} = trace.meta || {};
  if (shade === undefined && index === undefined) return trace;
  const color = shade === undefined ? css(`--c${index}`) : mix(shade);
  return {...trace, line: {...trace.line, color}, marker: {...trace.marker, color}};
};
const laidOut = (layout) => {
  const [ink, muted, rule, paper] = ["--ink", "--muted", "--rule", "--paper"].map(css);
  const made = structuredClone(layout);
  for (const key of Object.keys(made).filter((key) => /^[xy]axis/.test(key)))
    Object.assign(made[key], {gridcolor: rule, zerolinecolor: rule, linecolor: muted, tickcolor: muted});
  (made.shapes || []).forEach((shape) => { shape.line = {...shape.line, color: muted}; });
  (made.annotations || []).forEach((note) => { note.font = {...note.font, color: muted}; });
  const clear = "rgba(0,0,0,0)", ground = made.meta && made.meta.gaps ? css("--gap") : clear;
  return Object.assign(made, {paper_bgcolor: clear, plot_bgcolor: ground, autosize: !printing,
    width: printing ? PAPER : undefined,
    font: {...made.font, color: ink, family: getComputedStyle(document.body).fontFamily},
    hoverlabel: {...made.hoverlabel, bgcolor: paper, bordercolor: muted, font: {color: ink}, align: "left"}});
};
const shown = (box) => ({meta = {}}) => {
  const select = box.parentNode.querySelector("select");
  return (meta.run === undefined || chosen === null || chosen.has(meta.run))
    && (meta.choice === undefined || !select || meta.choice === Number(select.value));
};
const CONFIG = {displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"]};
const draw = (box) => {
  const {data, layout} = specs.get(box);
  return Plotly.react(box, data.filter(shown(box)).map(painted), laidOut(layout), CONFIG);
};
const drawAll = () => specs.forEach((_, box) => draw(box));

// Runs: what the search field and the boxes in the table choose, the figures show.
const boxes = all("input[data-run]");
const choose = (wanted) => {
  boxes.forEach((box) => { box.checked = wanted(box); });
  chosen = new Set(boxes.filter((box) => box.checked).map((box) => Number(box.dataset.run)));
  const count = document.getElementById("chosen");
  if (count) count.textContent = `${chosen.size} of ${boxes.length} runs shown`;
  if (window.Plotly) specs.forEach((spec, box) => spec.data.some(({meta}) => meta && "run" in meta) && draw(box));
};
const search = document.getElementById("search");
const find = () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (box) => words.every((word) => box.closest("tr").textContent.toLowerCase().includes(word));
  boxes.forEach((box) => { box.closest("tr").hidden = !fits(box); });
  choose(words.length ? fits : (box) => box.defaultChecked);
};
if (search) {
  let waiting;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(find, 200); });
  boxes.forEach((box) => box.addEventListener("change", () => choose((each) => each.checked)));
  all("button[data-first]").forEach((button) => button.addEventListener("click", () =>
    choose((box) => Number(box.dataset.run) < Number(button.dataset.first))));
  choose((box) => box.defaultChecked);
}
all("figure select").forEach((select) =>
  select.addEventListener("change", () => draw(select.parentNode.querySelector(".plot"))));

// Paper is white and narrow.
const print = (begins) => {
  if (printing === begins || !window.Plotly) return;
  printing = begins;
  document.documentElement.classList.toggle("printing", begins);
  all("details:not(.screen)").forEach((each) => { if (begins) { each.dataset.was = each.open; each.open = true; }
    else each.open = each.dataset.was === "true"; });
  drawAll();
};
addEventListener("beforeprint", () => print(true));
addEventListener("afterprint", () => print(false));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => window.Plotly && drawAll());

// The plotting library travels compressed.
const unpack = async () => {
  const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), (letter) => letter.charCodeAt(0));
  const source = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(source).text();
  document.head.append(script);
};
const begin = async () => {
  const figures = all(".plot");
  if (!figures.length) return;
  await unpack();
  for (const box of figures) {
    specs.set(box, JSON.parse(box.nextElementSibling.textContent));
    await draw(box);
    await new Promise((done) => setTimeout(done));  // lets the page answer between two figures
  }
  document.documentElement.dataset.drawn = figures.length;
};
begin().catch((error) => {
  all(".plot").forEach((box) => {
    box.style.height = "auto";
    box.textContent = `This figure cannot be drawn here: ${error}`;
  });
});
