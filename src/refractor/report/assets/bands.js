"use strict";

// The rows and columns of a heat map that belong together: lines between them, names at the left and below.
Refractor.framed = function (place, panel, canvas) {
  const { svg, html } = Refractor;
  if (!panel.row_bands.length && !panel.column_bands.length) {
    return canvas;
  }
  const width = Math.max(200, Math.floor(place.clientWidth));
  const [left, below] = [roomFor(panel.row_bands, width), roomFor(panel.column_bands, width)];
  const side = width - left;
  const holder = html("div", { class: "framed" });
  holder.style.padding = `0 0 ${below}px ${left}px`;
  const over = svg("svg", { width, height: side + below, "aria-hidden": "true" });
  const [rows, columns] = panel.data.shape;
  for (const { at, label, strong } of named(panel.row_bands, side / rows, left)) {
    over.append(svg("text", { class: strong ? "strong" : "", x: left - 5, y: at, dy: "0.32em", "text-anchor": "end" }, label));
  }
  for (const { at, label, strong } of named(panel.column_bands, side / columns, below)) {
    const [x, y] = [left + at, side + 5];
    const turned = { x, y, dy: "0.32em", "text-anchor": "end", transform: `rotate(-90 ${x} ${y})` };
    over.append(svg("text", { class: strong ? "strong" : "", ...turned }, label));
  }
  for (const at of cuts(panel.row_bands, side / rows)) {
    over.append(svg("path", { class: "cut", d: `M${left} ${at}H${width}` }));
  }
  for (const at of cuts(panel.column_bands, side / columns)) {
    over.append(svg("path", { class: "cut", d: `M${left + at} 0V${side}` }));
  }
  holder.append(canvas, over);
  return holder;
};

const LETTER = 6.9; // pixels that a letter takes, about
const LINE = 10; // pixels between two lines of names
const LEAST_BAND = 5; // pixels below which many lines would hide the colours

function roomFor(bands, width) {
  const longest = Math.max(0, ...bands.map((band) => band.label.length));
  return longest ? Math.min(width * 0.3, LETTER * longest + 8) : 0;
}

// The names that have room: strong ones first, then the others in their order. Long ones are cut.
function named(bands, cell, room) {
  const taken = [];
  const letters = Math.floor((room - 8) / LETTER + 0.01);
  for (const band of [...bands.filter((one) => one.strong), ...bands.filter((one) => !one.strong)]) {
    const at = ((band.start + band.end) / 2) * cell;
    if (taken.every((one) => Math.abs(one.at - at) >= LINE)) {
      const label = band.label.length > letters ? `${band.label.slice(0, letters - 1)}…` : band.label;
      taken.push({ ...band, label, at });
    }
  }
  return taken;
}

// Lines between bands; none where every row is its own, or where many would be too close.
function cuts(bands, cell) {
  const starts = bands.filter((band) => band.start > 0);
  const single = bands.every((band) => band.end - band.start === 1);
  const close = starts.length > 20 && bands.some((band) => (band.end - band.start) * cell < LEAST_BAND);
  return single || close ? [] : starts.map((band) => band.start * cell);
}
