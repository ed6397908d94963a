"use strict";

// Points. A series of role "line" is a line, "cycle" a ring whose points are joined in their order.
Refractor.draw.dots = function (place, panel) {
  const { svg, surface: open, box: room, axes, extent, marks, path, legend } = Refractor;
  const wide = Math.max(200, Math.floor(place.clientWidth));
  const { surface, width, height } = open(place, panel, panel.equal ? Math.min(wide, 420) : 260);
  const box = room(width, height);
  const all = (key) => panel.series.flatMap((series) => series[key]);
  let ends = { x: extent(panel.x, all("x")), y: extent(panel.y, all("y")) };
  if (panel.equal) {
    ends = equalEnds([...all("x"), ...all("y")], box);
  }
  const scales = axes(surface, panel, box, ends);
  const pixels = (series) => series.x.map((value, i) => [scales.x(value), scales.y(series.y[i])]);
  for (const series of panel.series) {
    const points = pixels(series);
    if (panel.joined || series.role === "line") {
      const drawn = panel.joined && points.length > 2 ? [...points, points[0]] : points;
      surface.append(svg("path", { class: series.role === "line" ? "line s1" : "thread", d: path(drawn) }));
    }
    if (series.role !== "line") {
      points.forEach(([cx, cy], i) => surface.append(dot(series, cx, cy, i)));
    }
  }
  if (panel.joined) {
    name(surface, panel.series[0], pixels(panel.series[0]), scales);
  }
  marks(surface, panel.marks, box, scales);
  if (panel.series.length > 1) {
    legend(
      place,
      panel.series.map((series) => ({ name: series.name, look: series.role === "line" ? "s1" : series.role, dot: series.role !== "line" })),
    );
  }
};

function dot(series, cx, cy, i) {
  const point = Refractor.svg("circle", { class: `dot ${series.role}`, cx, cy, r: 3 });
  point.append(Refractor.svg("title", {}, series.labels[i] ?? ""));
  return point;
}

// One scale for both axes, centred at 0.
function equalEnds(values, box) {
  const reach = 1.1 * Math.max(1e-12, ...values.map(Math.abs));
  const [across, up] = [box.right - box.left, box.bottom - box.top];
  const unit = reach / Math.min(across, up);
  return { x: [-unit * across, unit * across], y: [-unit * up, unit * up] };
}

// Write about eight of the labels just outside the ring.
function name(surface, series, points, scales) {
  const [cx, cy] = [scales.x(0), scales.y(0)];
  const step = Math.max(1, Math.round(points.length / 8));
  points.forEach(([x, y], i) => {
    const away = Math.hypot(x - cx, y - cy);
    if (i % step === 0 && i + step / 2 < points.length && away > 20) {
      const [dx, dy] = [((x - cx) / away) * 12, ((y - cy) / away) * 12];
      const middle = { x: x + dx, y: y + dy, dy: "0.32em", "text-anchor": "middle", class: "label" };
      surface.append(Refractor.svg("text", middle, series.labels[i]));
    }
  });
}
