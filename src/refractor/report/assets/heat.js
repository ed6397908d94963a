"use strict";

// A matrix in colours, on a canvas; rows downwards. Sequential maps run from dark blue to yellow, diverging ones from blue
// through the ground to orange: both keep their order in grey, and for every kind of colour blindness.
const SEQUENTIAL = [[0, 34, 78], [65, 77, 107], [124, 123, 120], [188, 175, 111], [254, 232, 56]];
const DIVERGING = {
  light: [[0, 70, 130], [86, 160, 210], [247, 247, 247], [240, 160, 70], [160, 60, 0]],
  dark: [[120, 190, 240], [40, 110, 165], [24, 26, 30], [175, 90, 20], [255, 180, 90]],
};

Refractor.draw.heat = function (place, panel) {
  const { html, write, bytes, readout, framed } = Refractor;
  const [rows, columns] = panel.data.shape;
  const values = bytes(panel.data.bytes);
  const canvas = html("canvas", { width: columns, height: rows, role: "img", "aria-label": `${panel.title}. ${panel.summary}` });
  const theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const colours = panel.diverging ? DIVERGING[theme] : SEQUENTIAL;
  const image = new ImageData(columns, rows);
  values.forEach((value, i) => image.data.set([...colour(colours, (value + 127) / 254), 255], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
  const value = (byte) => {
    const number = panel.data.offset + panel.data.scale * byte;
    return panel.values[Math.round(number)] ?? write(number, 3);
  };
  const key = html("div", { class: "key" });
  const strip = html("span", { class: "strip", "aria-hidden": "true" });
  strip.style.background = `linear-gradient(to right, ${colours.map((one) => `rgb(${one.join(" ")})`).join(", ")})`;
  key.append(html("span", {}, value(-127)), strip, html("span", {}, value(127)));
  const axes = `${panel.x.title} → (${panel.y.title} ↓)${panel.note ? `, ${panel.note}` : ""}`;
  place.replaceChildren(html("p", { class: "across" }, axes), framed(place, panel, canvas), key);
  const say = readout(place);
  canvas.addEventListener("pointermove", (event) => {
    const frame = canvas.getBoundingClientRect();
    const row = clamp(Math.floor(((event.clientY - frame.top) / frame.height) * rows), rows);
    const column = clamp(Math.floor(((event.clientX - frame.left) / frame.width) * columns), columns);
    const [down, across] = [panel.rows[row] ?? row * panel.stride, panel.columns[column] ?? column * panel.stride];
    say(`${panel.y.title} ${down}, ${panel.x.title} ${across}: ${value(values[row * columns + column])}`);
  });
  canvas.addEventListener("pointerleave", () => say(""));
};

function clamp(index, size) {
  return Math.max(0, Math.min(size - 1, index));
}

// The colour at a share from 0 to 1, between the two anchors around it.
function colour(anchors, share) {
  const place = share * (anchors.length - 1);
  const low = Math.min(anchors.length - 2, Math.floor(place));
  return anchors[low].map((channel, i) => Math.round(channel + (place - low) * (anchors[low + 1][i] - channel)));
}
