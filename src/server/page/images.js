// A rule's images: a page of them at a time, however many there are.

import { arrange, breakable, element, icon, mark, say } from "./dom.js";
import { count, several, shortDigest, size } from "./format.js";
import { badge } from "./states.js";
import { moment } from "./times.js";

const PER_PAGE = 100;
const OUTCOMES = { "": "All", failed: "Failed", copied: "Copied", unchanged: "In place", skipped: "Left alone" };

export class ImagesTable {
  #name = null;
  #choice = {};
  #asked = 0;

  /** `fetch` gets a page, `chose` is told what is chosen. */
  constructor({ fetch, chose }) {
    Object.assign(this, { fetch, chose });
    this.chips = Object.entries(OUTCOMES).map(([outcome, label]) => element("button", {
      type: "button", class: "chip", "aria-pressed": "false", "data-outcome": outcome,
      onclick: () => this.choose({ outcome, page: 1 }),
    }, outcome ? icon({ failed: "failing" }[outcome] ?? outcome) : null, element("span", {}, label)));
    this.search = element("input", {
      type: "search", placeholder: "Tag, repository, digest", autocomplete: "off", spellcheck: "false", id: "images-search",
      oninput: () => this.choose({ contains: this.search.value.trim(), page: 1 }),
    });
    this.order = element("select", { onchange: () => this.choose({ order: this.order.value, page: 1 }) },
      element("option", { value: "name" }, "Name"), element("option", { value: "latest" }, "Latest copy"));
    this.told = element("p", { class: "told", role: "status" });
    this.body = element("tbody", { role: "rowgroup" });
    const turn = (label, by) => element("button", { type: "button", class: "quiet", onclick: () => this.choose({ page: this.#choice.page + by }) }, label);
    [this.before, this.after] = [turn("Previous", -1), turn("Next", 1)];
    this.place = element("span");
    this.pager = element("nav", { class: "pager", "aria-label": "Pages of images" }, this.before, this.place, this.after);
    const heads = ["Outcome", "Image", "Digest", "Platforms", "Copied", "Sent"];
    this.node = element("section", { class: "images", "aria-labelledby": "images-heading" },
      element("div", { class: "heading" }, element("h2", { id: "images-heading" }, "Images"), this.told),
      element("div", { class: "tools" },
        element("div", { class: "chips", role: "group", "aria-label": "Images by what became of them" }, this.chips),
        element("label", { class: "search" }, element("span", { class: "unseen" }, "Search the images"), icon("search"), this.search),
        element("label", { class: "order" }, element("span", {}, "Sorted by"), this.order)),
      element("table", { role: "table", class: "list", "aria-labelledby": "images-heading" },
        element("thead", { role: "rowgroup" }, element("tr", { role: "row" },
          heads.map((head) => element("th", { role: "columnheader", scope: "col" }, head)))),
        this.body),
      this.pager);
  }

  /** Those of a rule, as the address says. */
  open(name, { outcome = "", order = "name", contains = "", page = 1 }) {
    if (name !== this.#name) this.body.replaceChildren();
    this.#name = name;
    this.#choice = { outcome: outcome in OUTCOMES ? outcome : "", order, contains, page: Number(page) || 1 };
    if (this.search.value.trim() !== contains) this.search.value = contains;
    return this.refresh();
  }

  async choose(choice) {
    this.#choice = { ...this.#choice, ...choice };
    this.chose(this.#choice);
    try {
      await this.refresh();
    } catch ({ message }) {
      say(this.told, `Not asked for: ${message}`);
    }
  }

  /** Asks anew. What was asked for before and comes later is not shown. */
  async refresh() {
    const asked = (this.#asked += 1);
    const { outcome, order, contains, page } = this.#choice;
    this.order.value = order;
    this.chips.forEach((chip) => mark(chip, "aria-pressed", String(chip.dataset.outcome === outcome)));
    const query = new URLSearchParams({ page, per_page: PER_PAGE, order });
    if (outcome) query.set("outcome", outcome);
    if (contains) query.set("contains", contains);
    const found = await this.fetch(`rules/${encodeURIComponent(this.#name)}/images?${query}`);
    if (asked === this.#asked) this.#show(found);
  }

  #show({ total, page, images }) {
    const pages = Math.max(1, Math.ceil(total / PER_PAGE));
    if (page > pages) return this.choose({ page: pages });
    say(this.told, several(total, "image"));
    say(this.place, `Page ${count(page)} of ${count(pages)}`);
    this.pager.hidden = pages === 1;
    this.before.disabled = page === 1;
    this.after.disabled = page >= pages;
    arrange(this.body, images.map(imageRow));
    this.node.classList.toggle("empty", images.length === 0);
  }
}

function imageRow(image) {
  const cell = (name, head, ...children) => element("td", { role: "cell", class: name, "data-head": head }, children);
  const [repository, tag] = divided(image.target);
  return element("tr", { role: "row", "data-state": image.outcome },
    cell("state", "Outcome", badge(image.outcome)),
    cell("rule", "Image",
      element("span", { class: "ref name" }, breakable(repository), element("wbr"), element("b", {}, tag)),
      element("div", { class: "below" }, "from ", element("span", { class: "ref" }, breakable(image.source))),
      image.error ? element("div", { class: "fault-text" }, breakable(image.error)) : null),
    cell("digest", "Digest", image.digest ? element("code", { title: image.digest }, shortDigest(image.digest)) : "not known"),
    cell("platforms", "Platforms", platforms(image.platforms)),
    cell("copied", "Copied", moment(image.copied, "not as far as is known")),
    cell("sent", "Sent", image.bytes ? size(image.bytes) : "nothing"));
}

function platforms(all) {
  return all.length ? all.map((name) => element("span", { class: "platform" }, name)) : element("span", { class: "when" }, "not looked at");
}

/** A reference before its tag or digest, and that. */
function divided(reference) {
  const at = reference.includes("@") ? reference.indexOf("@") : reference.lastIndexOf(":");
  return at > reference.lastIndexOf("/") ? [reference.slice(0, at), reference.slice(at)] : [reference, ""];
}
