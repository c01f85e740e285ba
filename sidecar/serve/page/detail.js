// One feature: its reference and its live shares over each other, bin by bin, and what moved most.

const MOST_BINS = 24; // more categories than this are shown only when asked for
const MOST_MOVED = 3;

let allBins = false;

/** Return the share of a bin as counted; that of the PSI is towards the reference a little. */
function liveShare(bin, entry) {
  const { samples } = entry.windows[entry.bins_window];
  return samples ? bin.count / samples : 0;
}

function share(value, most) {
  return `${(value / most) * 100}%`;
}

function binRow(bin, live, most, topContribution) {
  const bars = make(
    "svg",
    { class: "bins", "aria-hidden": "true" },
    make("rect", { class: "live", y: "25%", height: "50%", width: share(live, most) }),
    make("rect", { class: "reference", y: "6%", height: "88%", width: share(bin.reference, most) }),
  );
  return make(
    "tr",
    { "data-key": bin.bin, class: topContribution > 0 && bin.contribution >= topContribution ? "moved" : null },
    make("th", { scope: "row", title: plain(bin.range) }, named(bin.range)),
    make("td", { class: "bar" }, bars),
    make("td", { class: "number" }, percent(bin.reference)),
    make("td", { class: "number" }, percent(live)),
    make("td", { class: "number" }, fixed(bin.contribution)),
  );
}

function key() {
  return make(
    "span",
    { class: "key" },
    make("span", { class: "swatch reference" }),
    " reference ",
    make("span", { class: "swatch live" }),
    " live",
  );
}

function binsTable(entry, byContribution) {
  const { bins } = entry;
  const most = Math.max(...bins.map((bin) => Math.max(liveShare(bin, entry), bin.reference)));
  const many = entry.kind === "categorical" && bins.length > MOST_BINS;
  const wanted = new Set(byContribution.slice(0, many && !allBins ? MOST_BINS : bins.length));
  const top = byContribution[Math.min(MOST_MOVED, byContribution.length) - 1].contribution;
  const head = ["Range", key(), "Ref.", "Live", "Adds"];
  return make(
    "table",
    { class: "bins-table", "data-key": "bins" },
    make("caption", { class: "unseen" }, "Share of each bin in the reference and live, and what it adds to the PSI"),
    make("thead", {}, make("tr", {}, head.map((text, i) => make("th", { scope: "col", class: i > 1 ? "number" : null }, text)))),
    make("tbody", {}, bins.filter((bin) => wanted.has(bin)).map((bin) => binRow(bin, liveShare(bin, entry), most, Math.max(top, 0.005)))),
  );
}

function movedBins(byContribution, entry) {
  const most = byContribution.filter((bin) => bin.contribution >= 0.005).slice(0, MOST_MOVED);
  if (!most.length) return make("p", { "data-key": "moved" }, "No bin adds anything to speak of.");
  const items = most.map((bin) =>
    make("li", {}, named(bin.range), ` from ${percent(bin.reference)} to `, make("strong", {}, percent(liveShare(bin, entry))), `, adds ${fixed(bin.contribution)}`),
  );
  return make("ol", { "data-key": "moved", class: "moved-bins" }, items);
}

function windowsTable(entry) {
  const head = ["Window", "Level", "PSI", "Chance up to", "Samples"];
  const rows = Object.entries(entry.windows).map(([window, s]) =>
    make(
      "tr",
      { "data-key": window },
      make("th", { scope: "row" }, window),
      make("td", {}, badge(s.level)),
      make("td", { class: "number" }, fixed(s.psi)),
      make("td", { class: "number wide" }, fixed(s.threshold)),
      make("td", { class: "number" }, whole.format(s.samples)),
    ),
  );
  return make(
    "table",
    { "data-key": "windows" },
    make("caption", { class: "unseen" }, "The same in every window"),
    make("thead", {}, make("tr", {}, head.map((text, i) => make("th", { scope: "col", class: [null, null, "number", "number wide", "number"][i] }, text)))),
    make("tbody", {}, rows),
  );
}

function pairs(list) {
  return list.filter((pair) => pair !== null).flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)]);
}

/** Say what the level rests on. */
function reason(statistics, thresholds, minSamples) {
  if (statistics.psi === null) {
    return `Too few samples: ${whole.format(statistics.samples)} of the ${whole.format(minSamples)} that it takes.`;
  }
  const { psi, threshold, level } = statistics;
  const rollback = psi > thresholds.rollback ? ` Above ${thresholds.rollback} the alert is one to roll back.` : "";
  if (level !== "none") return `PSI is ${fixed(psi)}: ${level} from ${thresholds[level]}.${rollback}`;
  if (psi >= thresholds.moderate) return `PSI is ${fixed(psi)}, but with so few samples chance alone gives up to ${fixed(threshold)}.`;
  return `PSI is ${fixed(psi)}: moderate would begin at ${thresholds.moderate}.`;
}

function showDetail(entry, model, wantedName) {
  const section = document.getElementById("detail");
  const body = document.getElementById("detail-body");
  section.hidden = entry === null && wantedName === null;
  if (section.hidden) return;
  update(document.getElementById("detail-title"), named(entry ? entry.feature : wantedName));
  if (entry === null) {
    update(body, make("p", {}, "There is no such feature now: the reference may have changed."));
    return;
  }
  const window = entry.bins_window;
  const statistics = entry.windows[window];
  const byContribution = [...entry.bins].sort((a, b) => b.contribution - a.contribution);
  const other = entry.bins.find((bin) => bin.bin === "other");
  const missing = entry.bins.find((bin) => bin.bin === "missing");
  const seen = statistics.samples;
  const more = entry.kind === "categorical" && entry.bins.length > MOST_BINS;
  update(
    body,
    make("p", { class: "judgement" }, badge(statistics.level), ` ${entry.role}, ${entry.kind}, last ${window}`),
    make("p", {}, reason(statistics, entry.thresholds, model.min_samples)),
    make("h3", {}, "Moved most"),
    movedBins(byContribution, entry),
    make("h3", {}, entry.kind === "numeric" ? "By range" : "By category"),
    binsTable(entry, byContribution),
    more ? make("button", { type: "button", id: "all-bins", "data-key": "all" }, allBins ? `Only the ${MOST_BINS} that moved most` : `All ${entry.bins.length}`) : null,
    make(
      "dl",
      { class: "figures", "data-key": "figures" },
      pairs([
        ["Missing", `${percent(statistics.missing_ratio)}, reference ${percent(missing.reference)}`],
        other ? ["Not in the reference's list", `${percent(seen ? other.count / seen : null)}, reference ${percent(other.reference)}`] : null,
        entry.out_of_range === null ? null : ["Outside the reference's range", `${whole.format(entry.out_of_range)} since the start`],
        ["PSI by chance alone", `up to ${fixed(statistics.threshold)}`],
        ...OTHER_STATISTICS.filter(([name]) => statistics[name] !== null).map(([name, title]) => [title, fixed(statistics[name])]),
      ]),
    ),
    make("h3", {}, "In every window"),
    windowsTable(entry),
  );
}
