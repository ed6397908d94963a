"use strict";

// One bar for each label, thin where there are many; those that matter are filled, the others outlined in grey. A second
// number of each, such as what chance would give, is a tick across the bar. Names that are too long side by side are turned.
Refractor.draw.bars = function (place, panel) {
  const { svg, surface: open, box: room, axes, extent, marks, write, legend } = Refractor;
  const count = panel.labels.length;
  const lengths = panel.labels.map((label) => label.length).sort((one, other) => one - other);
  const longest = lengths[count - 1];
  const needed = panel.labels.reduce((sum, label) => sum + 7 * label.length + 8, 0);
  const turned = lengths[count >> 1] > 4 && needed > place.clientWidth - 58;
  const below = turned ? Math.ceil(4.6 * Math.min(longest, 18)) : 0;
  const { surface, width, height } = open(place, panel, (count <= 4 ? 170 : 230) + below);
  const box = { ...room(width, height), bands: true };
  box.bottom -= below;
  const y = extent(panel.y, [0, ...panel.values, ...panel.beside, ...panel.marks.map((mark) => mark.at)]);
  y[0] = panel.values.some((value) => value < 0) ? y[0] : 0;
  const scales = axes(surface, panel, box, { x: [0, count], y }, below);
  const strong = new Set(panel.strong);
  const band = (box.right - box.left) / count;
  const thick = Math.min(40, Math.max(1.5, band * 0.7));
  panel.labels.forEach((label, i) => {
    const middle = scales.x(i + 0.5);
    const [value, zero] = [panel.values[i] ?? 0, scales.y(0)];
    const [top, bottom] = [Math.min(scales.y(value), zero), Math.max(scales.y(value), zero)];
    const kind = strong.has(label) || !strong.size ? "bar strong" : "bar";
    const bar = svg("rect", { class: kind, x: middle - thick / 2, y: top, width: thick, height: Math.max(0.5, bottom - top) });
    const other = panel.beside[i] ?? null;
    const also = other === null ? "" : ` (${panel.legend[1]}: ${write(other)})`;
    bar.append(svg("title", {}, `${panel.x.title} ${label}: ${write(panel.values[i])}${also}`));
    surface.append(bar);
    if (other !== null) {
      surface.append(svg("path", { class: "beside", d: `M${middle - thick / 2 - 1.5} ${scales.y(other)}h${thick + 3}` }));
    }
  });
  // Labels of the filled bars first; then as many of the others as have room.
  const taken = [];
  const put = (i, kind) => {
    const middle = scales.x(i + 0.5);
    const half = turned ? 7 : 4 * panel.labels[i].length + 4;
    if (taken.every(([from, to]) => middle + half < from || middle - half > to)) {
      taken.push([middle - half, middle + half]);
      const where = { x: middle, y: box.bottom + 16, "text-anchor": "middle" };
      const slanted = { x: middle + 4, y: box.bottom + 12, "text-anchor": "end", transform: `rotate(-40 ${middle + 4} ${box.bottom + 12})` };
      surface.append(svg("text", { class: kind, ...(turned ? slanted : where) }, panel.labels[i]));
    }
  };
  panel.labels.forEach((label, i) => strong.has(label) && put(i, "label strong"));
  const every = turned ? 1 : Math.max(1, Math.ceil(count / ((box.right - box.left) / 40)));
  panel.labels.forEach((label, i) => i % every === every - 1 || count <= 8 ? put(i, "label") : null);
  marks(surface, panel.marks, box, scales);
  if (panel.beside.length) {
    legend(place, [{ name: panel.legend[0], look: "s0", dot: true }, { name: panel.legend[1], look: "beside" }]);
  }
};
