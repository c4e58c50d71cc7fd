// Every view is a URL: links and forms load the page anew, and what is shown follows from the query string.
// Texts of models reach the page as text nodes only, never as markup.

const query = new URLSearchParams(location.search);
const find = (id) => document.getElementById(id);

/** Return an element; children are elements or texts. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** Spell out control, format and bidirectional characters, which hide or reorder what a text says. */
const visible = (text) =>
  String(text).replace(/(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);

async function call(path, parameters, body) {
  const options = body && {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  let reply, data;
  try {
    reply = await fetch(`/api/${path}?${new URLSearchParams(parameters)}`, options);
    data = await reply.json();
  } catch {
    throw new Error("The server does not answer: is forge-gym serve still running?");
  }
  if (!reply.ok) throw new Error(data.error);
  return data;
}

/** Run what may fail; show why it did. */
async function attempt(work) {
  find("error").hidden = true;
  try {
    await work();
  } catch (error) {
    find("error").textContent = visible(error.message);
    find("error").hidden = false;
    find("error").scrollIntoView({ block: "nearest" });
  }
}

/** Keep a button from being pressed again before its work is done. */
async function busy(button, work) {
  button.disabled = true;
  await attempt(work);
  button.disabled = false;
}

function draw(figure, svg, what) {
  for (const image of figure.querySelectorAll("img")) URL.revokeObjectURL(image.src);
  if (svg === null) {
    figure.replaceChildren(make("p", { class: "faint" }, "No picture: this is no answer, too large a one, or of a problem without pictures."));
    return;
  }
  const address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  figure.replaceChildren(make("img", { src: address, alt: what }));
}

const fill = (select, values, chosen, all) =>
  select.replaceChildren(
    ...(all ? [make("option", { value: "" }, all)] : []),
    ...values.map((value) => make("option", { value, selected: String(value) === chosen }, visible(value))),
  );

const list = (dl, facts) =>
  dl.replaceChildren(
    ...facts.flatMap(([name, ...value]) => [make("dt", {}, name), make("dd", {}, ...value)]),
  );

const rounded = (number, digits = 3) => (Math.abs(number) < 1e6 ? number.toFixed(digits) : number.toExponential(2));

const meter = (name, value, min) =>
  make("meter", { min, max: 1, low: 0, high: 1, optimum: 1, value: Math.max(min, Math.min(1, value)), "aria-label": name });

/** A URL with the empty parameters left out. */
function address(parameters) {
  const kept = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return `/?${new URLSearchParams(kept)}`;
}

// ---------------------------------------------------------------- verdicts

function status(verdict) {
  const word = verdict.beats_bound ? "alarm" : verdict.optimal ? "optimal" : verdict.status;
  return make("span", { class: `status ${word}` }, word);
}

function showVerdict(place, verdict) {
  const facts = [["Tier", verdict.tier]];
  if (verdict.reward !== null) facts.push(["Reward", rounded(verdict.reward), meter("reward", verdict.reward, -1)]);
  if (verdict.status === "feasible") {
    facts.push(
      ["Objective", verdict.objective],
      ["Quality", rounded(verdict.quality), meter("quality", verdict.quality, 0)],
      ["Skill", rounded(verdict.skill)],
      ["Ratio", rounded(verdict.ratio)],
    );
  } else if (verdict.status === "infeasible") {
    facts.push(["Credit", rounded(verdict.credit)]);
  }
  const shown = [make("p", {}, status(verdict))];
  if (verdict.reason) shown.push(make("p", { class: "text" }, visible(verdict.reason)));
  const dl = make("dl", { class: "facts" });
  list(dl, facts);
  shown.push(dl);
  if (verdict.violations.length) {
    const broken = make("dl", { class: "facts" });
    list(broken, verdict.violations.map(([family, amount, scale, reason]) => [family, `${amount} of ${scale}: ${visible(reason)}`]));
    shown.push(make("h3", {}, "Violated constraints"), broken);
  }
  if (verdict.wrapped) shown.push(make("p", { class: "faint" }, "Judged as if it stood where a reply states its answer."));
  place.replaceChildren(...shown);
}

const optimumTitle = (optimum) => (optimum.proven ? "Proven optimum" : `Best known, bound ${optimum.bound}`);

function solution(stated, what) {
  const figure = make("figure");
  draw(figure, stated.picture, what);
  return [figure, make("p", {}, `Objective ${stated.objective}`), make("div", { class: "text" }, stated.answer)];
}

// ---------------------------------------------------------------- answers by clicking

// The text box is the truth: builders read it, and write it whole.
const box = find("answer");
const past = [];

function read() {
  const inner = /<answer>([^<]*)<\/answer>/.exec(box.value);
  try {
    const value = JSON.parse(inner ? inner[1] : box.value);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

function write(value) {
  past.push(box.value);
  box.value = JSON.stringify(value).replaceAll(",", ", ");
  box.dispatchEvent(new Event("input"));
}

const group = (legend, buttons) => make("fieldset", { class: "chips" }, make("legend", {}, legend), ...buttons);

/** Buttons that add an element and take it out again; `ordered` ones show their place. */
function elements(numbers, ordered) {
  const toggle = (number) => {
    const values = read();
    const kept = values.filter((value) => value !== number);
    if (kept.length === values.length) kept.push(number);
    write(ordered ? kept : kept.sort((a, b) => a - b));
  };
  const badges = numbers.map(() => make("small"));
  const buttons = numbers.map((number, i) =>
    make("button", { type: "button", click: () => toggle(number) }, String(number), badges[i]),
  );
  const refresh = () => {
    const values = read();
    numbers.forEach((number, i) => {
      const at = values.indexOf(number);
      buttons[i].setAttribute("aria-pressed", at >= 0);
      badges[i].textContent = at < 0 ? "" : ordered ? `${at + 1}.` : "✓";
      buttons[i].setAttribute("aria-label", at >= 0 && ordered ? `${number}, place ${at + 1}` : String(number));
    });
  };
  const legend = ordered ? "Click the elements in order; again to take one out" : "Click the elements to take";
  return [[group(legend, buttons)], refresh];
}

/** Click an element, then its label; the next element without one follows by itself. Texts count elements from `first`. */
function labels(size, first, choices) {
  const numbers = Array.from({ length: size }, (_, element) => element);
  let selected = numbers[0];
  const set = (label) => {
    const values = numbers.map((number) => read()[number] ?? null);
    values[selected] = label;
    const later = [...numbers.slice(selected + 1), ...numbers.slice(0, selected)];
    selected = later.find((number) => values[number] === null) ?? selected;
    write(values);
  };
  const badges = numbers.map(() => make("small"));
  const select = (number) => { selected = number; refresh(); };
  const buttons = numbers.map((number, i) =>
    make("button", { type: "button", click: () => select(number) }, String(first + number), badges[i]),
  );
  const palette = choices.map((label) => make("button", { type: "button", click: () => set(label) }, String(label)));
  const refresh = () => {
    const values = read();
    numbers.forEach((number, i) => {
      const label = Number.isInteger(values[number]) ? values[number] : null;
      buttons[i].setAttribute("aria-pressed", number === selected);
      buttons[i].setAttribute("aria-label", `element ${first + number}${label === null ? "" : `, label ${label}`}`);
      badges[i].textContent = label === null ? "–" : `→ ${label}`;
    });
  };
  return [[group("Click an element", buttons), group("and then its label", palette)], refresh];
}

/** Rows of an element, a resource and a time. */
function rows(domains) {
  const names = ["Element", "Resource", "Time"];
  const selects = domains.map((numbers, i) => make("select", { "aria-label": names[i] }, ...numbers.map((number) => make("option", {}, String(number)))));
  const add = make("button", { type: "button", id: "add", click: () => write([...read(), selects.map((select) => Number(select.value))]) }, "Add");
  const shown = make("ul", { class: "rows" });
  const remove = (at) => { write(read().filter((_, i) => i !== at)); add.focus(); };
  const refresh = () =>
    shown.replaceChildren(
      ...read().filter(Array.isArray).map((row, at) =>
        make("li", {}, visible(row.join(", ")), make("button", { type: "button", "aria-label": `Remove row ${at + 1}`, click: () => remove(at) }, "Remove")),
      ),
    );
  const fields = selects.map((select, i) => make("label", {}, names[i], select));
  return [[make("div", { class: "fields" }, ...fields, add), shown], refresh];
}

function builder(instance) {
  const numbers = instance.columns[0];
  const built = {
    order: () => elements(numbers, true),
    subset: () => elements(numbers, false),
    labels: () => labels(instance.size, instance.parameters.names ?? 0, numbers),
    rows: () => rows(instance.columns),
  }[instance.form];
  if (!built) {
    find("builder").replaceChildren(make("p", { class: "faint" }, "This form of answer is typed, as the prompt says."));
    return;
  }
  const [parts, refresh] = built();
  find("builder").replaceChildren(...parts);
  box.addEventListener("input", refresh);
  refresh();
}

// ---------------------------------------------------------------- views

/** The instance that the query names. */
function place() {
  const names = query.has("row") ? ["row", "run"] : ["problem", "level", "parameters", "seed", "split", "index"];
  const found = Object.fromEntries(names.filter((name) => query.has(name)).map((name) => [name, query.get(name)]));
  return query.has("row") || query.has("problem") ? found : { problem: "TSP", level: "3", ...found };
}

async function showPlay() {
  const asked = place();
  const table = await call("problems", {});
  find("play").hidden = false;
  const form = find("choose");
  fill(form.elements.problem, table.problems, asked.problem ?? "TSP");
  fill(form.elements.split, table.splits, asked.split ?? "test");
  for (const name of ["level", "seed", "index", "parameters", "row"]) form.elements[name].value = asked[name] ?? "";
  if (asked.run) form.elements.row.value = "";  // it is a row of the run, not of the benchmark
  if (!asked.row) for (const name of ["seed", "index"]) form.elements[name].value ||= "0";
  form.elements.level.max = table.max_level;
  find("more").open = Boolean((asked.row && !asked.run) || asked.parameters);
  find("suite").textContent = table.suite;
  find("rows").replaceChildren(...table.rows.map((value) => make("option", { value })));
  form.addEventListener("formdata", ({ formData }) => {
    const row = formData.get("row");
    for (const [name, value] of [...formData]) if (value === "" || (row && name !== "row")) formData.delete(name);
  });
  for (const name of ["problem", "level", "seed", "index", "split", "parameters"])
    form.elements[name].addEventListener("input", () => { form.elements.row.value = ""; });
  find("next").addEventListener("click", () => {
    const at = table.rows.indexOf(asked.row);
    location.href = at >= 0
      ? address({ row: table.rows[(at + 1) % table.rows.length] })
      : address({ ...asked, index: Number(asked.index ?? 0) + 1 });
  });
  find("next").hidden = Boolean(asked.run);

  const instance = await call("instance", asked);
  const at = asked.row
    ? `${asked.row}${asked.run ? ` of ${asked.run}` : ""}`
    : `${instance.problem}, ${instance.level === null ? "" : `level ${instance.level}, `}seed ${asked.seed ?? 0}, index ${asked.index ?? 0}, ${asked.split ?? "test"}`;
  find("title").textContent = visible(at);
  document.title = `${visible(at)} · forge-gym`;
  form.elements.problem.value = instance.problem;
  find("prompt").textContent = instance.prompt;
  draw(find("picture"), instance.picture, `Drawing of this instance of ${instance.problem}`);
  builder(instance);
  find("work").hidden = false;

  const judge = async () => {
    const verdict = await call("judge", asked, { text: box.value, whole: find("whole").checked });
    showVerdict(find("verdict"), verdict);
    draw(find("picture"), verdict.picture ?? instance.picture, `Drawing of this instance of ${instance.problem}` + (verdict.picture ? " with your answer" : ""));
    const shared = { ...asked, answer: box.value, whole: find("whole").checked ? "1" : "" };
    history.replaceState(null, "", address(box.value.length <= 1500 ? shared : asked));
  };
  find("answer-form").addEventListener("submit", (event) => {
    event.preventDefault();
    busy(find("judge"), judge);
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find("answer-form").requestSubmit();
  });
  find("clear").addEventListener("click", () => { past.push(box.value); box.value = ""; box.dispatchEvent(new Event("input")); });
  find("undo").addEventListener("click", () => {
    if (past.length) box.value = past.pop();
    box.dispatchEvent(new Event("input"));
  });
  find("reveal").addEventListener("click", () => busy(find("reveal"), async () => {
    const { trivial, greedy, optimum } = await call("reveal", asked);
    find("revealed").replaceChildren(
      make("div", {}, make("h3", {}, "Greedy"), ...solution(greedy, "Drawing of the greedy answer")),
      make("div", {}, make("h3", {}, optimumTitle(optimum)), ...solution(optimum, "Drawing of the best answer")),
      make("p", { class: "faint" }, `A thoughtless answer reaches ${trivial}. Solved with ${optimum.solver}.`),
    );
    find("reveal").hidden = true;
  }));
  if (query.has("answer")) {
    box.value = query.get("answer");
    find("whole").checked = query.has("whole");
    box.dispatchEvent(new Event("input"));
    await judge();
  }
}

async function showRuns() {
  const { folder, runs } = await call("runs", {});
  find("runs").hidden = false;
  find("folder").textContent = visible(runs.length ? `Transcripts in ${folder}` : `There is no transcript in ${folder}: forge-gym eval --out writes one, and --runs names its folder.`);
  if (!runs.length) return;
  const line = (run) => {
    const name = run.valid ? make("a", { href: address({ run: run.name }) }, visible(run.name)) : visible(run.name);
    const cells = run.valid ? [run.agent, run.suite, run.samples, run.turns, run.started] : ["not a transcript", "", "", "", ""];
    return make("tr", {}, make("td", {}, name), ...cells.map((cell) => make("td", {}, visible(cell))));
  };
  const head = ["Run", "Agent", "Asked", "Samples", "Turns", "Started"].map((name) => make("th", {}, name));
  find("list").replaceChildren(make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...runs.map(line)));
}

const filters = () => Object.fromEntries(["problem", "level", "status"].filter((name) => query.get(name)).map((name) => [name, query.get(name)]));

async function showRun() {
  const run = query.get("run");
  const page = Number(query.get("page") ?? 0);
  const table = await call("run", { run, page, ...filters() });
  find("run").hidden = false;
  find("run-title").textContent = visible(`${table.agent}: ${run}`);
  document.title = `${visible(run)} · forge-gym`;
  const { suite, options, started } = table.header;
  list(find("run-facts"), [
    ["Asked", visible(suite?.name ?? "instances of streams")],
    ["Options", visible(JSON.stringify(options ?? {}))],
    ["Started", visible(started ?? "")],
    ["Episodes", `${table.finished} finished, ${table.missing} missing`],
  ]);
  const form = find("filter");
  form.elements.run.value = run;
  fill(form.elements.problem, table.problems, query.get("problem"), "all");
  fill(form.elements.level, table.levels, query.get("level"), "all");
  fill(form.elements.status, ["malformed", "infeasible", "feasible", "optimal"], query.get("status"), "all");
  form.addEventListener("formdata", ({ formData }) => {
    for (const [name, value] of [...formData]) if (value === "") formData.delete(name);
  });
  const counts = Object.entries(table.statuses).map(([name, count]) => `${count} ${name}`);
  find("counts").textContent = `${table.total} calls: ${counts.join(", ")}, of which ${table.optimal} optimal`;
  const line = (each) => {
    const { row, sample, turn } = each;
    const link = make("a", { href: address({ run, row, sample, turn, ...filters() }) }, visible(row));
    const numbers = [sample, turn, each.objective ?? "–", rounded(each.quality), each.reward === null ? "alarm" : rounded(each.reward), each.tokens, rounded(each.seconds, 1)];
    return make("tr", {}, make("td", {}, link), make("td", {}, status({ status: each.status })), ...numbers.map((number) => make("td", { class: "number" }, String(number))));
  };
  const head = ["Sample", "Turn", "Objective", "Quality", "Reward", "Tokens", "Seconds"].map((name) => make("th", { class: "number" }, name));
  find("calls").replaceChildren(
    make("thead", {}, make("tr", {}, make("th", {}, "Row"), make("th", {}, "Status"), ...head)),
    make("tbody", {}, ...table.calls.map(line)),
  );
  const pages = [];
  if (page > 0) pages.push(make("a", { href: address({ run, page: page - 1, ...filters() }) }, "Previous page"));
  if (table.pages > 1) pages.push(`Page ${page + 1} of ${table.pages}`);
  if (page + 1 < table.pages) pages.push(make("a", { href: address({ run, page: page + 1, ...filters() }) }, "Next page"));
  find("pages").replaceChildren(...pages);
}

async function showCall() {
  const run = query.get("run");
  const asked = { run, row: query.get("row"), sample: query.get("sample"), turn: query.get("turn") ?? 0, ...filters() };
  const found = await call("call", asked);
  find("call").hidden = false;
  const to = ([row, sample, turn]) => address({ run, row, sample, turn, ...filters() });
  const { row, sample, turn } = found;
  find("around").replaceChildren(
    make("a", { href: address({ run, ...filters() }) }, visible(run)),
    ...(found.before ? [make("a", { href: to(found.before), rel: "prev" }, "Previous call")] : []),
    ...(found.after ? [make("a", { href: to(found.after), rel: "next" }, "Next call")] : []),
    make("a", { href: address({ run, row }) }, "Answer it yourself"),
  );
  find("call-title").textContent = visible(`${row}, sample ${sample}, turn ${turn}: ${found.agent}`);
  document.title = `${visible(row)} · forge-gym`;
  const earlier = found.turns.slice(0, -1).flatMap(({ reply, feedback }, i) => [
    make("details", {}, make("summary", {}, `Turn ${i}`), make("div", { class: "text" }, visible(reply)), make("div", { class: "text" }, visible(feedback ?? ""))),
  ]);
  const last = found.turns.at(-1);
  find("reply").replaceChildren(
    ...earlier,
    make("div", { class: "text", tabindex: "0" }, visible(last.reply)),
    ...(last.feedback === null ? [] : [make("p", { class: "faint" }, "Feedback"), make("div", { class: "text" }, visible(last.feedback))]),
  );
  showVerdict(find("call-verdict"), found.verdict);
  draw(find("call-picture"), found.picture, "Drawing of the answer");
  find("optimum-title").textContent = optimumTitle(found.optimum);
  find("call-optimum").replaceChildren(...solution(found.optimum, "Drawing of the best answer"));
  find("call-prompt").textContent = found.prompt;
  list(find("call-facts"), [
    ["Score", `${rounded(found.score)} by ${visible(found.scheme)}`],
    ["Finish", visible(found.finish || "–")],
    ["Tokens", String(found.tokens)],
    ["Seconds", rounded(found.seconds, 2)],
    ["Cost", String(found.cost)],
    ["Attempts", String(found.attempts)],
  ]);
}

const views = { play: showPlay, runs: showRuns, run: showRun, call: showCall };
const view = query.get("view") === "runs" ? "runs" : query.has("sample") ? "call" : query.has("run") && !query.has("row") ? "run" : "play";
find(view === "play" ? "to-play" : "to-runs").setAttribute("aria-current", "page");
await attempt(views[view]);
document.body.dataset.ready = view;
