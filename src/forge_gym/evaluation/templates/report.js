"use strict";
// Without this script everything is readable; with it tables sort and the gallery filters.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== (column ? "descending" : "ascending");
      const sign = down === Boolean(column) ? -1 : 1; // names from A to Z first, numbers from the largest
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const compare = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (!column) return sign * x.localeCompare(y);
        return x === "" || y === "" ? (x === "") - (y === "") : sign * (x - y); // what is unknown comes last
      };
      const rows = [...table.tBodies[0].rows].sort(compare);
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      table.tBodies[0].append(...rows);
    });
  });
}

const form = document.querySelector("#filter");
if (form) {
  const answers = [...document.querySelectorAll(".answer")];
  const groups = [...document.querySelectorAll(".case, .problem")];
  const told = form.querySelector("output");
  const filter = () => {
    const wanted = Object.fromEntries(new FormData(form));
    const fits = (answer) => Object.entries(wanted).every(([name, value]) => !value || answer.dataset[name] === value);
    answers.forEach((answer) => { answer.hidden = !fits(answer); });
    groups.forEach((group) => { group.hidden = !group.querySelector(".answer:not([hidden])"); });
    if (Object.values(wanted).some(Boolean)) groups.forEach((group) => { if ("open" in group) group.open = true; });
    told.textContent = `${answers.filter((answer) => !answer.hidden).length} of ${answers.length} answers`;
  };
  form.hidden = false;
  form.addEventListener("change", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("pageshow", filter); // browsers keep the choice over a reload
}
