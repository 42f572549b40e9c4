// Charts, each with what it says as a text.

import { drawn, mark } from "./dom.js";
import { absolute, count, duration, several, size } from "./format.js";
import { ENDS } from "./states.js";

/** The daemon keeps so many runs of a rule. */
const SLOTS = 20;

/**
 * The last runs of a rule, the latest on the right: bytes upwards, images copied downwards, and a mark below those that
 * did not succeed.
 */
export function runsChart(runs, { slot = 7, up = 24, down = 10 } = {}) {
  const [width, marks] = [SLOTS * slot, 8];
  const chart = drawn("svg", {
    class: "runs-chart", viewBox: `0 0 ${width} ${up + down + marks + 1}`, width, height: up + down + marks + 1,
    role: "img", "aria-label": toldRuns(runs),
  });
  const most = { bytes: Math.max(1, ...runs.map((run) => run.bytes)), copied: Math.max(1, ...runs.map((run) => run.copied)) };
  const bar = Math.min(slot - 2, 14);
  runs.slice(0, SLOTS).forEach((run, index) => {
    const x = width - (index + 1) * slot + (slot - bar) / 2;
    chart.append(drawn("g", { class: `run ${run.outcome}` }, drawn("title", {}, runTitle(run)),
      drawn("rect", { class: "hit", x: x - (slot - bar) / 2, y: 0, width: slot, height: up + down + marks }),
      barOf("bytes", x, up, bar, -share(run.bytes, most.bytes, up)),
      barOf("images", x, up + 1, bar, share(run.copied, most.copied, down)),
      run.outcome === "success" ? null : fault(x + bar / 2, up + down + marks / 2 + 1)));
  });
  chart.append(drawn("path", { class: "axis", d: `M0 ${up + 0.5}h${width}` }));
  return chart;
}

/** Something is to be seen where there is something, whatever else is larger. */
function share(value, most, length) {
  return value ? Math.max(2, (value / most) * length) : 0;
}

function barOf(what, x, from, width, length) {
  if (!length) return null;
  return drawn("rect", { class: what, x, y: Math.min(from, from + length), width, height: Math.abs(length), rx: 1 });
}

function fault(x, y) {
  return drawn("path", { class: "fault", d: `M${x - 2.4} ${y - 2.4}l4.8 4.8m0 -4.8l-4.8 4.8` });
}

function runTitle(run) {
  const images = [[run.copied, "copied"], [run.unchanged, "unchanged"], [run.failed, "failed"]];
  const told = images.filter(([number]) => number).map(([number, what]) => `${count(number)} ${what}`).join(", ");
  const at = absolute(Date.parse(run.started), Date.now());
  return `${at}: ${ENDS[run.outcome]} after ${duration(run.seconds)}; ${told || "no images"}; ${size(run.bytes)}`;
}

function toldRuns(runs) {
  if (!runs.length) return "No runs yet";
  const [copied, bytes] = [sum(runs, "copied"), sum(runs, "bytes")];
  const faults = runs.filter((run) => run.outcome !== "success").length;
  const ended = faults ? `${count(faults)} of them did not succeed` : "all of them succeeded";
  return `The last ${several(runs.length, "run")}: ${ended}; ${several(copied, "image")} copied, ${size(bytes)} sent. ` +
    `The latest ${ENDS[runs[0].outcome]} with ${several(runs[0].copied, "image")} copied and ${size(runs[0].bytes)} sent.`;
}

function sum(runs, what) {
  return runs.reduce((total, run) => total + run[what], 0);
}

/** What moves: bytes read upwards, bytes written downwards, a second a step. */
export class TrafficChart {
  constructor(samples, { width = 480, height = 84 } = {}) {
    Object.assign(this, { samples, width, height });
    this.read = drawn("path", { class: "read" });
    this.written = drawn("path", { class: "written" });
    const axis = drawn("path", { class: "axis", d: `M0 ${height / 2}h${width}` });
    this.node = drawn("svg", {
      class: "traffic-chart", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true",
    }, this.read, this.written, axis);
  }

  /** Under a scale that is at least a MiB, so that a trickle looks like one. */
  show(rates) {
    const most = Math.max(1 << 20, ...rates.flatMap(({ read, written }) => [read, written])) * 1.08;
    mark(this.read, "d", this.#area(rates.map(({ read }) => -read / most)));
    mark(this.written, "d", this.#area(rates.map(({ written }) => written / most)));
  }

  #area(shares) {
    const [step, middle] = [this.width / (this.samples - 1), this.height / 2];
    const from = this.width - (shares.length - 1) * step;
    const points = shares.map((share, index) => `L${(from + index * step).toFixed(1)} ${(middle + share * middle).toFixed(1)}`);
    return shares.length < 2 ? "" : `M${from.toFixed(1)} ${middle}${points.join("")}L${this.width} ${middle}Z`;
  }
}
