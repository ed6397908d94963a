"use strict";

// Elements, with text set as text: nothing that comes from a run is ever read as markup.
Refractor.svg = function (name, attributes = {}, text = null) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, value);
  }
  if (text !== null) {
    element.textContent = text;
  }
  return element;
};

Refractor.html = function (name, attributes = {}, text = null) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, value);
  }
  if (text !== null) {
    element.textContent = text;
  }
  return element;
};

// A drawing surface that fills its place, and says in words what is drawn.
Refractor.surface = function (place, panel, height) {
  const width = Math.max(200, Math.floor(place.clientWidth));
  const surface = Refractor.svg("svg", {
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": `${panel.title}. ${panel.summary}`,
  });
  place.replaceChildren(surface);
  return { surface, width, height };
};

// A path through points; a point that is missing breaks it.
Refractor.path = function (points) {
  let open = false;
  return points
    .map(([x, y]) => {
      if (x === null || y === null) {
        open = false;
        return "";
      }
      const step = `${open ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
      open = true;
      return step;
    })
    .join("");
};

// A line below a drawing that says what is under the pointer.
Refractor.readout = function (place) {
  const line = Refractor.html("p", { class: "readout" });
  place.append(line);
  return (text) => {
    line.textContent = text;
  };
};

// The legend: a sample of each line and its name.
Refractor.legend = function (place, entries) {
  const list = Refractor.html("ul", { class: "legend" });
  for (const { name, look, dot } of entries) {
    const item = Refractor.html("li");
    const sample = Refractor.svg("svg", { width: 24, height: 12, "aria-hidden": "true" });
    sample.append(
      dot
        ? Refractor.svg("circle", { cx: 12, cy: 6, r: 4, class: `dot ${look}` })
        : Refractor.svg("path", { d: "M0 6H24", class: `line ${look}` }),
    );
    item.append(sample, Refractor.html("span", {}, name));
    list.append(item);
  }
  place.append(list);
};
