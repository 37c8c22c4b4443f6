"use strict";
// The page is whole without this: it unfolds, slides, jumps from change to change, and draws diagrams.
(() => {
  for (const control of document.querySelectorAll(".slider-control")) {
    const slider = document.getElementById(control.dataset.slider);
    control.addEventListener("input", () => slider.style.setProperty("--at", `${control.value}%`));
  }

  for (const row of document.querySelectorAll("tr.fold")) {
    const button = row.querySelector("button");
    button.addEventListener("click", () => {
      const hidden = document.getElementById(button.getAttribute("aria-controls"));
      hidden.hidden = !hidden.hidden;
      button.setAttribute("aria-expanded", String(!hidden.hidden));
    });
  }

  // n and p: the next and the previous change
  const stops = [...document.querySelectorAll("[data-stop]")];
  let at = -1;
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, textarea")) return;
    if (event.key !== "n" && event.key !== "p") return;
    at = Math.min(Math.max(at + (event.key === "n" ? 1 : -1), 0), stops.length - 1);
    stops[at]?.scrollIntoView({ block: "center" });
    stops[at]?.focus({ preventScroll: true });
  });

  const draw = async (box) => {
    const { xml, marks } = JSON.parse(document.getElementById(box.dataset.source).textContent);
    const viewer = new BpmnJS({ container: box });
    try {
      await viewer.importXML(xml);
    } catch (error) {
      box.replaceChildren(Object.assign(document.createElement("p"), { textContent: `This diagram cannot be drawn: ${error.message}` }));
      return;
    }
    const canvas = viewer.get("canvas");
    const elements = viewer.get("elementRegistry");
    canvas.zoom("fit-viewport", "auto");
    for (const [id, mark] of Object.entries(marks)) if (elements.get(id)) canvas.addMarker(id, `is-${mark}`);
    box.setAttribute("data-drawn", "");
    let chosen = null;
    for (const button of document.querySelectorAll(`button[data-diagram="${box.id}"]`)) {
      if (!elements.get(button.dataset.element)) { button.hidden = true; continue; }
      button.addEventListener("click", () => {
        if (chosen) canvas.removeMarker(chosen, "is-chosen");
        chosen = button.dataset.element;
        canvas.addMarker(chosen, "is-chosen");
        canvas.scrollToElement(chosen);
        box.scrollIntoView({ block: "nearest" });
      });
    }
  };
  for (const box of document.querySelectorAll(".diagram[data-source]")) draw(box);
})();
