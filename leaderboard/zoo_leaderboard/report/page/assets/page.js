"use strict";

// Sorting and filtering of a track's table. The state is in the address, so that it can be shared.
function setUpBoard(table) {
  const form = document.querySelector("[data-filters]");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const original = heads.findIndex((head) => head.hasAttribute("aria-sort"));
  let order = null;

  const valueOf = (row, column) => {
    const text = row.cells[column].dataset.value;
    if (text === undefined) return null;
    return heads[column].dataset.sort === "number" ? Number(text) : text.toLowerCase();
  };

  function sort(column, direction) {
    const sign = direction === "ascending" ? 1 : -1;
    const compare = (a, b) => {
      const [x, y] = [valueOf(a, column), valueOf(b, column)];
      if (x === null || y === null) return (x === null) - (y === null);
      return typeof x === "string" ? sign * x.localeCompare(y) : sign * (x - y);
    };
    body.append(...[...rows].sort(compare));
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", direction);
    order = [column, direction];
  }

  function unsort() {
    body.append(...rows);
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    if (original >= 0) heads[original].setAttribute("aria-sort", "descending");
    order = null;
  }

  function filter() {
    const wanted = new FormData(form);
    const find = (wanted.get("find") || "").trim().toLowerCase();
    const shown = new Set(wanted.getAll("dataset"));
    const several = form.elements.dataset !== undefined;
    for (const row of rows) {
      const fits = ["family", "plugin", "variant"].every((name) => {
        const choice = wanted.get(name);
        return !choice || row.dataset[name] === choice;
      });
      row.hidden = !fits || !row.cells[0].dataset.value.toLowerCase().includes(find);
    }
    heads.forEach((head, column) => {
      const hidden = several && "dataset" in head.dataset && !shown.has(head.dataset.dataset);
      head.hidden = hidden;
      for (const row of rows) row.cells[column].hidden = hidden;
    });
    const visible = rows.filter((row) => !row.hidden).length;
    form.querySelector("[data-count]").textContent = `${visible} of ${rows.length} rows`;
  }

  const checkboxes = () => [...form.querySelectorAll("input[name=dataset]")];

  function remember() {
    const state = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (name !== "dataset" && value) state.set(name, value);
    }
    const boxes = checkboxes();
    if (boxes.some((box) => !box.checked)) {
      state.set("datasets", boxes.filter((box) => box.checked).map((box) => box.value).join("."));
    }
    if (order) state.set("sort", order.join("."));
    const text = state.toString();
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  }

  function recall() {
    const state = new URLSearchParams(location.hash.slice(1));
    for (const name of ["find", "family", "plugin", "variant"]) {
      if (state.has(name) && form.elements[name]) form.elements[name].value = state.get(name);
    }
    if (state.has("datasets")) {
      const shown = new Set(state.get("datasets").split("."));
      for (const box of checkboxes()) box.checked = shown.has(box.value);
    }
    const [column, direction] = (state.get("sort") || "").split(".");
    if (heads[column] && ["ascending", "descending"].includes(direction)) {
      sort(Number(column), direction);
    }
    filter();
  }

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const first = head.dataset.sort === "text" || "rising" in head.dataset
        ? "ascending" : "descending";
      const other = first === "ascending" ? "descending" : "ascending";
      sort(column, head.getAttribute("aria-sort") === first ? other : first);
      remember();
    });
  });
  const changed = () => { filter(); remember(); };
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { unsort(); changed(); }));
  for (const [selector, checked] of [["[data-all]", true], ["[data-none]", false]]) {
    form.querySelector(selector)?.addEventListener("click", () => {
      for (const box of checkboxes()) box.checked = checked;
      changed();
    });
  }
  const choices = form.querySelector(".choices");
  if (choices) {
    document.addEventListener("click", (event) => {
      if (!choices.contains(event.target)) choices.open = false;
    });
    choices.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        choices.open = false;
        choices.querySelector("summary").focus();
      }
    });
  }
  form.hidden = false;
  recall();
}

function setUpCopying(button) {
  const code = button.parentElement.querySelector("code");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      // Where the clipboard is closed the text is selected, for the reader to copy.
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}

function openTarget() {
  const target = location.hash.startsWith("#seed-")
    && document.getElementById(location.hash.slice(1));
  if (target) {
    target.open = true;
    target.scrollIntoView();
  }
}

document.querySelectorAll("[data-filters] ~ .scroll table").forEach(setUpBoard);
document.querySelectorAll("button.copy").forEach(setUpCopying);
addEventListener("hashchange", openTarget);
openTarget();
