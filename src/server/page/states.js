// What states are called and look like: a shape, a word, and only then a colour.

import { element, icon, mark, say } from "./dom.js";
import { count, several, size } from "./format.js";

export const WORDS = {
  failing: "Failing", waiting: "Waiting for quota", running: "Running", new: "Never run", fresh: "Fresh",
  ok: "Answers", throttled: "Throttled", unknown: "Not asked yet",
  copied: "Copied", unchanged: "In place", skipped: "Left alone", failed: "Failed",
  queued: "Queued", done: "Done",
  success: "Succeeded", failure: "Failed", timeout: "Took too long", cancelled: "Stopped",
};

/** What a run did in the end, within a sentence. */
export const ENDS = { success: "succeeded", failure: "failed", timeout: "took too long", cancelled: "was stopped" };

const SHAPES = {
  ok: "fresh", unknown: "new", failed: "failing", queued: "new", done: "fresh",
  success: "fresh", failure: "failing", timeout: "waiting", cancelled: "skipped",
};

/** A state: its shape and its word. */
export function badge(state) {
  const node = element("span", { class: "badge" });
  setBadge(node, state);
  return node;
}

export function setBadge(node, state) {
  if (node.dataset.state === state) return;
  node.dataset.state = state;
  node.replaceChildren(icon(SHAPES[state] ?? state), element("span", {}, WORDS[state] ?? state));
}

/** How far a run is: a bar and what it says. */
export function progress(rule) {
  const bar = element("progress", { "aria-label": `Progress of ${rule.name}` });
  const node = element("div", { class: "progress" }, bar, element("span", { class: "figures" }));
  setProgress(node, rule);
  return node;
}

export function setProgress(node, { run }) {
  const [bar, text] = node.children;
  mark(bar, "max", Math.max(1, run.found));
  // A bar without a value says that it is not known yet how much there is.
  mark(bar, "value", run.found ? run.done : null);
  say(text, toldProgress(run));
}

function toldProgress({ found, done, failed, bytes }) {
  if (!found && !done) return "looking for what there is to do";
  // How many there are of a run that another replica owns is not known here.
  const told = [found ? `${count(done)} of ${several(found, "image")}` : several(done, "image")];
  if (failed) told.push(`${count(failed)} failed`);
  if (bytes) told.push(size(bytes));
  return told.join(" · ");
}

/** What a run brought, in two lines. */
export function toldRun(run) {
  if (!run) return ["", ""];
  const parts = [[run.copied, "copied"], [run.failed, "failed"], [run.pruned, "pruned"]].filter(([number]) => number);
  const images = parts.map(([number, what]) => `${count(number)} ${what}`).join(", ");
  return [images || `${count(run.unchanged)} in place`, run.bytes ? size(run.bytes) : "nothing sent"];
}
