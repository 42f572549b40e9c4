// The first page: how it stands in one sentence, what moves, the rules, the registries, the imports.

import { TrafficChart } from "./charts.js";
import { arrange, breakable, element, icon, say } from "./dom.js";
import { count, several, size } from "./format.js";
import { SAMPLES } from "./model.js";
import { RegistriesTable } from "./registries.js";
import { RulesTable, ruleAddress } from "./rules.js";
import { badge, progress, setProgress } from "./states.js";
import { moment } from "./times.js";

/** So many runs are shown above the rules; a link leads to all of them. */
const MOST_RUNNING = 5;

export class Overview {
  constructor(model, root, ways) {
    this.model = model;
    this.rules = new RulesTable(model, ways);
    this.registries = new RegistriesTable();
    this.traffic = new TrafficChart(SAMPLES);
    this.shape = element("span", { class: "shape" });
    this.sentence = element("h1", { id: "sentence" });
    this.more = element("p", { class: "lead" });
    this.figures = element("p", { class: "traffic-figures" }, element("span", { class: "read" }), element("span", { class: "written" }), element("span", { class: "transfers" }));
    this.running = element("ul", { class: "running", "aria-label": "Runs under way" });
    this.imports = element("section", { class: "imports", "aria-labelledby": "imports-heading", hidden: true },
      element("div", { class: "heading" }, element("h2", { id: "imports-heading" }, "Imports")), element("ul", { class: "jobs" }));
    root.append(
      element("section", { class: "pulse", "aria-labelledby": "sentence" },
        element("div", { class: "stand" }, element("div", { class: "verdict" }, this.shape, element("div", {}, this.sentence, this.more)), this.running),
        element("div", { class: "traffic" }, this.figures, this.traffic.node, element("p", { class: "scale", "aria-hidden": "true" }, element("span", {}, `${SAMPLES} s ago`), element("span", {}, "now")))),
      this.rules.node, this.registries.node, this.imports);
  }

  show() {
    this.#verdict();
    this.#running();
    this.rules.arrange();
    if (this.model.registries) this.registries.show(this.model.registries);
    this.#imports();
  }

  /** A second has passed. */
  showTraffic() {
    const { read, written } = this.model.rate();
    const [first, second, third] = this.figures.children;
    say(first, `${size(read)}/s read`);
    say(second, `${size(written)}/s written`);
    say(third, several(this.model.transfers, "transfer"));
    this.traffic.show(this.model.rates);
  }

  #verdict() {
    const counts = this.model.counts();
    const [worst, sentence] = verdict(counts, this.model.rules.size);
    say(this.sentence, sentence);
    if (this.shape.dataset.state !== worst) {
      this.shape.dataset.state = worst;
      this.shape.replaceChildren(icon(worst));
    }
    this.#lead(counts);
  }

  #lead(counts) {
    const told = [["waiting", "waits", "wait", "for quota"], ["running", "is", "are", "running"], ["new", "has", "have", "never run"]]
      .filter(([condition]) => counts[condition])
      .map(([condition, one, several, what]) => `${count(counts[condition])} ${counts[condition] === 1 ? one : several} ${what}`);
    const next = [...this.model.rules.values()].filter((rule) => rule.next && !rule.run)
      .reduce((first, rule) => (first && first.next <= rule.next ? first : rule), null);
    const said = [told.length ? `${told.join(", ")}. ` : "", next?.name, next?.next];
    // Its link may have the focus: it is made anew only where something else is said.
    if (said.join("\n") === this.said) return;
    this.said = said.join("\n");
    this.more.replaceChildren(said[0]);
    if (next) this.more.append("Next: ", element("a", { href: ruleAddress(next.name) }, next.name), " ", moment(next.next));
  }

  #running() {
    const running = this.model.running();
    const items = running.slice(0, MOST_RUNNING).map((rule) => this.#run(rule));
    if (running.length > MOST_RUNNING) {
      const more = running.length - MOST_RUNNING;
      items.push(element("li", { class: "more" }, element("a", { href: "#/?state=running" }, `and ${count(more)} more`)));
    }
    arrange(this.running, items);
    this.running.hidden = items.length === 0;
  }

  #run(rule) {
    const known = [...this.running.children].find((item) => item.dataset.rule === rule.name);
    if (known) {
      setProgress(known.lastElementChild, rule);
      return known;
    }
    return element("li", { "data-rule": rule.name }, element("a", { href: ruleAddress(rule.name) }, rule.name), progress(rule));
  }

  #imports() {
    const jobs = this.model.imports.slice(0, 20);
    this.imports.hidden = jobs.length === 0;
    this.imports.lastElementChild.replaceChildren(...jobs.map((job) => element("li", {},
      badge(job.state),
      element("span", { class: "from-to" }, element("span", { class: "ref" }, breakable(job.source)), " ", icon("arrow"),
        element("span", { class: "unseen" }, " to "), " ", element("span", { class: "ref" }, breakable(job.targets.join(", ")))),
      moment(job.ended ?? job.started ?? job.created),
      job.error ? element("p", { class: "fault-text" }, job.error) : null)));
  }
}

/** How it stands: the worst condition, and the sentence for it. */
function verdict(counts, all) {
  if (!all) return ["new", "There are no rules yet"];
  if (counts.failing) return ["failing", `${count(counts.failing)} of ${several(all, "rule")} ${counts.failing === 1 ? "is" : "are"} failing`];
  if (counts.fresh === all) return ["fresh", all === 1 ? "The rule is fresh" : `All ${count(all)} rules are fresh`];
  if (counts.waiting) return ["waiting", `Nothing fails, and ${several(counts.waiting, "rule")} ${counts.waiting === 1 ? "waits" : "wait"} for quota`];
  if (counts.running) return ["running", `Nothing fails, and ${several(counts.running, "rule")} ${counts.running === 1 ? "is" : "are"} running`];
  return ["new", `${count(counts.fresh)} of ${several(all, "rule")} are fresh`];
}
