"use strict";

// One bar for each label, thin where there are many; those that matter are filled, the others outlined in grey.
Refractor.draw.bars = function (place, panel) {
  const { svg, surface: open, box: room, axes, extent, marks, write } = Refractor;
  const { surface, width, height } = open(place, panel, panel.labels.length <= 4 ? 170 : 230);
  const box = { ...room(width, height), bands: true };
  const count = panel.labels.length;
  const y = extent(panel.y, [0, ...panel.values, ...panel.marks.map((mark) => mark.at)]);
  y[0] = panel.values.some((value) => value < 0) ? y[0] : 0;
  const scales = axes(surface, panel, box, { x: [0, count], y });
  const strong = new Set(panel.strong);
  const band = (box.right - box.left) / count;
  const thick = Math.min(40, Math.max(1.5, band * 0.7));
  panel.labels.forEach((label, i) => {
    const middle = scales.x(i + 0.5);
    const [value, zero] = [panel.values[i] ?? 0, scales.y(0)];
    const [top, bottom] = [Math.min(scales.y(value), zero), Math.max(scales.y(value), zero)];
    const kind = strong.has(label) || !strong.size ? "bar strong" : "bar";
    const bar = svg("rect", { class: kind, x: middle - thick / 2, y: top, width: thick, height: Math.max(0.5, bottom - top) });
    bar.append(svg("title", {}, `${panel.x.title} ${label}: ${write(panel.values[i])}`));
    surface.append(bar);
  });
  // Labels of the filled bars first; then as many of the others as have room.
  const taken = [];
  const put = (i, kind) => {
    const middle = scales.x(i + 0.5);
    const half = 4 * panel.labels[i].length + 4;
    if (taken.every(([from, to]) => middle + half < from || middle - half > to)) {
      taken.push([middle - half, middle + half]);
      surface.append(svg("text", { class: kind, x: middle, y: box.bottom + 16, "text-anchor": "middle" }, panel.labels[i]));
    }
  };
  panel.labels.forEach((label, i) => strong.has(label) && put(i, "label strong"));
  const every = Math.max(1, Math.ceil(count / ((box.right - box.left) / 40)));
  panel.labels.forEach((label, i) => i % every === every - 1 || count <= 8 ? put(i, "label") : null);
  marks(surface, panel.marks, box, scales);
};
