// Reading the sidecar every few seconds, what is chosen, and what a person does.

const POLL_MS = 5000;
const ANSWER_MS = 8000;
const OLD_MS = 20000;
const ROWS = 100;

const state = { shownAt: null, failure: "", timer: 0, turn: 0, said: "", first: null, last: null };

/** What is chosen lives in the address, so that a link shows the same. */
function chosen() {
  const hash = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(["model", "window", "feature", "role", "match"].map((name) => [name, hash.get(name)]));
}

function choose(changes, { step = false } = {}) {
  const next = { ...chosen(), ...changes };
  const hash = new URLSearchParams(Object.entries(next).filter(([, value]) => value));
  history[step ? "pushState" : "replaceState"](null, "", `#${hash}`);
  return poll();
}

async function read(path, query = {}, { orNull = false } = {}) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== null && value !== ""));
  const response = await fetch(`${path}?${asked}`, { signal: AbortSignal.timeout(ANSWER_MS), cache: "no-store" });
  if (orNull && response.status === 404) return null;
  if (!response.ok) throw new Error(`it answered ${response.status} to ${path}`);
  return response.json();
}

/** Where no model is chosen, show the one that drifted furthest at first sight, and stay with it. */
function firstModel(all, names) {
  if (!names.includes(state.first)) {
    const gravity = (name) => LEVELS.indexOf(levelOf(all.models[name]));
    state.first = names.reduce((found, name) => (gravity(name) < gravity(found) ? name : found));
  }
  return state.first;
}

function levelOf({ levels, window, learning }) {
  return learning ? "unknown" : worst(together(levels[window]));
}

/** Read everything that is to be shown, for what is chosen or, where that is not there, for what is. */
async function readAll() {
  const want = chosen();
  const all = await read("drift", { limit: 0 });
  const names = Object.keys(all.models);
  const model = names.includes(want.model) ? want.model : firstModel(all, names);
  const { windows } = all.models[model];
  const window = windows.includes(want.window) ? want.window : all.models[model].window;
  const [drift, latency, health] = await Promise.all([
    read("drift", { model, window, limit: ROWS, match: want.match }),
    read("latency", { model }),
    read("health"),
  ]);
  const report = drift.models[model];
  const first = report.features[0];
  const open = want.feature !== null ? { feature: want.feature, role: want.role ?? "input" } : first ?? null;
  const detail = open && (await read("drift", { model, window, feature: open.feature }, { orNull: true }));
  const entry = detail?.models[model].features.find((each) => each.role === open.role) ?? null;
  return { want, all, names, model, windows, window, drift, report, service: latency.models[model], health, entry, open };
}

function showChoices({ want, all, names, model, windows, window }) {
  const several = names.length > 1;
  document.getElementById("models").hidden = !several;
  const alone = document.getElementById("model");
  alone.hidden = several;
  update(alone, named(model));
  const said = (name) => (all.models[name].learning ? "learning" : SAID[levelOf(all.models[name])]);
  const select = document.querySelector("#models select");
  update(select, names.map((name) => make("option", { "data-key": `model:${name}`, value: name }, `${plain(name)}: ${said(name)}`)));
  select.value = model;
  update(
    document.getElementById("windows"),
    make("legend", { class: "unseen" }, "Window"),
    windows.map((each) =>
      make("label", { "data-key": each }, make("input", { type: "radio", name: "window", value: each }), make("span", {}, each)),
    ),
  );
  for (const input of document.querySelectorAll("#windows input")) input.checked = input.value === window;
  const notices = [];
  if (want.model !== null && want.model !== model) notices.push("There is no model ", named(want.model), " now: this is ", named(model), ". ");
  if (want.window !== null && want.window !== window) notices.push(`There is no window ${want.window}: this is ${window}. `);
  if (window !== all.models[model].window) notices.push(`Levels here are those of ${window}; alerts go by ${all.models[model].window}.`);
  const notice = document.getElementById("notice");
  notice.hidden = notices.length === 0;
  update(notice, make("span", {}, ...notices));
}

function show(read) {
  const { report, service, window, model, want } = read;
  document.querySelector("main").hidden = false;
  showChoices(read);
  const worstEntry = want.match ? null : report.features[0];
  const [level, words] = showVerdict(report, report.levels[window] ?? null, service, window, worstEntry);
  showFeatures(report, window, { open: read.open && keyOf(read.open), match: want.match });
  showDetail(read.entry, report, read.open?.feature ?? null);
  showService(service, window);
  showReference(report.reference);
  showSidecar(read.health, model);
  document.title = `${level === "none" ? "" : `${SAID[level]}: `}${model} – model-sidecar`;
  const said = `${model}, ${window}: ${words}`;
  if (state.said !== said) document.getElementById("announce").textContent = state.said = said;
}

/** Say how old what is shown is, loudly where the sidecar no longer answers. */
function showAge() {
  const banner = document.getElementById("stale");
  const age = state.shownAt === null ? null : performance.now() - state.shownAt;
  const stale = state.failure !== "" || (age !== null && age > OLD_MS);
  document.documentElement.classList.toggle("old", stale);
  update(document.getElementById("updated"), age === null ? "" : `Updated ${age < 1500 ? "now" : `${lasting(age / 1000)} ago`}`);
  if (stale) {
    update(banner.querySelector("strong"), "The sidecar does not answer.");
    const shown = state.last ? `What is shown is of ${new Date(state.last.drift.timestamp).toLocaleTimeString("en-GB")}, ` : "Nothing is known yet";
    const old = state.last ? make("span", { "aria-hidden": "true" }, `${lasting(age / 1000)} old`) : null;
    update(banner.querySelector("span"), make("span", {}, shown), old, state.failure ? make("span", {}, ` (${state.failure}).`) : ".");
  }
  banner.hidden = !stale;
}

async function poll() {
  clearTimeout(state.timer);
  const turn = ++state.turn;
  try {
    const read = await readAll();
    if (turn !== state.turn) return;
    state.last = read;
    state.shownAt = performance.now();
    state.failure = "";
    show(read);
  } catch (error) {
    if (turn !== state.turn) return;
    const lost = error instanceof TypeError && /fetch|network|load failed/i.test(error.message);
    if (lost) state.failure = "no connection";
    else if (error.name === "TimeoutError") state.failure = `nothing came in ${ANSWER_MS / 1000} s`;
    else {
      state.failure = error.message;
      console.warn(error);
    }
  }
  showAge();
  if (!document.hidden) state.timer = setTimeout(poll, POLL_MS);
}

function focusOn(id) {
  const section = document.getElementById(id);
  section.focus({ preventScroll: true });
  section.scrollIntoView({ block: "start" });
}

function opened(row) {
  const [role, ...rest] = row.dataset.key.split(":");
  allBins = false;
  return choose({ feature: rest.join(":"), role }, { step: true });
}

document.getElementById("feature-table").addEventListener("click", async (event) => {
  const row = event.target.closest("tbody tr");
  if (!row) return;
  await opened(row);
  // On a narrow screen the feature is shown below the table.
  if (matchMedia("(max-width: 62rem)").matches) focusOn("detail");
});

document.getElementById("feature-table").addEventListener("keydown", (event) => {
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  const button = step && event.target.closest("tr")?.[step]?.querySelector("button");
  if (!button) return;
  event.preventDefault();
  button.focus();
});

document.getElementById("detail").addEventListener("click", (event) => {
  if (event.target.closest("#all-bins")) {
    allBins = !allBins;
    if (state.last) show(state.last);
  }
});

for (const link of document.querySelectorAll(".skip, .back a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault(); // the address is taken by what is chosen
    focusOn("features");
  });
}

document.querySelector("#models select").addEventListener("change", (event) => {
  choose({ model: event.target.value, feature: null, role: null }, { step: true });
});

document.getElementById("windows").addEventListener("change", (event) => choose({ window: event.target.value }));

const filter = document.querySelector("#filter input");
let typing = 0;
filter.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => choose({ match: filter.value }), 200);
});

function readAddress() {
  filter.value = chosen().match ?? "";
  poll();
}

addEventListener("popstate", readAddress);
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(state.timer) : poll()));
setInterval(() => document.hidden || showAge(), 1000);
readAddress();
