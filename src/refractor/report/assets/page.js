"use strict";

// Draw every panel, again when its width or the colour scheme changes; and let snippets be copied.
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const draw = (id) => Refractor.draw[data[id].kind](document.getElementById(id), data[id]);
  const widths = new Map();
  const observer = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (widths.get(target.id) !== target.clientWidth) {
        widths.set(target.id, target.clientWidth);
        draw(target.id);
      }
    }
  });
  for (const id of Object.keys(data)) {
    const place = document.getElementById(id);
    widths.set(id, place.clientWidth);
    draw(id);
    observer.observe(place);
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => Object.keys(data).forEach(draw));
  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", () => copy(button));
  }

  // Clipboards may be closed to pages from disk: then the lines are selected, to be copied by hand.
  async function copy(button) {
    const code = button.parentElement.querySelector("code");
    getSelection().selectAllChildren(code);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected: copy it with the keyboard";
    }
  }
})();
