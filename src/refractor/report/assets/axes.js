"use strict";

// Two axes around a plot, their ticks and titles, and marked values; the title of x leaves room for what stands `below`.
Refractor.axes = function (surface, panel, box, ends, below = 0) {
  const { svg, scale, ticks, writeTick } = Refractor;
  const x = scale(ends.x[0], ends.x[1], box.left, box.right, panel.x.log);
  const y = scale(ends.y[0], ends.y[1], box.bottom, box.top, panel.y.log);
  const frame = svg("g", { class: "axes" });
  for (const tick of ticks(y, (box.bottom - box.top) / 40, panel.y.whole)) {
    frame.append(svg("path", { class: "grid", d: `M${box.left} ${y(tick)}H${box.right}` }));
    frame.append(svg("text", { x: box.left - 6, y: y(tick), dy: "0.32em", "text-anchor": "end" }, writeTick(tick, y)));
  }
  for (const tick of box.bands ? [] : ticks(x, (box.right - box.left) / 70, panel.x.whole)) {
    frame.append(svg("path", { class: "tick", d: `M${x(tick)} ${box.bottom}v4` }));
    frame.append(svg("text", { x: x(tick), y: box.bottom + 16, "text-anchor": "middle" }, writeTick(tick, x)));
  }
  frame.append(svg("path", { class: "rim", d: `M${box.left} ${box.bottom}H${box.right}` }));
  const middle = (box.left + box.right) / 2;
  frame.append(svg("text", { class: "title", x: middle, y: box.bottom + below + 34, "text-anchor": "middle" }, panel.x.title));
  frame.append(svg("text", { class: "title", x: 0, y: box.top - 8 }, panel.y.title));
  surface.append(frame);
  return { x, y };
};

// Room for the axes: the plot's own box.
Refractor.box = function (width, height, top = 24) {
  return { left: 48, right: width - 10, top, bottom: height - 42 };
};

// Marked values: lines across the plot. Words on the x axis stand on lines of their own, so that they never overlap.
Refractor.marks = function (surface, marks, box, { x, y }) {
  const { svg } = Refractor;
  const across = marks.filter((mark) => mark.axis === "x").sort((one, other) => one.at - other.at);
  across.forEach((mark, line) => {
    const at = x(mark.at);
    const flipped = at > (box.left + box.right) / 2;
    const top = box.top - 14 * (across.length - line) - 12;
    surface.append(svg("path", { class: "mark", d: `M${at} ${top - 6}V${box.bottom}` }));
    surface.append(
      svg("text", { class: "mark", x: at + (flipped ? -5 : 5), y: top, "text-anchor": flipped ? "end" : "start" }, mark.label),
    );
  });
  for (const mark of marks.filter((one) => one.axis === "y")) {
    surface.append(svg("path", { class: "mark", d: `M${box.left} ${y(mark.at)}H${box.right}` }));
    surface.append(svg("text", { class: "mark", x: box.right, y: y(mark.at) - 4, "text-anchor": "end" }, mark.label));
  }
};
