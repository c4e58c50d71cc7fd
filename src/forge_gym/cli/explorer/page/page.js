// The address says which instance is shown: the form loads the page anew. All addresses are relative, so that the page
// works behind a proxy. Texts reach the page as text nodes only, never as markup.

const query = Object.fromEntries(new URLSearchParams(location.search));
const { answer: shared, whole: sharedWhole, ...given } = query;
const asked = given.row || given.problem ? given : { problem: "TSP", ...("n" in given ? {} : { level: "3" }), ...given };
const find = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

/** Return an element; children are elements or texts. */
function make(tag, attributes = {}, ...children) {
  const element = ["svg", "rect"].includes(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

async function call(path, body) {
  const json = { "Content-Type": "application/json" };
  const options = body && { method: "POST", headers: json, body: JSON.stringify(body) };
  const reply = await fetch(`api/${path}?${new URLSearchParams(asked)}`, options).catch(() => null);
  const data = await reply?.json().catch(() => null);
  if (!data) throw new Error("The server does not answer: is forge-gym serve still running?");
  if (!reply.ok) throw new Error(data.error);
  return data;
}

/** Run what may fail, once at a time for each button, and show why it did. */
async function attempt(work, button = {}) {
  find("error").hidden = button.disabled = true;
  try {
    await work();
  } catch (error) {
    find("error").textContent = error.message;
    find("error").hidden = false;
    find("error").scrollIntoView({ block: "nearest" });
  }
  button.disabled = false;
}

/** The address of what is asked, with changes. */
const address = (changes) => `?${new URLSearchParams({ ...asked, ...changes })}`;

const facts = (pairs) => make("dl", {}, ...pairs.flatMap(([name, ...value]) => [make("dt", {}, name), make("dd", {}, ...value)]));
const rounded = (number) => (Math.abs(number) < 1e6 ? number.toFixed(3) : number.toExponential(2));
const meter = (name, value, min) => make("meter", { min, max: 1, value: Math.max(min, Math.min(1, value)), "aria-label": name });

// ---------------------------------------------------------------- pictures

/** Show a picture, and over it a rectangle for each element and each resource; return those of the elements. */
async function draw(figure, picture, what) {
  const image = make("img", { alt: what });
  image.src = URL.createObjectURL(new Blob([picture.svg], { type: "image/svg+xml" }));
  await image.decode();
  URL.revokeObjectURL(image.src);
  if (!figure.lastChild) {
    const tracks = picture.tracks.map((_, resource) => make("rect", { class: "track", "data-resource": resource }));
    const spots = picture.spots.map((_, element) => make("rect", { "data-element": element }));
    figure.append(image, make("svg", { viewBox: "0 0 100 100", "aria-hidden": "true" }, ...tracks, ...spots));
  }
  const svg = figure.lastChild;  // it stays, or a click that begins before a redrawing and ends after it would be lost
  figure.firstChild.replaceWith(image);
  svg.classList.remove("pending");
  for (const [i, [left, top, right, bottom]] of [...picture.tracks, ...picture.spots].entries()) {
    const around = right > left ? 0 : 3;  // a dot has no size
    const place = { x: left - around, y: top - around, width: right - left + 2 * around, height: bottom - top + 2 * around };
    for (const [name, value] of Object.entries(place)) svg.children[i].setAttribute(name, value);
  }
  return [...svg.children].slice(picture.tracks.length);
}

/** Return what lies nearest to a click: the number of a rectangle, and how far right in it, from 0 to 1. */
function nearest(rectangles, event, reach) {
  const frame = event.currentTarget.getBoundingClientRect();
  const x = (100 * (event.clientX - frame.left)) / frame.width;
  const y = (100 * (event.clientY - frame.top)) / frame.height;
  const away = rectangles.map(([left, top, right, bottom]) =>
    Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom)));
  const least = Math.min(...away), at = away.indexOf(least);
  return least <= reach ? [at, (x - rectangles[at][0]) / (rectangles[at][2] - rectangles[at][0])] : null;
}

// ---------------------------------------------------------------- verdicts

function showVerdict(verdict) {
  const word = verdict.beats_bound ? "alarm" : verdict.optimal ? "optimal" : verdict.status;
  const shown = [["Tier", verdict.tier]];
  if (verdict.reward !== null) shown.push(["Reward", rounded(verdict.reward), meter("reward", verdict.reward, -1)]);
  if (verdict.status === "feasible") {
    shown.push(["Objective", verdict.objective], ["Quality", rounded(verdict.quality), meter("quality", verdict.quality, 0)]);
    shown.push(["Skill", rounded(verdict.skill)], ["Ratio", rounded(verdict.ratio)]);
  } else if (verdict.status === "infeasible") {
    shown.push(["Credit", rounded(verdict.credit)]);
    for (const [family, amount, scale, reason] of verdict.violations) shown.push([family, `${amount} of ${scale}: ${reason}`]);
  } else {
    shown.push(["Reason", verdict.reason]);
  }
  const wrapped = make("p", { class: "faint" }, "Judged as the answer of a reply.");
  const status = make("p", {}, make("span", { class: `status ${word}` }, word));
  find("verdict").replaceChildren(status, facts(shown), ...(verdict.wrapped ? [wrapped] : []));
  find("verdict").className = "";
}

async function showStated(title, stated) {
  const figure = make("figure");
  if (stated.picture) await draw(figure, stated.picture, title);
  const text = make("div", { class: "text" }, stated.answer);
  return make("div", {}, make("h3", {}, title), figure, make("p", {}, `Objective ${stated.objective}`), text);
}

// ---------------------------------------------------------------- answers

const box = find("answer");
const past = [];
let instance, columns, solution = [], current = 0, brush = 0, picture = null, spots = [], chips = [];
let wanted = null, drawing = Promise.resolve();

const row = (element) => solution.find(([scheduled]) => scheduled === element);
const name = (column, number) => columns[column][1].find(([, value]) => value === number)?.[0] ?? String(number);
const told = (entry) => {
  const [element, resource, time] = entry.map((number, column) => name(column, number));
  return `${columns[0][0]} ${element} in ${columns[1][0]} ${resource} at ${time}`;
};
const without = (entry) => solution.filter((other) => other !== entry);
const toggled = (element) => (solution.includes(element) ? without(element) : [...solution, element]);

/** What a click on an element does, and what is shown of it, by the form of the solutions. */
const widgets = {
  subset: {
    hint: (noun) => `Click each ${noun} to take it; click it again to take it out.`,
    click: (element) => change(toggled(element).sort((a, b) => a - b)),
    badge: (element) => (solution.includes(element) ? "✓" : ""),
  },
  order: {
    hint: (noun) => `Click each ${noun} in turn; click it again to take it out.`,
    click: (element) => change(toggled(element)),
    badge: (element) => (solution.includes(element) ? `${solution.indexOf(element) + 1}.` : ""),
  },
  labels: {
    hint: (noun, label) => `Choose a ${label}, then click each ${noun} that gets it. -1 means that it has none yet.`,
    click: (element) => {
      const labels = columns[0][1].map(([, other]) => solution[other] ?? -1);
      change(labels.with(element, labels[element] === brush ? -1 : brush));
    },
    badge: (element) => ((solution[element] ?? -1) === -1 ? "" : name(1, solution[element])),
  },
  rows: {
    hint: (noun, resource) => `Click a ${noun}, then where in a ${resource} it begins. Click a scheduled ${noun} twice to take it out.`,
    click: (element) => {
      if (element === current && row(element)) change(without(row(element)));
      current = element;
      refresh();
    },
    badge: (element) => (row(element) ? name(2, row(element)[2]) : ""),
  },
};

/** Schedule the current element, and go on to the next that is not scheduled. */
function schedule(resource, time) {
  const value = [...without(row(current)), [current, resource, time]];
  const left = columns[0][1].map(([, element]) => element).filter((element) => element !== current && !row(element));
  current = left.find((element) => element > current) ?? left[0] ?? current;
  change(value);
}

function change(value) {
  past.push(solution);
  solution = value;
  refresh();
  find("picture").lastChild?.classList.add("pending");
  follow({ solution });
}

/** Draw the answer as it is now; what changed while one was drawn is drawn next, at once. */
function follow(body) {
  find("verdict").className = "stale";
  if (!wanted) drawing = drawing.then(() => attempt(async () => {
    const asking = wanted;
    wanted = null;
    const drawn = await call("draw", asking);
    if (asking.solution) box.value = drawn.text;
    else if (drawn.solution && !wanted) {
      past.push(solution);
      solution = drawn.solution;
    }
    if (!wanted) await show(drawn.picture ?? (solution.length ? picture : instance.picture));
  }));
  wanted = body;
}

async function show(next) {
  if (next && next !== picture) {
    spots = await draw(find("picture"), next, `Drawing of this instance of ${instance.problem}, with your answer`);
    picture = next;
  }
  refresh();
}

/** Show what is chosen, on the buttons and in the picture. */
function refresh() {
  const widget = widgets[instance.widget], isRows = instance.widget === "rows";
  for (const [element, chip] of chips.entries()) {
    const badge = widget.badge(element);
    chip.lastChild.textContent = badge;
    chip.setAttribute("aria-pressed", badge !== "");
    for (const shape of [chip, ...spots.slice(element, element + 1)]) {
      shape.classList.toggle("chosen", badge !== "");
      shape.classList.toggle("current", isRows && element === current);
    }
  }
  for (const button of find("palette").querySelectorAll("button")) button.setAttribute("aria-pressed", Number(button.value) === brush);
  if (isRows) find("rows-chosen").replaceChildren(...solution.map((entry) => {
    const text = told(entry), remove = () => change(without(entry));
    return make("li", {}, text, make("button", { type: "button", "aria-label": `Remove ${text}`, click: remove }, "Remove"));
  }));
}

/** Return a button for each choice, under a heading. */
function group(heading, choices, click) {
  const buttons = choices.map(([label, value]) => make("button", { type: "button", value, click: () => click(value) }, label, make("small")));
  return make("fieldset", { class: "chips" }, make("legend", {}, heading), ...buttons);
}

/** Build what an answer of this form is clicked together with. */
function build() {
  const widget = widgets[instance.widget], isRows = instance.widget === "rows";
  columns = instance.columns;
  find("buttons").hidden = !widget;
  if (!widget) return;
  const [[, elements], [noun, values] = [], [, times] = []] = columns;
  const hint = widget.hint(...columns.map(([each]) => each));
  find("hint").textContent = hint;
  find("buttons").open = !instance.picture?.spots.length;
  find("told").hidden = !isRows;
  find("chips").replaceChildren(group(hint, elements, widget.click));
  chips = [...find("chips").querySelectorAll("button")];
  if (instance.widget === "labels") {
    brush = values[0][1];
    find("palette").replaceChildren(group(noun, values, (value) => { brush = value; refresh(); }));
  }
  if (isRows) {
    const selects = columns.slice(1).map(([each, choices]) =>
      make("select", { "aria-label": each }, ...choices.map(([label, value]) => make("option", { value }, label))));
    const add = () => schedule(...selects.map((select) => Number(select.value)));
    find("places").replaceChildren(...selects, make("button", { type: "button", id: "add", click: add }, "Schedule"));
  }
  const placed = (event) => {
    const [track, share] = nearest(picture.tracks, event, 0) ?? [];
    return share >= 0 ? [values[track][1], times[Math.min(times.length - 1, Math.floor(share * times.length))][1]] : null;
  };
  find("picture").addEventListener("click", (event) => {
    const place = placed(event), [element] = nearest(picture.spots, event, 4) ?? [];
    if (place) schedule(...place);
    else if (element >= 0) widget.click(element);
  });
  find("picture").addEventListener("mousemove", (event) => {
    const place = placed(event);
    find("told").textContent = place ? told([current, ...place]) : "";
  });
}

async function judge() {
  await drawing;
  const whole = find("whole").checked;
  const verdict = await call("judge", { text: box.value, whole });
  solution = verdict.solution ?? solution;
  await show(verdict.picture);
  showVerdict(verdict);
  const sharing = { answer: box.value, ...(whole ? { whole: "1" } : {}) };
  history.replaceState(null, "", address(box.value.length <= 1500 ? sharing : {}));
}

box.addEventListener("input", () => follow({ text: box.value, whole: find("whole").checked }));
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find("answer-form").requestSubmit();
});
find("answer-form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(judge, find("judge"));
});
find("undo").addEventListener("click", () => {
  if (past.length) change(past.pop());
  past.pop();
});
find("clear").addEventListener("click", () => {
  past.push(solution);
  [solution, box.value] = [[], ""];
  follow({ text: "" });
});
find("reveal").addEventListener("click", () => attempt(async () => {
  const { trivial, greedy, optimum } = await call("reveal");
  const title = optimum.proven ? "Proven optimum" : `Best known, bound ${optimum.bound}`;
  const about = make("p", { class: "faint" }, `The trivial answer reaches ${trivial}. Solved with ${optimum.solver}.`);
  find("revealed").replaceChildren(await showStated("Greedy", greedy), await showStated(title, optimum), about);
  find("reveal").hidden = true;
}, find("reveal")));

// ---------------------------------------------------------------- what is asked

const options = (values) => values.map((value) => make("option", { value }, value));

/** Return a field for each parameter of a problem. */
const parameterFields = (parameters) => Object.entries(parameters).map(([name, [value, choices]]) => {
  const field = make(choices.length ? "select" : "input", { name, placeholder: value, autocomplete: "off" }, ...options(choices));
  field.value = asked[name] ?? (choices.length ? value : "");
  return make("label", {}, name.replace("_", " "), field);
});

async function start() {
  const known = await call("problems");
  const form = find("choose"), fields = form.elements;
  const offer = () => find("parameters").replaceChildren(...parameterFields(known.problems[fields.problem.value] ?? {}));
  fields.problem.replaceChildren(...options(Object.keys(known.problems)));
  fields.split.replaceChildren(...options(known.splits));
  const first = { problem: "TSP", level: "", seed: "0", index: "0", split: "test", row: "" };
  for (const [name, value] of Object.entries(first)) fields[name].value = asked[name] ?? value;
  fields.level.max = known.max_level;
  find("suite").textContent = known.suite;
  find("rows").replaceChildren(...options(known.rows));
  offer();
  fields.problem.addEventListener("input", offer);
  form.addEventListener("input", ({ target }) => {
    if (target.name !== "row") fields.row.value = "";
    if (target.name === "n" && target.value) fields.level.value = "";  // a level sets n
  });
  form.addEventListener("formdata", ({ formData }) => {
    const defaults = known.problems[fields.problem.value], isRow = formData.get("row");
    for (const [name, value] of [...formData])
      if (value === "" || (isRow && name !== "row") || value === defaults[name]?.[0]) formData.delete(name);
  });
  const { problem, level, seed, index, split, row, ...parameters } = asked;
  find("options").open = Boolean(row || Object.keys(parameters).length);
  find("next").addEventListener("click", () => {
    const at = known.rows.indexOf(row);
    location.search = address(row ? { row: known.rows[(at + 1) % known.rows.length] } : { index: Number(index ?? 0) + 1 });
  });
  form.hidden = false;

  instance = await call("instance");
  fields.problem.value = instance.problem;
  find("title").textContent = row ?? instance.problem;
  document.title = `${find("title").textContent} · forge-gym`;
  find("prompt").textContent = instance.prompt;
  build();
  find("work").hidden = false;
  await show(instance.picture);
  if (shared !== undefined) {
    box.value = shared;
    find("whole").checked = sharedWhole !== undefined;
    await judge();
  }
}

await attempt(start);
document.body.dataset.ready = true;
