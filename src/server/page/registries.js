// The registries: how they answer, what they may be asked, what is left of their quotas.

import { arrange, breakable, element, say } from "./dom.js";
import { clock, count, duration, size } from "./format.js";
import { badge, setBadge } from "./states.js";
import { moment, setMoment } from "./times.js";

const WAITS = {
  connections: "connections", window: "what it takes at once", rate: "rate", bandwidth: "bandwidth", quota: "quota",
  retry_after: "as it asked",
};

export class RegistriesTable {
  #rows = new Map();

  constructor() {
    const heads = ["Health", "Registry", "Pulls left", "Limits", "Waited", "Requests", "Last answer"];
    this.told = element("p", { class: "told" });
    this.body = element("tbody", { role: "rowgroup" });
    this.node = element("section", { class: "registries", "aria-labelledby": "registries-heading" },
      element("div", { class: "heading" }, element("h2", { id: "registries-heading" }, "Registries"), this.told),
      element("table", { role: "table", class: "list", "aria-labelledby": "registries-heading" },
        element("thead", { role: "rowgroup" }, element("tr", { role: "row" },
          heads.map((head) => element("th", { role: "columnheader", scope: "col" }, head)))),
        this.body));
  }

  show(registries) {
    this.node.hidden = registries.length === 0;
    say(this.told, `${count(registries.length)} ${registries.length === 1 ? "registry" : "registries"}`);
    const hosts = new Set(registries.map(({ host }) => host));
    for (const host of this.#rows.keys()) if (!hosts.has(host)) this.#rows.delete(host);
    arrange(this.body, registries.map((registry) => this.#row(registry).node));
  }

  #row(registry) {
    const row = this.#rows.get(registry.host) ?? new RegistryRow(registry);
    this.#rows.set(registry.host, row);
    row.show(registry);
    return row;
  }
}

class RegistryRow {
  constructor({ host, health }) {
    const two = () => element("div", { class: "two" }, element("span"), element("span", { class: "when" }));
    const cell = (name, head, ...children) => element("td", { role: "cell", class: name, "data-head": head }, children);
    this.badge = badge(health);
    this.fault = element("div", { class: "below" });
    [this.pulls, this.limits, this.waits, this.requests] = [two(), two(), two(), two()];
    this.answer = moment(null);
    this.node = element("tr", { role: "row" },
      cell("state", "Health", this.badge),
      cell("rule", "Registry", element("span", { class: "name ref" }, breakable(host)), this.fault),
      cell("pulls", "Pulls left", this.pulls), cell("limits", "Limits", this.limits), cell("waits", "Waited", this.waits),
      cell("requests", "Requests", this.requests), cell("answer", "Last answer", this.answer));
  }

  show(registry) {
    setBadge(this.badge, registry.health);
    this.node.dataset.state = registry.health;
    say(this.fault, ["failing", "throttled"].includes(registry.health) ? (registry.last_error?.error ?? "") : "");
    tell(this.pulls, pulls(registry));
    tell(this.limits, limits(registry.limits));
    tell(this.waits, waits(registry.throttled_seconds));
    tell(this.requests, [count(registry.requests), registry.retries ? `${count(registry.retries)} again` : ""]);
    setMoment(this.answer, registry.last_answer, "none yet");
  }
}

function tell(node, texts) {
  texts.forEach((text, index) => say(node.children[index], text));
}

function pulls({ pulls_left: left, limits: { pull_reserve: reserve } }) {
  const kept = reserve ? `${count(reserve)} kept for others` : "";
  if (!left) return ["not counted", kept];
  const until = clock(Date.parse(left.until));
  return [count(left.remaining), [`all by ${until}`, kept].filter(Boolean).join(", ")];
}

function limits({ max_connections: most, requests_per_second: rate, bandwidth }) {
  const more = [rate && `${rate}/s`, bandwidth && `${size(bandwidth)}/s`].filter(Boolean);
  return [`${count(most)} at once`, more.join(", ")];
}

function waits(seconds) {
  const all = Object.entries(seconds).filter(([, waited]) => waited >= 0.5).sort((one, other) => other[1] - one[1]);
  if (!all.length) return ["not at all", ""];
  const sum = all.reduce((total, [, waited]) => total + waited, 0);
  return [duration(sum), all.slice(0, 2).map(([reason, waited]) => `${WAITS[reason] ?? reason} ${duration(waited)}`).join(", ")];
}
