"use strict";
(() => {
  const tree = document.getElementById("tree");
  if (tree) {
    searchable(tree);
    steerable(tree);
  }
  for (const flame of document.querySelectorAll("#flame svg.flame, #samples svg.flame, #compared svg.flame")) zoomable(flame);
  for (const track of document.querySelectorAll("#timeline svg.flame")) readable(track);

  // The search, and the buttons beside it.
  function searchable(tree) {
    const field = document.getElementById("search");
    const said = document.getElementById("matches");
    const rows = [...tree.querySelectorAll("details")];
    const names = rows.map((row) => row.firstElementChild.querySelector("bdi")?.textContent.toLowerCase() ?? "");
    let opened = null; // what was open before the search
    field.parentElement.hidden = false;
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLowerCase();
      opened ??= new Set(rows.filter((row) => row.open));
      for (const row of tree.querySelectorAll(".found, .around")) row.classList.remove("found", "around");
      tree.classList.toggle("searched", wanted !== "");
      if (!wanted) {
        for (const row of rows) row.open = opened.has(row);
        opened = null;
        said.textContent = "";
        return;
      }
      let count = 0;
      rows.forEach((row, number) => {
        if (!names[number].includes(wanted)) return;
        count += 1;
        row.classList.add("found");
        for (let above = row.parentElement.closest("details"); above; above = above.parentElement.closest("details")) {
          if (above.classList.contains("around")) break;
          above.classList.add("around");
          above.open = true;
        }
      });
      said.textContent = `${count} of ${rows.length} sections`;
    });
    document.getElementById("unfold").addEventListener("click", () => rows.forEach((row) => (row.open = true)));
    document.getElementById("fold").addEventListener("click", () => rows.forEach((row) => (row.open = false)));
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && document.activeElement !== field) {
        event.preventDefault();
        field.focus();
      } else if (event.key === "Escape" && document.activeElement === field && field.value) {
        field.value = "";
        field.dispatchEvent(new Event("input"));
      }
    });
  }

  // Arrow keys, as in any tree.
  function steerable(tree) {
    const rowFrom = (element, way) => {
      const isRow = (one) => one.matches(tree.classList.contains("searched") ? ".found, .around" : "details");
      while (element && !isRow(element)) element = element[way];
      return element;
    };
    const below = (row) => {
      const inside = row.open && rowFrom(row.lastElementChild.firstElementChild, "nextElementSibling");
      if (inside) return inside;
      for (let one = row; one; one = one.parentElement.closest("details")) {
        const found = rowFrom(one.nextElementSibling, "nextElementSibling");
        if (found) return found;
      }
      return null;
    };
    const above = (row) => {
      let found = rowFrom(row.previousElementSibling, "previousElementSibling");
      if (!found) return row.parentElement.closest("details");
      while (found.open) {
        const last = rowFrom(found.lastElementChild.lastElementChild, "previousElementSibling");
        if (!last) break;
        found = last;
      }
      return found;
    };
    tree.addEventListener("keydown", (event) => {
      const row = event.target.closest("summary")?.parentElement;
      if (!row) return;
      if (event.key === "ArrowDown") below(row)?.firstElementChild.focus();
      else if (event.key === "ArrowUp") above(row)?.firstElementChild.focus();
      else if (event.key === "ArrowRight") row.open ? below(row)?.firstElementChild.focus() : (row.open = true);
      else if (event.key === "ArrowLeft") {
        if (row.open) row.open = false;
        else row.parentElement.closest("details")?.firstElementChild.focus();
      } else return;
      event.preventDefault();
    });
  }

  // A box that is chosen gets the whole width, as does what is around it.
  function zoomable(flame) {
    const part = flame.closest("section");
    const line = part.querySelector(".chosen");
    const boxes = [...flame.children].map((box) => ({
      box,
      link: box.querySelector("a"),
      left: parseFloat(box.getAttribute("x")),
      width: parseFloat(box.getAttribute("width")),
      top: parseFloat(box.getAttribute("y")),
    }));
    const zoom = (chosen) => {
      const right = chosen.left + chosen.width;
      for (const one of boxes) {
        const around = one.top < chosen.top && one.left <= chosen.left + 1e-3 && one.left + one.width >= right - 1e-3;
        const within = one.top >= chosen.top && one.left >= chosen.left - 1e-3 && one.left + one.width <= right + 1e-3;
        one.box.classList.toggle("outside", !(around || within));
        const width = around ? 100 : Math.min(100, (100 * one.width) / chosen.width);
        one.box.setAttribute("x", `${around ? 0 : Math.max(0, (100 * (one.left - chosen.left)) / chosen.width)}%`);
        one.box.setAttribute("width", `${width}%`);
        if ((around || within) && width > 2 && !one.box.querySelector("text")) {
          const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
          text.setAttribute("x", "5");
          text.setAttribute("y", "14");
          text.textContent = one.link.querySelector("title").textContent.split("\n")[0];
          one.link.append(text);
        }
      }
    };
    const whole = { left: 0, width: 100, top: -1 };
    const choose = (one) => {
      zoom(one);
      tell(line, one.link);
      if (one.link.hasAttribute("href")) add(line, "a", "Show in the tree").href = one.link.getAttribute("href");
      line.append(" ");
      add(line, "button", "Whole graph").addEventListener("click", () => {
        zoom(whole);
        line.hidden = true;
        boxes[0].link.focus();
      });
    };
    for (const one of boxes) {
      one.link.addEventListener("click", (event) => {
        event.preventDefault();
        choose(one);
      });
      entered(one.link, () => choose(one));
    }
  }

  // What a box of the timeline says on hovering, for those who touch or tab.
  function readable(track) {
    const line = document.createElement("p");
    line.className = "chosen";
    track.after(line);
    for (const link of track.querySelectorAll("a")) {
      link.addEventListener("click", () => tell(line, link));
      entered(link, () => tell(line, link));
    }
  }

  function entered(link, act) {
    link.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || link.hasAttribute("href")) return;
      event.preventDefault();
      act();
    });
  }

  function tell(line, link) {
    line.hidden = false;
    line.textContent = link.querySelector("title").textContent + "\n";
  }

  function add(line, kind, text) {
    const made = document.createElement(kind);
    made.textContent = text;
    line.append(made);
    return made;
  }
})();
