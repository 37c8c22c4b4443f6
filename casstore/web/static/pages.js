"use strict";
// The pages are whole without this: it draws processes, says that an upload is under way, and takes "/" to the search.
(() => {
  const draw = async (box) => {
    const xml = document.getElementById(box.dataset.source).textContent;
    box.replaceChildren();
    const viewer = new BpmnJS({ container: box });
    try {
      await viewer.importXML(xml);
      const canvas = viewer.get("canvas");
      canvas.zoom("fit-viewport", "auto");
      canvas.zoom(canvas.zoom() * 0.92);  // labels reach beyond what is fitted
      box.setAttribute("data-drawn", "");
    } catch (error) {
      const said = document.createElement("p");
      said.className = "notice";
      said.textContent = `This process cannot be drawn: ${error.message}. Its source is below.`;
      box.replaceChildren(said);
      box.classList.add("undrawn");
    }
  };
  const begin = () => {
    for (const box of document.querySelectorAll(".diagram[data-source]")) draw(box);
    for (const center of document.querySelectorAll(".graph .center")) {
      const scroll = center.closest(".scroll");
      const [around, inside] = [scroll.getBoundingClientRect(), center.getBoundingClientRect()];
      scroll.scrollLeft += inside.left + inside.width / 2 - around.left - around.width / 2;
    }
    const sending = document.getElementById("sending");
    if (sending) sending.closest("form").addEventListener("submit", () => { sending.hidden = false; });
    const search = document.getElementById("search");
    if (search && location.hash === "#search") search.focus();
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
      event.preventDefault();
      if (search) search.focus();
      else location.href = `${document.querySelector(".brand").href}#search`;
    });
  };
  // Scripts are deferred, and the one that draws comes after this one.
  document.addEventListener("DOMContentLoaded", begin);
})();
