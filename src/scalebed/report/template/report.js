"use strict";
// Still pictures are shown at once; the figure that can be asked takes the place of its picture
// when it comes near the window. Without JavaScript the files beside the page have the pictures.

const NEAR = "600px";
const MOST_MARKS = 3000; // beyond this many rows of data one canvas is drawn faster than its marks
const LEAST_PANEL = 130;
const SHRUNK = 0.85; // a picture smaller than this is set anew instead of being shrunk

async function unpack(id) {
  const packed = atob(document.getElementById(id).textContent);
  const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

let vega;
function drawer() {
  vega ??= unpack("vega").then((text) => {
    const script = document.createElement("script");
    script.textContent = text;
    document.head.append(script);
    return window.vegaEmbed;
  });
  return vega;
}

function rows(spec) {
  return Object.values(spec.datasets ?? {}).reduce((sum, data) => sum + data.length, 0);
}

// Panels that have no room beside each other go below each other, legends below the panels.
function stacked(spec, room) {
  const narrow = (part) => {
    if (part.hconcat) {
      part.vconcat = part.hconcat;
      delete part.hconcat;
    }
    if (part.columns) {
      const panel = part.spec?.width ?? part.concat?.[0]?.width ?? room;
      const most = Math.max(1, Math.floor(room / (panel + 60)));
      part.columns = Math.min(part.columns, most);
    }
    if (typeof part.width === "number") {
      part.width = Math.min(part.width, Math.max(LEAST_PANEL, room));
    }
    for (const inner of [part.spec, ...(part.vconcat ?? []), ...(part.concat ?? [])]) {
      if (inner) narrow(inner);
    }
  };
  const copy = structuredClone(spec);
  copy.config.legend = { ...copy.config.legend, orient: "bottom", direction: "vertical" };
  narrow(copy);
  return copy;
}

async function embed(plot, spec, room) {
  const place = document.createElement("div");
  place.className = "live";
  const renderer = rows(spec) > MOST_MARKS ? "canvas" : "svg";
  const config = { ...spec.config, aria: false };
  const options = { renderer, actions: false, ast: true, config };
  // Out of sight and yet laid out, so that it can be measured.
  place.style.visibility = "hidden";
  place.style.position = "absolute";
  plot.append(place);
  const result = await (await drawer())(place, spec, options);
  const drawn = place.querySelector("svg, canvas");
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", plot.dataset.title);
  const width = parseFloat(drawn.getAttribute("width")) / (renderer === "canvas" ? window.devicePixelRatio : 1);
  return { place, result, over: width - room };
}

async function draw(plot) {
  const name = plot.dataset.figure;
  const spec = JSON.parse(await unpack("spec-" + name));
  const room = plot.clientWidth;
  plot.dataset.room = room;
  let found;
  if (room >= SHRUNK * Number(plot.dataset.width)) {
    found = await embed(plot, spec, room);
  } else {
    // What axes and legends take is known only once they are drawn.
    let left = room - 70;
    for (let tries = 0; tries < 3; tries += 1) {
      if (found) {
        found.result.finalize();
        found.place.remove();
      }
      found = await embed(plot, stacked(spec, left), room);
      if (found.over <= 1 || left <= LEAST_PANEL) break;
      left = Math.max(LEAST_PANEL, left - found.over);
    }
  }
  const old = plot.querySelector(".live:not([style])");
  if (old) old.remove();
  found.place.removeAttribute("style");
  plot.classList.add("drawn");
}

function drawSoon(plot) {
  plot.work = (plot.work ?? Promise.resolve())
    .then(() => draw(plot))
    .catch((error) => console.error(plot.dataset.figure, error));
}

// One after the other, so that the first is not kept waiting by the last.
async function showStills() {
  for (const plot of document.querySelectorAll(".plot")) {
    const svg = await unpack("still-" + plot.dataset.figure);
    const picture = new Blob([svg], { type: "image/svg+xml" });
    plot.querySelector(".still").src = URL.createObjectURL(picture);
  }
}

function watchFigures() {
  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((seen) => seen.isIntersecting)) {
        near.unobserve(entry.target);
        drawSoon(entry.target);
      }
    },
    { rootMargin: NEAR },
  );
  for (const plot of document.querySelectorAll(".plot")) near.observe(plot);
  let waiting;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      for (const plot of document.querySelectorAll(".plot.drawn")) {
        if (Math.abs(plot.clientWidth - plot.dataset.room) > 40) drawSoon(plot);
      }
    }, 300);
  });
}

// What a link points to may lie in something closed.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  let closed = target.querySelector(":scope > details[data-main]") ?? target;
  for (; closed; closed = closed.parentElement) if (closed.tagName === "DETAILS") closed.open = true;
  target.scrollIntoView();
}

// A table wider than the page can be scrolled with the keys.
function reachTables() {
  const watch = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth + 1) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const box of document.querySelectorAll(".scroll")) watch.observe(box);
}

function openAll() {
  const all = [...document.querySelectorAll("main details")];
  const open = all.some((one) => !one.open);
  for (const one of all) one.open = open;
  button.textContent = open ? "Close everything" : "Open everything";
}

const button = document.getElementById("open-all");
button.hidden = false;
button.addEventListener("click", openAll);
showStills();
watchFigures();
reachTables();
window.addEventListener("hashchange", reveal);
if (location.hash) reveal();
