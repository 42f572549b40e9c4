// Moments that are shown, and move on with the clock.

import { element, mark, say } from "./dom.js";
import { absolute, exact, relative } from "./format.js";

// Off-screen ones wait until they are seen: a second costs what is visible, however long the list is.
const seen = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting && target.isConnected) seen.add(target);
    else seen.delete(target);
  }
  tick();
});

/** A moment: how far away, and below when that is. */
export function moment(time, missing = "never") {
  const node = element("time", { class: "moment" }, element("span"), element("span", { class: "when" }));
  watcher.observe(node);
  setMoment(node, time, missing);
  return node;
}

export function setMoment(node, time, missing = "never") {
  mark(node, "datetime", time);
  node.dataset.missing = missing;
  mark(node, "title", time && exact(Date.parse(time)));
  showMoment(node, Date.now());
}

/** All that are seen. */
export function tick() {
  const now = Date.now();
  seen.forEach((node) => (node.isConnected ? showMoment(node, now) : seen.delete(node)));
}

function showMoment(node, now) {
  const time = node.getAttribute("datetime");
  const [far, when] = node.children;
  say(far, time ? relative(Date.parse(time), now) : node.dataset.missing);
  say(when, time ? absolute(Date.parse(time), now) : "");
}
