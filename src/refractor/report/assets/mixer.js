"use strict";

// The frequency mixer: pick a pair, switch frequencies, and see the waves add up. It keeps what was picked when it is redrawn.
Refractor.draw.mixer = function (place, panel) {
  const state = (panel.state ??= start(panel));
  if (!panel.controls) {
    panel.values = Refractor.bytes(panel.logits.bytes);
    panel.controls = controls(panel, state, () => redraw(panel, state));
    panel.drawing = Refractor.html("div", { class: "drawing" });
    panel.numbers = Refractor.html("p", { class: "score", role: "status" });
    place.replaceChildren(panel.controls, panel.drawing, panel.numbers);
  }
  redraw(panel, state);
};

function start(panel) {
  const b = panel.bs[Math.floor(panel.bs.length / 3)];
  return { a: Math.floor(panel.p / 4), b, on: panel.frequencies.map(() => true) };
}

function controls(panel, state, changed) {
  const { html } = Refractor;
  const form = html("form", { class: "controls" });
  form.addEventListener("submit", (event) => event.preventDefault());
  const every = Array.from({ length: panel.p }, (_, a) => a);
  form.append(pick("a", every, state, changed), pick("b", panel.bs, state, changed));
  const group = html("fieldset");
  group.append(html("legend", {}, "Frequencies"));
  panel.frequencies.forEach((k, i) => {
    const box = html("input", { type: "checkbox", id: `mixer-k-${k}` });
    box.checked = state.on[i];
    box.addEventListener("change", () => {
      state.on[i] = box.checked;
      changed();
    });
    const label = html("label", { for: `mixer-k-${k}` });
    label.append(box, html("span", {}, `k = ${k}`));
    group.append(label);
  });
  form.append(group);
  return form;
}

// A number to pick: a slider with its value, which arrow keys move.
function pick(word, values, state, changed) {
  const { html } = Refractor;
  const id = `mixer-${word}`;
  const label = html("label", { for: id, class: "pick" });
  const place = String(values.indexOf(state[word]));
  const slider = html("input", { type: "range", id, min: 0, max: values.length - 1, step: 1, value: place });
  const shown = html("output", { for: id }, String(state[word]));
  slider.setAttribute("aria-valuetext", `${word} = ${state[word]}`);
  slider.addEventListener("input", () => {
    state[word] = values[Number(slider.value)];
    shown.textContent = String(state[word]);
    slider.setAttribute("aria-valuetext", `${word} = ${state[word]}`);
    changed();
  });
  label.append(html("span", {}, `${word} =`), shown, slider);
  return label;
}

// The sum of the cosines that are on, for every c.
Refractor.waves = function (panel, state) {
  const answer = (((state.a + panel.sign * state.b) % panel.p) + panel.p) % panel.p;
  const sum = [];
  for (let c = 0; c < panel.p; c += 1) {
    let total = 0;
    panel.frequencies.forEach((k, i) => {
      const turn = (k * (((answer - c) % panel.p) + panel.p)) % panel.p;
      total += state.on[i] ? panel.coefficients[i] * Math.cos((2 * Math.PI * turn) / panel.p) : 0;
    });
    sum.push(total);
  }
  return { answer, sum };
};

function network(panel, state) {
  const first = (state.a * panel.bs.length + panel.bs.indexOf(state.b)) * panel.p;
  const row = panel.values.subarray(first, first + panel.p);
  return Array.from(row, (byte) => panel.logits.offset + panel.logits.scale * byte);
}

function redraw(panel, state) {
  const { write } = Refractor;
  const { answer, sum } = Refractor.waves(panel, state);
  const own = network(panel, state);
  const on = panel.frequencies.filter((_, i) => state.on[i]);
  const x = sum.map((_, c) => c);
  const reach = 127 * panel.logits.scale;
  const full = panel.coefficients.reduce((total, alpha) => total + Math.abs(alpha), 0);
  const [low, high] = [-Math.max(reach, full) * 1.05, Math.max(reach, full) * 1.05];
  const set = on.length ? `{${on.join(", ")}}` : "none";
  Refractor.draw.lines(panel.drawing, {
    title: panel.title,
    summary: `The right answer is ${answer}. Frequencies on: ${set}.`,
    x: { title: "answer c", log: false, low: 0, high: panel.p - 1, whole: true },
    y: { title: "logit less mean over c", log: false, low, high },
    series: [
      { name: "network", x, y: own, role: "" },
      { name: `sum of cosines, k in ${set}`, x, y: sum, role: "dashed" },
    ],
    marks: [{ at: answer, label: `right answer ${answer}`, axis: "x" }],
  });
  const mask = state.on.reduce((bits, isOn, i) => bits + (isOn ? 2 ** i : 0), 0);
  const [accuracy, loss] = panel.rows[mask];
  panel.numbers.textContent =
    `Keeping ${on.length ? set : "no frequency"} and the mean, over all pairs: accuracy ${write(accuracy)}, loss ${write(loss)}. ` +
    `Network: ${write(panel.own[0])}, ${write(panel.own[1])}. Guessing: ${write(panel.chance[0])}, ${write(panel.chance[1])}.`;
}
