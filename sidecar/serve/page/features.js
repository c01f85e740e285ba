// The table of features, and the verdict over it.

const FULL_PSI = 0.5; // where the bar of a feature is full
const FEW = 15; // fewer features than this need no filter

/** Identify a feature: an input and an output may have one name. */
function keyOf(entry) {
  return `${entry.role}:${entry.feature}`;
}

function psiBar(statistics) {
  const share = (value) => `${(Math.min(value, FULL_PSI) / FULL_PSI) * 100}%`;
  const psi = statistics.psi ?? 0;
  return make(
    "svg",
    { class: `psi ${statistics.level}`, "aria-hidden": "true" },
    make("rect", { class: "track", width: "100%", height: "100%", rx: 2 }),
    make("rect", { class: "fill", width: share(psi), height: "100%", rx: 2 }),
    statistics.threshold === null
      ? null
      : make("line", { class: "mark", x1: share(statistics.threshold), x2: share(statistics.threshold), y1: 0, y2: "100%" }),
  );
}

function featureRow(entry, window, open) {
  const statistics = entry.windows[window];
  const key = keyOf(entry);
  return make(
    "tr",
    { "data-key": key, class: key === open ? "open" : null },
    make("td", {}, badge(statistics.level)),
    make(
      "th",
      { scope: "row" },
      make(
        "button",
        { type: "button", class: "name", "aria-current": key === open ? "true" : null, title: plain(entry.feature) },
        named(entry.feature),
      ),
      entry.role === "output" ? make("small", {}, " output") : null,
    ),
    make("td", { class: "number" }, fixed(statistics.psi)),
    make("td", { class: "wide" }, psiBar(statistics)),
    make("td", { class: "number wide" }, percent(statistics.missing_ratio)),
    make("td", { class: "number wide" }, whole.format(statistics.samples)),
  );
}

function showFeatures(model, window, { open, match }) {
  const { learning, features, matched } = model;
  const box = document.getElementById("learning");
  box.hidden = learning === null;
  if (learning) {
    const bar = box.querySelector("progress");
    bar.max = learning.of;
    bar.value = learning.events;
    bar.setAttribute("aria-label", "Learning of the reference");
    update(box.querySelector("span"), `Learning a reference from the first ${whole.format(learning.of)} predictions: ${whole.format(learning.events)} so far.`);
  }
  const table = document.getElementById("feature-table");
  table.hidden = features.length === 0;
  update(table.tBodies[0], features.map((entry) => featureRow(entry, window, open)));
  const total = LEVELS.reduce((sum, level) => sum + (learning ? 0 : together(model.levels[window])[level]), 0);
  document.getElementById("filter").hidden = total < FEW && !match;
  const mark = "The mark on a bar is the largest PSI that chance alone gives with so many samples.";
  const shown = features.length < matched ? `Showing the first ${whole.format(features.length)} of ${whole.format(matched)}. ` : "";
  const none = match ? "No feature has that in its name." : "";
  update(document.getElementById("shown"), learning ? "" : features.length ? shown + mark : none);
}

/** Count levels of inputs and outputs together. */
function together(levels) {
  return Object.fromEntries(LEVELS.map((level) => [level, levels.input[level] + levels.output[level]]));
}

function moved(counts) {
  return counts.critical + counts.significant + counts.moderate;
}

function driftFact(title, counts) {
  const total = LEVELS.reduce((sum, level) => sum + counts[level], 0);
  if (total === 0) return null;
  const level = worst(counts);
  const parts = LEVELS.slice(0, 3).filter((each) => counts[each]).map((each) => `${whole.format(counts[each])} ${each}`);
  const rest = counts.unknown === total ? "too few samples" : `none of ${whole.format(total)} has moved`;
  return fact(title, level, level === "unknown" ? "unknown" : SAID[level], parts.length ? `${parts.join(", ")} of ${whole.format(total)}` : rest);
}

function fact(title, level, word, text) {
  return make("li", { "data-key": title }, make("h3", {}, title), badge(level, word), make("p", {}, text));
}

/** Say in a few words whether anything is wrong, and what. Returns the level and the words. */
function verdict(model, levels, service, window, worstEntry) {
  if (model.learning) return ["unknown", "Learning what is normal, nothing is compared yet"];
  const counts = together(levels);
  const level = worst(counts);
  if (moved(counts)) {
    const name = worstEntry ? ["; the furthest is ", named(worstEntry.feature)] : [];
    const total = LEVELS.reduce((sum, each) => sum + counts[each], 0);
    return [level, [`${whole.format(moved(counts))} of ${plural(total, "feature")} moved`, ...name]];
  }
  const latency = latencyState(service, window);
  const errors = errorState(service, window);
  if (errors.level === "critical") return ["critical", "Nothing has moved, but errors are high"];
  if (latency.word === "missed") return ["significant", "Nothing has moved, but a latency objective is missed"];
  if (service.windows[window].events === 0) return ["unknown", `No predictions in the last ${window}`];
  if (level === "unknown") return ["unknown", "Too few samples yet to tell"];
  return ["none", "Nothing has moved"];
}

function showVerdict(model, levels, service, window, worstEntry) {
  const [level, words] = verdict(model, levels, service, window, worstEntry);
  const section = document.getElementById("verdict");
  section.className = level;
  const said = level === "none" || level === "unknown" ? "" : make("span", { class: "level" }, SAID[level]);
  update(document.getElementById("verdict-words"), sign(level), make("span", {}, said, said ? ": " : "", words));
  const latency = latencyState(service, window);
  const errors = errorState(service, window);
  const { events } = service.windows[window];
  update(
    document.getElementById("facts"),
    levels ? driftFact("Inputs", levels.input) : null,
    levels ? driftFact("Outputs", levels.output) : null,
    fact("Latency", latency.level, latency.word, latency.text),
    fact("Errors", errors.level, errors.word, errors.text),
    fact("Predictions", events ? "none" : "unknown", events ? events < 1e6 ? whole.format(events) : short.format(events) : "none", `in the last ${window}`),
  );
  return [level, document.getElementById("verdict-words").textContent];
}
