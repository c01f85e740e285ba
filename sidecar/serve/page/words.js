// Numbers and levels in words. Every text from traffic passes through textContent alone.

const LEVELS = ["critical", "significant", "moderate", "none", "unknown"]; // the gravest first
const SAID = { critical: "critical", significant: "significant", moderate: "moderate", none: "no drift", unknown: "unknown" };

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

function fixed(value, digits = 3) {
  return value === null ? "–" : value.toFixed(digits);
}

function percent(share, digits = 1) {
  return share === null ? "–" : `${(share * 100).toFixed(digits)}%`;
}

function seconds(value) {
  if (value === null) return "–";
  return value < 0.9995 ? `${Number((value * 1000).toPrecision(3))} ms` : `${Number(value.toPrecision(3))} s`;
}

/** Say a length of time roughly: 42 s, 3 min, 2 h 5 min, 4 d 3 h. */
function lasting(total) {
  const s = Math.max(0, Math.round(total));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** Say when, in the reader's time zone. */
function moment(text) {
  return new Date(text).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

function plural(count, one, many = `${one}s`) {
  return `${whole.format(count)} ${count === 1 ? one : many}`;
}

/** Return the gravest level of which there is any; unknown counts only where there is nothing else. */
function worst(counts) {
  return LEVELS.find((level) => counts[level] > 0) ?? "unknown";
}
