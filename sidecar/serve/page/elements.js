// Making elements, and bringing those that are shown up to date in place, so that focus and selection stay.

const SVG = "http://www.w3.org/2000/svg";
const DRAWN = new Set(["svg", "rect", "line", "path", "circle", "g"]);

/** Make an element: attributes that are null or false are left out, children are elements or text. */
function make(tag, attributes = {}, ...children) {
  const element = DRAWN.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null));
  return element;
}

const TURNING = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Write out control characters, and those that turn the direction of what follows. */
function plain(text) {
  return text.replace(TURNING, (c) => `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`);
}

/** Names of models, features and categories may be written from right to left: they get a direction of their own. */
function named(text) {
  return make("bdi", {}, plain(text));
}

const SHAPES = {
  critical: "M5 1h6l4 4v6l-4 4H5l-4-4V5z",
  significant: "M8 1l7 13H1z",
  moderate: "M8 3l5.5 10h-11z",
  none: "M3 8.5l3.5 3.5L13 4.5",
  unknown: "M3 8h2M7 8h2M11 8h2",
};

/** Draw the sign of a level, which differs in shape as well as in colour. */
function sign(level) {
  return make("svg", { class: `sign ${level}`, viewBox: "0 0 16 16", "aria-hidden": "true" }, make("path", { d: SHAPES[level] }));
}

/** Say a level, or another word at the level's weight, with its sign. */
function badge(level, word = SAID[level]) {
  return make("span", { class: `badge ${level}` }, sign(level), " ", word);
}

/** Make the children of `shown` like `wanted`, reusing those of the same key, or of the same tag where keys are not given. */
function update(shown, ...wanted) {
  const focused = document.activeElement;
  replaceChildren(shown, wanted.flat().filter((child) => child !== null));
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}

function replaceChildren(shown, wanted) {
  const keyed = new Map();
  for (const child of shown.children) if (child.dataset.key) keyed.set(child.dataset.key, child);
  let next = shown.firstChild;
  for (const item of wanted) {
    const fresh = typeof item === "string" ? document.createTextNode(item) : item;
    const key = fresh.dataset?.key;
    let old = key ? keyed.get(key) : next;
    if (old && !(old.nodeName === fresh.nodeName && old.dataset?.key === key)) old = null;
    if (!old) {
      shown.insertBefore(fresh, next);
      continue;
    }
    if (old === next) next = next.nextSibling;
    else shown.insertBefore(old, next);
    like(old, fresh);
  }
  while (next) {
    const after = next.nextSibling;
    next.remove();
    next = after;
  }
}

function like(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  replaceChildren(old, [...fresh.childNodes]);
}
