// The table of rules: what can be chosen of them, and a row for each.

import { runsChart } from "./charts.js";
import { arrange, breakable, element, icon, mark, say } from "./dom.js";
import { count, several } from "./format.js";
import { CONDITIONS, ORDERS, chosen } from "./model.js";
import { WORDS, badge, progress, setBadge, setProgress, toldRun } from "./states.js";
import { moment, setMoment } from "./times.js";

export class RulesTable {
  #rows = new Map();
  #choice = { text: "", condition: "", order: "attention" };
  #chips = new Map();

  /** The rules whose rows are seen, or soon will be. */
  near = new Set();

  /** `wants` is called when rules came near, `chose` with what is chosen. */
  constructor(model, { wants, chose }) {
    Object.assign(this, { model, chose });
    // Charts need a rule's past, which is asked for when its row comes near.
    this.watcher = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.near[isIntersecting ? "add" : "delete"](target.dataset.rule);
      wants();
    }, { rootMargin: "300px" });
    this.node = this.#section();
  }

  #section() {
    this.search = element("input", {
      type: "search", id: "rules-search", placeholder: "Name, repository, error", autocomplete: "off", spellcheck: "false",
      oninput: () => this.choose({ text: this.search.value }),
    });
    this.order = element("select", { id: "rules-order", onchange: () => this.choose({ order: this.order.value }) },
      Object.entries(ORDERS).map(([value, { label }]) => element("option", { value }, label)));
    const chips = ["", ...CONDITIONS].map((condition) => this.#chip(condition));
    this.told = element("p", { class: "told", role: "status" });
    this.body = element("tbody", { role: "rowgroup" });
    const heads = ["State", "Rule", "Last success", "Next run", "Last runs", "Latest run"];
    return element("section", { "aria-labelledby": "rules-heading", class: "rules" },
      element("div", { class: "heading" }, element("h2", { id: "rules-heading", tabindex: "-1" }, "Rules"), this.told),
      element("div", { class: "tools" },
        element("div", { class: "chips", role: "group", "aria-label": "Rules by state" }, chips),
        element("label", { class: "search" }, element("span", { class: "unseen" }, "Search the rules"), icon("search"), this.search),
        element("label", { class: "order" }, element("span", {}, "Sorted by"), this.order)),
      element("table", { role: "table", class: "list", "aria-labelledby": "rules-heading" },
        element("thead", { role: "rowgroup" }, element("tr", { role: "row" },
          heads.map((head) => element("th", { role: "columnheader", scope: "col" }, head)))),
        this.body));
  }

  #chip(condition) {
    const number = element("span", { class: "number" }, "0");
    const chip = element("button", {
      type: "button", class: "chip", "aria-pressed": "false", "data-state": condition || "all",
      onclick: () => this.choose({ condition: this.#choice.condition === condition ? "" : condition }),
    }, condition ? icon(condition) : null, element("span", {}, condition ? WORDS[condition] : "All"), number);
    this.#chips.set(condition, { chip, number });
    return chip;
  }

  choose(choice) {
    this.#choice = { ...this.#choice, ...choice };
    if (this.search.value !== this.#choice.text) this.search.value = this.#choice.text;
    this.order.value = this.#choice.order in ORDERS ? this.#choice.order : "attention";
    this.chose(this.#choice);
    this.arrange();
  }

  /** Everything: after a load, or another choice. */
  arrange() {
    const counts = this.model.counts();
    for (const [condition, { chip, number }] of this.#chips) {
      const rules = condition ? counts[condition] : this.model.rules.size;
      say(number, count(rules));
      mark(chip, "aria-pressed", String(this.#choice.condition === condition));
      chip.classList.toggle("none", rules === 0);
    }
    const rules = chosen(this.model.rules.values(), this.#choice);
    for (const [name, row] of this.#rows) if (!this.model.rules.has(name)) this.#forget(name, row);
    arrange(this.body, rules.map((rule) => this.#row(rule).node));
    say(this.told, rules.length === this.model.rules.size ? several(rules.length, "rule") :
      `${count(rules.length)} of ${several(this.model.rules.size, "rule")}`);
    this.node.classList.toggle("empty", rules.length === 0);
  }

  focus(name) {
    this.#rows.get(name)?.link.focus();
  }

  #row(rule) {
    let row = this.#rows.get(rule.name);
    if (!row) {
      row = new RuleRow(rule);
      this.#rows.set(rule.name, row);
      this.watcher.observe(row.node);
    }
    row.show(rule, this.model.runs.get(rule.name));
    return row;
  }

  #forget(name, row) {
    this.watcher.unobserve(row.node);
    this.near.delete(name);
    this.#rows.delete(name);
  }
}

/** Where a rule reads, and where it writes. */
export function fromTo({ sources, targets }) {
  const side = (all) => [element("span", { class: "ref" }, breakable(all[0] ?? "")), all.length > 1 ? ` +${all.length - 1}` : null];
  return element("span", { class: "from-to" }, side(sources), " ", icon("arrow"), element("span", { class: "unseen" }, " to "), " ", side(targets));
}

export function ruleAddress(name) {
  return `#/rules/${encodeURIComponent(name)}`;
}

/** A rule's row. What has not changed since it was shown is left alone. */
class RuleRow {
  #rule = null;
  #runs = null;

  constructor(rule) {
    this.badge = badge(rule.condition);
    this.link = element("a", { href: ruleAddress(rule.name), class: "name" }, rule.name);
    this.below = element("div", { class: "below" });
    this.success = moment(rule.last_success);
    this.next = moment(rule.next, "not planned");
    this.chart = element("div", { class: "chart" });
    this.latest = element("div", { class: "latest" }, element("span"), element("span", { class: "when" }));
    const cell = (name, head, ...children) => element("td", { role: "cell", class: name, "data-head": head }, children);
    this.node = element("tr", { role: "row", "data-rule": rule.name },
      cell("state", "State", this.badge), cell("rule", "Rule", this.link, this.below),
      cell("success", "Last success", this.success), cell("next", "Next run", this.next),
      cell("runs", "Last runs", this.chart), cell("last", "Latest run", this.latest));
  }

  show(rule, runs) {
    if (rule !== this.#rule) this.#showRule(rule);
    if (runs !== this.#runs) this.#showRuns(runs);
  }

  #showRule(rule) {
    const before = this.#rule;
    this.#rule = rule;
    setBadge(this.badge, rule.condition);
    setMoment(this.success, rule.last_success);
    setMoment(this.next, rule.next, rule.run ? "under way" : "not planned");
    toldRun(rule.last_run).forEach((text, index) => say(this.latest.children[index], text));
    mark(this.node, "data-state", rule.condition);
    const is = [before, rule].map((one) => one?.condition);
    if (is[0] === "running" && is[1] === "running") setProgress(this.below.firstChild, rule);
    else this.below.replaceChildren(this.#detail(rule));
  }

  #detail(rule) {
    if (rule.condition === "waiting") return element("span", { class: "note" }, rule.waiting);
    if (rule.condition === "running") return progress(rule);
    if (rule.condition === "failing" && rule.last_error) return element("span", { class: "fault-text" }, breakable(rule.last_error.error));
    return fromTo(rule);
  }

  #showRuns(runs) {
    this.#runs = runs;
    if (runs) this.chart.replaceChildren(runs.length ? runsChart(runs) : element("span", { class: "when" }, "none yet"));
  }
}
