// What is known of the daemon, and what changes when something happens. No document here.

export const CONDITIONS = ["failing", "waiting", "running", "new", "fresh"];

/** Samples of what moved that are kept, one a second. */
export const SAMPLES = 90;

/** Who moves something tells it each second. */
const STILL = 2500;

/** So many runs are kept of a rule, as the daemon does. */
const RUNS = 20;

export class Model {
  /** Everything but the rules; null until it is known. */
  daemon = null;
  /** By name, in the configuration's order. */
  rules = new Map();
  /** The last runs of rules of which they were asked for, the latest first. */
  runs = new Map();
  registries = null;
  imports = [];
  transfers = 0;
  /** Bytes per second, read and written, the latest last. */
  rates = [];
  #moved = null;
  #rate = { read: 0, written: 0 };

  /** The whole state anew. */
  load({ rules, ...daemon }) {
    this.daemon = daemon;
    this.rules = new Map(rules.map((rule) => [rule.name, rule]));
    for (const name of this.runs.keys()) if (!this.rules.has(name)) this.runs.delete(name);
  }

  /** One rule with its past. */
  loadRule({ runs, images, ...rule }) {
    if (this.rules.has(rule.name)) this.rules.set(rule.name, rule);
    this.runs.set(rule.name, runs);
  }

  /**
   * Something happened. Returns what has to be asked for since the event does not tell it: `{ all }`, or the names of
   * `rules`.
   */
  happened({ name, data }, now) {
    switch (name) {
      case "run_started":
        this.#change(data.rule, { state: "running", condition: "running", waiting: null, run: data.run });
        break;
      case "run_waiting":
        this.#change(data.rule, { condition: "waiting", waiting: data.waiting });
        break;
      case "image":
        if (data.image.outcome === "copied" && this.rules.get(data.rule)?.waiting) {
          this.#change(data.rule, { condition: "running", waiting: null });
        }
        break;
      case "run_ended":
        this.#ended(data.rule, data.run);
        return { rules: [data.rule] };
      case "progress":
        this.#progress(data, now);
        break;
      case "import":
        this.imports = [data, ...this.imports.filter((job) => job.id !== data.id)];
        break;
      case "rules":
      case "reload":
      case "missed":
        return { all: true };
    }
    return {};
  }

  /** A second has passed; nothing is told where nothing moves. */
  sample(now) {
    const rate = this.#moved && now - this.#moved.at < STILL ? this.#rate : { read: 0, written: 0 };
    this.rates.push(rate);
    if (this.rates.length > SAMPLES) this.rates.shift();
  }

  /** What moves now: the mean of the last seconds, since blobs end in steps. */
  rate() {
    const last = this.rates.slice(-3);
    const mean = (what) => (last.length ? last.reduce((sum, sample) => sum + sample[what], 0) / last.length : 0);
    return { read: mean("read"), written: mean("written") };
  }

  running() {
    return [...this.rules.values()].filter((rule) => rule.run);
  }

  /** How many rules are in each condition. */
  counts() {
    const counts = Object.fromEntries(CONDITIONS.map((condition) => [condition, 0]));
    for (const { condition } of this.rules.values()) counts[condition] += 1;
    return counts;
  }

  #change(name, change) {
    const rule = this.rules.get(name);
    if (rule) this.rules.set(name, { ...rule, ...change });
  }

  #ended(name, run) {
    // One that was stopped did not come to its own end: the rule is what it was before.
    const condition = { cancelled: settled(this.rules.get(name)), success: "fresh" }[run.outcome] ?? "failing";
    this.#change(name, { state: "idle", waiting: null, run: null, last_run: run, condition });
    if (this.runs.has(name)) this.runs.set(name, [run, ...this.runs.get(name)].slice(0, RUNS));
  }

  #progress({ bytes_read: read, bytes_written: written, transfers, runs }, now) {
    const last = this.#moved;
    this.#moved = { read, written, at: now };
    const seconds = last && (now - last.at) / 1000;
    // After a pause, or a restart of the daemon, the first one says nothing of the last second.
    const isNext = last && seconds > 0.2 && seconds < 5 && read >= last.read && written >= last.written;
    this.#rate = isNext ? { read: (read - last.read) / seconds, written: (written - last.written) / seconds } : { read: 0, written: 0 };
    this.transfers = transfers;
    for (const [name, run] of Object.entries(runs)) {
      const before = this.rules.get(name)?.run;
      if (before && Object.keys(run).some((key) => run[key] !== before[key])) this.#change(name, { run });
    }
  }
}

const time = (text) => (text ? Date.parse(text) : 0);

/** Whether the last run of a rule failed, also while another is under way. */
export function hasFailed(rule) {
  return ["failure", "timeout"].includes(rule?.last_run?.outcome);
}

/** What the last run made of a rule that came to its own end. */
function settled(rule) {
  const [success, error] = [time(rule?.last_success), time(rule?.last_error?.at)];
  if (!success && !error) return "new";
  return error > success ? "failing" : "fresh";
}

const byName = (one, other) => one.name.localeCompare(other.name, "en", { numeric: true });

/** By what rules can be sorted. */
export const ORDERS = {
  attention: { label: "What needs a look", compare: byAttention },
  name: { label: "Name", compare: byName },
  success: { label: "Oldest success", compare: (one, other) => time(one.last_success) - time(other.last_success) },
  next: { label: "Next run", compare: (one, other) => (time(one.next) || Infinity) - (time(other.next) || Infinity) || 0 },
  bytes: { label: "Bytes of the last run", compare: (one, other) => (other.last_run?.bytes ?? 0) - (one.last_run?.bytes ?? 0) },
  configured: { label: "Configuration", compare: () => 0 },
};

function byAttention(one, other) {
  return concern(one) - concern(other);
}

/** A rule that runs again keeps its place: what does not need a look stays where the configuration has it. */
function concern(rule) {
  const { condition } = rule;
  if (condition === "failing" || (condition === "running" && hasFailed(rule))) return 0;
  return condition === "waiting" ? 1 : 2;
}

/** The rules that are wanted: each word of `text` is somewhere in a rule's name, sources, targets or error. */
export function chosen(rules, { text = "", condition = "", order = "attention" }) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (rule) => {
    const all = [rule.name, ...rule.sources, ...rule.targets, rule.last_error?.error ?? ""].join("\n").toLowerCase();
    return words.every((word) => all.includes(word));
  };
  const wanted = [...rules].filter((rule) => (!condition || rule.condition === condition) && (!words.length || has(rule)));
  return wanted.sort((ORDERS[order] ?? ORDERS.attention).compare);
}
