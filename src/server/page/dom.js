// The document's parts, made and changed without markup in texts.

const SVG = "http://www.w3.org/2000/svg";

/** An element; attributes that are functions, `onclick` say, listen; those that are null or false are left out. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice("on".length), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function icon(name) {
  return drawn("svg", { class: "icon", "aria-hidden": "true" }, drawn("use", { href: `#i-${name}` }));
}

export function byId(id) {
  return document.getElementById(id);
}

/** Changes a text only where it differs: what is selected or read out stays alone. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function mark(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Makes these the children, in this order, moving none that stands right; the focus stays where it is. */
export function arrange(parent, nodes) {
  const [wanted, focused] = [new Set(nodes), document.activeElement];
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  let place = parent.firstElementChild;
  for (const node of nodes) {
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

/** A text that may be broken after what divides a reference. */
export function breakable(text) {
  return text.split(/(?<=[/:@])/).flatMap((part, index) => (index ? [document.createElement("wbr"), part] : [part]));
}

/** What a screen reader is told, beside what it reads anyway. */
export function announce(text) {
  say(byId("announcer"), text);
}
