"use strict";

// Curves on common axes. The look of a curve (colour and dashes) follows from its place in the list.
Refractor.draw.lines = function (place, panel) {
  const { svg, surface: open, box: room, axes, extent, marks, path, legend, readout, write } = Refractor;
  const rows = panel.marks.filter((mark) => mark.axis === "x").length;
  const above = rows ? 14 * rows + 8 : 0;
  const tall = panel.series.length > 3 ? 380 : 260;
  const { surface, width, height } = open(place, panel, tall + above);
  const box = room(width, height, 24 + above);
  const all = (key) => panel.series.flatMap((series) => series[key]);
  const marked = (axis) => panel.marks.filter((mark) => mark.axis === axis).map((mark) => mark.at);
  const ends = {
    x: extent(panel.x, [...all("x"), ...marked("x")]),
    y: extent(panel.y, [...all("y"), ...marked("y")]),
  };
  const scales = axes(surface, panel, box, ends);
  const usable = (value) => (value === null || (panel.y.log && value <= 0) ? null : scales.y(value));
  const looks = panel.series.map(look);
  panel.series.forEach((series, index) => {
    const points = series.x.map((value, i) => [scales.x(value), usable(series.y[i])]);
    surface.append(svg("path", { class: `line ${looks[index]}`, d: path(points) }));
    if (points.length === 1 && points[0][1] !== null) {
      surface.append(svg("circle", { class: `dot ${looks[index]}`, cx: points[0][0], cy: points[0][1], r: 3 }));
    }
  });
  marks(surface, panel.marks, box, scales);
  if (panel.series.length > 1) {
    legend(place, panel.series.map((series, index) => ({ name: series.name, look: looks[index] })));
  }
  follow(surface, box, scales, panel, readout(place), write);
};

function look(series, index) {
  return series.role === "range" ? "range" : `s${index % 6}${series.role === "dashed" ? " dashed" : ""}`;
}

// Read every curve at the pointer.
function follow(surface, box, scales, panel, say, write) {
  const line = Refractor.svg("path", { class: "cursor", d: "" });
  surface.append(line);
  surface.addEventListener("pointermove", (event) => {
    const pixel = event.clientX - surface.getBoundingClientRect().left;
    if (pixel < box.left || pixel > box.right) {
      return;
    }
    line.setAttribute("d", `M${pixel} ${box.top}V${box.bottom}`);
    const at = scales.x.invert(pixel);
    const words = panel.series.map((series) => `${series.name} ${write(series.y[nearest(series.x, at)])}`);
    say(`${panel.x.title} ${write(Math.round(at))}: ${words.join(", ")}`);
  });
  surface.addEventListener("pointerleave", () => {
    line.setAttribute("d", "");
    say("");
  });
}

function nearest(values, at) {
  return values.reduce((best, value, i) => (Math.abs(value - at) < Math.abs(values[best] - at) ? i : best), 0);
}
