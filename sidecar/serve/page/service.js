// Latency and errors, the reference, and the sidecar itself.

function latencyState(service, window) {
  const reading = service.windows[window];
  const p95 = `p95 ${seconds(reading.p95)}`;
  if (!reading.count) return { level: "unknown", word: "unknown", text: `no latency in the last ${window}` };
  const missed = reading.slos.filter((slo) => slo.met === false);
  if (reading.count < service.min_predictions) return { level: "unknown", word: "too few", text: p95 };
  if (!reading.slos.length) return { level: "none", word: seconds(reading.p95), text: "p95" };
  if (!missed.length) return { level: "none", word: "met", text: p95 };
  const [slo] = missed;
  return { level: "significant", word: "missed", text: `${percent(slo.within)} in ${seconds(slo.seconds)}, not ${percent(slo.target, 0)}` };
}

function errorState(service, window) {
  const { events, errors, error_ratio: ratio } = service.windows[window];
  if (!events) return { level: "unknown", word: "unknown", text: `no predictions in the last ${window}` };
  const text = `${whole.format(errors)} of ${whole.format(events)}`;
  if (events >= service.min_predictions && ratio > service.error_limit) return { level: "critical", word: percent(ratio), text: `${text}, over ${percent(service.error_limit, 0)}` };
  return { level: "none", word: percent(ratio), text };
}

/** Draw p50, p95, p99 and the bounds of the objectives on one logarithmic scale. */
function latencyBar(reading, low, high) {
  const at = (value) => `${(Math.log(Math.min(Math.max(value, low), high) / low) / Math.log(high / low)) * 100}%`;
  if (!reading.count) return make("svg", { class: "latency", "aria-hidden": "true" });
  const [from, to] = [parseFloat(at(reading.p50)), parseFloat(at(reading.p99))];
  return make(
    "svg",
    { class: "latency", "aria-hidden": "true" },
    make("line", { class: "axis", x1: 0, x2: "100%", y1: "50%", y2: "50%" }),
    make("rect", { class: "live", x: `${from}%`, y: "35%", width: `${Math.max(to - from, 0.5)}%`, height: "30%" }),
    make("circle", { class: "live", cx: at(reading.p95), cy: "50%", r: 5 }),
    reading.slos.map((slo) => make("line", { class: `slo ${slo.met === false ? "missed" : "met"}`, x1: at(slo.seconds), x2: at(slo.seconds), y1: 0, y2: "100%" })),
  );
}

function sloCell(slo, enough) {
  if (slo.met === null) return badge("unknown");
  const [level, word] = !enough ? ["unknown", "too few"] : slo.met ? ["none", "met"] : ["significant", "missed"];
  return make("span", {}, badge(level, word), ` ${percent(slo.within, 2)}`);
}

function heads(texts, kinds) {
  return make("thead", {}, make("tr", {}, texts.map((text, i) => make("th", { scope: "col", class: kinds[i] ?? null }, text))));
}

function rowsOf(readings, chosen, cells) {
  const row = ([window, r]) => make("tr", { "data-key": window, class: window === chosen ? "open" : null }, make("th", { scope: "row" }, window), cells(window, r));
  return make("tbody", {}, readings.map(row));
}

function latencyTable(service, chosen) {
  const readings = Object.entries(service.windows);
  const values = readings.flatMap(([, r]) => [r.p50, r.p99, ...r.slos.map((slo) => slo.seconds)]).filter((v) => v > 0);
  const [low, high] = [Math.min(...values, 1) / 1.5, Math.max(...values, 0.001) * 1.5];
  const cells = (window, r) => {
    const errors = errorState(service, window);
    return [
      ...[r.p50, r.p95, r.p99].map((value) => make("td", { class: "number" }, seconds(value))),
      make("td", { class: "wide" }, latencyBar(r, low, high)),
      make("td", { class: "number" }, errors.level === "critical" ? badge("critical", percent(r.error_ratio)) : percent(r.error_ratio)),
      make("td", { class: "number wide" }, whole.format(r.events)),
    ];
  };
  return make(
    "table",
    { "data-key": "latency" },
    make("caption", { class: "unseen" }, "Latency and errors in every window"),
    heads(["Window", "p50", "p95", "p99", "p50–p99, p95 ●, objectives |", "Errors", "Predictions"], [null, "number", "number", "number", "wide scale", "number", "number wide"]),
    rowsOf(readings, chosen, cells),
  );
}

function objectivesTable(service, chosen) {
  const readings = Object.entries(service.windows);
  const objectives = readings[0][1].slos;
  if (!objectives.length) return null;
  const titles = objectives.map((slo) => `${percent(slo.target, Number.isInteger(Math.round(slo.target * 1e6) / 1e4) ? 0 : 2)} within ${seconds(slo.seconds)}`);
  return make(
    "table",
    { "data-key": "objectives" },
    make("caption", { class: "unseen" }, "Latency objectives in every window"),
    heads(["Objective", ...titles], []),
    rowsOf(readings, chosen, (_, r) => r.slos.map((slo) => make("td", {}, sloCell(slo, r.count >= service.min_predictions)))),
  );
}

function showService(service, chosen) {
  update(document.querySelector("#service > div"), latencyTable(service, chosen), objectivesTable(service, chosen));
}

function showReference(reference) {
  const list = document.querySelector("#reference dl");
  if (reference === null) {
    update(list, pairs([["State", "being learned"]]));
    return;
  }
  const age = (Date.now() - Date.parse(reference.created)) / 1000;
  update(
    list,
    pairs([
      ["Source", named(reference.source || "not said")],
      ["Model version", named(reference.model_version || "not said")],
      ["Rows", whole.format(reference.rows)],
      ...(reference.season ? [["Season", season(reference.season)]] : []),
      ["Created", `${moment(reference.created)}, ${lasting(age)} ago`],
      ["Fingerprint", make("code", {}, reference.fingerprint)],
    ]),
  );
}

function season({ cycle, time_zone }) {
  return `${cycle.replaceAll("-", " ")}, ${time_zone}`;
}

function reasons(counts) {
  const found = Object.entries(counts).filter(([, count]) => count > 0);
  return found.length ? found.map(([why, count]) => `${whole.format(count)} ${why.replaceAll("_", " ")}`).join(", ") : "0";
}

function showSidecar(health, model) {
  const load = health.last_load;
  const unknown = health.unknown_features[model];
  update(
    document.querySelector("#sidecar dl"),
    pairs([
      ["Version", health.version],
      ["Up for", lasting(health.uptime_seconds)],
      [
        "Last load",
        load.successful ? moment(load.last_success) : make("span", {}, badge("critical", "failed"), ` still as of ${moment(load.last_success)}`),
      ],
      unknown ? ["Unknown features", `${whole.format(unknown)} values ignored`] : null,
    ]),
  );
  const rows = Object.entries(health.ingest).map(([transport, counts]) =>
    make(
      "tr",
      { "data-key": transport },
      make("th", { scope: "row" }, transport.replaceAll("_", " ")),
      make("td", { class: "number" }, whole.format(counts.events)),
      make("td", {}, reasons(counts.rejected)),
      make("td", {}, reasons(counts.dropped)),
    ),
  );
  const head = ["Events by", "Taken", "Refused", "Dropped"];
  update(
    document.querySelector("#sidecar > div"),
    make(
      "table",
      { "data-key": "ingest" },
      make("caption", { class: "unseen" }, "Events since the start by transport"),
      make("thead", {}, make("tr", {}, head.map((text, i) => make("th", { scope: "col", class: i === 1 ? "number" : null }, text)))),
      make("tbody", {}, rows),
    ),
  );
}
