// A rule's own page: where it stands, its last runs, its images, and a run for who asks for one.

import { runsChart } from "./charts.js";
import { breakable, element, icon, say } from "./dom.js";
import { count, duration, several, size } from "./format.js";
import { ImagesTable } from "./images.js";
import { badge, progress, setBadge, setProgress } from "./states.js";
import { moment, setMoment } from "./times.js";

export class RulePage {
  #name = null;
  #shown = null;
  #runs = null;

  /** `sync` asks for a run, the others are for the images. */
  constructor(model, root, { sync, fetch, chose }) {
    this.model = model;
    this.heading = element("h1", { tabindex: "-1", id: "rule-heading" });
    this.badge = badge("new");
    this.button = element("button", { type: "button", class: "primary", onclick: () => sync(this.#name) }, "Sync now");
    this.outcome = element("p", { class: "outcome", role: "status" });
    this.between = element("div", { class: "between" });
    this.now = element("div", { class: "now" });
    this.facts = { success: moment(null), next: moment(null), run: element("div", { class: "two" }, element("span"), element("span", { class: "when" })), images: element("div", { class: "two" }, element("span"), element("span", { class: "when" })) };
    this.fault = element("section", { class: "fault-box", "aria-labelledby": "fault-heading", hidden: true });
    this.chart = element("div", { class: "chart large" });
    this.scale = element("p", { class: "legend" });
    this.past = element("div", { class: "past", role: "region", "aria-label": "Each of the last runs", tabindex: "0" });
    this.images = new ImagesTable({ fetch, chose });
    const fact = (label, node) => element("div", {}, element("dt", {}, label), element("dd", {}, node));
    root.append(
      element("nav", { "aria-label": "Back", class: "back" }, element("a", { href: "#/", id: "back" }, icon("back"), " All rules")),
      element("header", { class: "rule-head" },
        element("div", {}, element("div", { class: "title" }, this.heading, this.badge), this.between),
        element("div", { class: "act" }, this.button)),
      this.outcome, this.now,
      element("dl", { class: "facts" }, fact("Last success", this.facts.success), fact("Next run", this.facts.next), fact("Latest run", this.facts.run), fact("Images", this.facts.images)),
      this.fault,
      element("section", { class: "history", "aria-labelledby": "history-heading" },
        element("div", { class: "heading" }, element("h2", { id: "history-heading" }, "Last runs"), this.scale),
        element("div", { class: "runs-beside" }, this.chart, this.past)),
      this.images.node);
  }

  /** Another rule's page. */
  open(name) {
    this.#name = name;
    this.#shown = this.#runs = null;
    say(this.outcome, "");
    this.outcome.dataset.kind = "";
    say(this.heading, name);
    this.show();
  }

  get name() {
    return this.#name;
  }

  /** What came of asking for a run: `good`, `bad`, or nothing yet. */
  tell(text, kind = "") {
    say(this.outcome, text);
    this.outcome.dataset.kind = kind;
  }

  showCounts({ total, failed }) {
    const [first, second] = this.facts.images.children;
    say(first, count(total));
    say(second, failed ? `${count(failed)} failed` : "");
  }

  show() {
    const [rule, runs] = [this.model.rules.get(this.#name), this.model.runs.get(this.#name)];
    if (rule && rule !== this.#shown) this.#showRule(rule);
    if (runs && runs !== this.#runs) this.#showRuns(runs);
  }

  #showRule(rule) {
    const before = this.#shown;
    this.#shown = rule;
    setBadge(this.badge, rule.condition);
    setMoment(this.facts.success, rule.last_success);
    setMoment(this.facts.next, rule.next, rule.run ? "under way" : "not planned");
    if (!before) this.between.replaceChildren(side("From", rule.sources), side("To", rule.targets));
    if (before?.run && rule.run && before.waiting === rule.waiting) setProgress(this.now.firstChild, rule);
    else this.now.replaceChildren(...[rule.run && progress(rule), rule.waiting && element("p", { class: "note" }, icon("waiting"), " ", rule.waiting)].filter(Boolean));
    const [first, second] = this.facts.run.children;
    say(first, rule.last_run ? duration(rule.last_run.seconds) : "none yet");
    say(second, rule.last_run ? toldImages(rule.last_run) : "");
    if (rule.last_error !== before?.last_error) this.#showFault(rule);
  }

  #showFault({ last_error: error, condition, last_success: success }) {
    this.fault.hidden = !error;
    if (!error) return;
    const isOver = condition === "fresh" || (success && Date.parse(success) > Date.parse(error.at));
    this.fault.classList.toggle("over", Boolean(isOver));
    this.fault.replaceChildren(
      element("h2", { id: "fault-heading" }, icon("failing"), isOver ? " The last error, which is over" : " The last error"), moment(error.at),
      element("p", {}, breakable(error.error)));
  }

  #showRuns(runs) {
    this.#runs = runs;
    const most = (what) => Math.max(0, ...runs.map((run) => run[what]));
    this.chart.replaceChildren(runsChart(runs, { slot: 26, up: 96, down: 48 }));
    this.scale.replaceChildren(...(runs.length ? [
      element("span", { class: "key bytes" }, `bytes sent, ${size(most("bytes"))} at most`),
      element("span", { class: "key images" }, `images copied, ${count(most("copied"))} at most`),
      element("span", { class: "key fault" }, "did not succeed")] : ["none yet"]));
    this.past.parentNode.hidden = !runs.length;
    this.past.replaceChildren(runsTable(runs));
  }
}

function side(label, references) {
  return element("div", {}, element("span", { class: "side" }, label), element("ul", {}, references.map((text) => element("li", { class: "ref" }, breakable(text)))));
}

function toldImages(run) {
  const parts = [[run.copied, "copied"], [run.unchanged, "in place"], [run.skipped, "left alone"], [run.failed, "failed"], [run.pruned, "pruned"]];
  return parts.filter(([number]) => number).map(([number, what]) => `${count(number)} ${what}`).join(", ") || several(0, "image");
}

function runsTable(runs) {
  const cell = (text) => element("td", {}, text);
  return element("table", { class: "plain" },
    element("thead", {}, element("tr", {}, ["Outcome", "Began", "Took", "Images", "Sent"].map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, runs.map((run) => element("tr", {},
      cell(badge(run.outcome)), cell(moment(run.started)), cell(duration(run.seconds)), cell(toldImages(run)), cell(size(run.bytes))))));
}
