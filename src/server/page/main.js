// The page: which part of it is shown, and what is asked for when.

import { get, token } from "./api.js";
import { announce, byId, element, icon, mark, say } from "./dom.js";
import { absolute, relative } from "./format.js";
import { Live } from "./live.js";
import { Model, hasFailed } from "./model.js";
import { Overview } from "./overview.js";
import { Requests } from "./requests.js";
import { RulePage } from "./rule.js";
import { ruleAddress } from "./rules.js";
import { tick } from "./times.js";
import { TokenDialog } from "./token.js";

/** Details of rules that are asked for at once: a browser has few connections, and so has the daemon. */
const AT_ONCE = 3;
const REGISTRIES_EVERY = 5;
const ALL_EVERY = 60;

const model = new Model();
const dialog = new TokenDialog(() => live.wake());
const overview = new Overview(model, byId("overview"), { wants: wantRuns, chose: (choice) => keepChoice("#/", choice) });
const page = new RulePage(model, byId("rule"), {
  sync: (name) => requests.sync(name), fetch: (path) => get(path), chose: (choice) => keepChoice(ruleAddress(page.name), choice),
});
const requests = new Requests(page, dialog);
const live = new Live({ load, happened, connection });

// What is asked for.

async function load() {
  model.load(await get("status"));
  forgetOldRuns();
  loadBeside();
  byId("gate").hidden = true;
  showSoon();
}

/** What may come a little later. */
async function loadBeside() {
  try {
    model.registries = (await get("registries")).registries;
    model.imports = (await get("imports?per_page=20")).imports;
    showSoon();
  } catch {
    // It is asked for again in a few seconds, and whether somebody answers is told already.
  }
}

function forgetOldRuns() {
  for (const [name, runs] of model.runs) if (runs[0]?.id !== model.rules.get(name)?.last_run?.id) model.runs.delete(name);
  wantRuns();
}

const asking = new Set();
const stale = new Set();

/** Asks for the past of those rules that are seen and whose past is not known. */
function wantRuns() {
  const names = route().name ? [route().name] : [...overview.rules.near];
  const wanted = names.filter((name) => model.rules.has(name) && !asking.has(name) && (stale.has(name) || !model.runs.has(name)));
  wanted.slice(0, AT_ONCE - asking.size).forEach(loadRule);
}

async function loadRule(name) {
  asking.add(name);
  stale.delete(name);
  try {
    const rule = await get(`rules/${encodeURIComponent(name)}`);
    model.loadRule(rule);
    if (name === page.name) page.showCounts(rule.images);
  } catch {
    if (!model.runs.has(name)) model.runs.set(name, []);
  }
  asking.delete(name);
  showSoon();
  wantRuns();
}

// What happens.

function happened(event) {
  const fails = () => hasFailed(model.rules.get(event.data.rule));
  const wasFailing = fails();
  const { all, rules = [] } = model.happened(event, performance.now());
  if (all) loadSoon();
  rules.forEach((name) => stale.add(name));
  wantRuns();
  if (!wasFailing && fails()) announce(`${event.data.rule} is failing`);
  requests.follow(event);
  if (event.name === "run_ended" && event.data.rule === page.name) refreshImagesSoon();
  if (event.name === "image" && event.data.rule === page.name) refreshImagesSoon();
  showSoon();
}

function connection(state, detail) {
  const texts = { live: "Live", polling: "Every 5 s", lost: `No connection, next try in ${detail} s`, closed: "Needs a token" };
  const node = byId("connection");
  const before = node.dataset.state;
  node.dataset.state = state;
  node.firstElementChild.replaceWith(icon({ live: "live", polling: "polling" }[state] ?? "lost"));
  say(byId("connection-text"), texts[state]);
  document.body.classList.toggle("stale", state === "lost" && model.daemon !== null);
  if (state === "lost" && before !== "lost") announce("The connection to the daemon is lost");
  if (before === "lost" && state === "live") announce("The daemon answers again");
  if (state === "closed") close(detail);
}

function close({ status, detail, advice }) {
  opened = null;
  byId("gate").hidden = false;
  byId("overview").hidden = byId("rule").hidden = true;
  byId("gate-button").hidden = status === 403;
  say(byId("gate-text"), token.value || status === 403 ? `${detail}: ${advice}` : "Enter one to look.");
  if (status === 401 && token.value) dialog.open("That is not one of the daemon’s tokens.");
}

// What is shown.

function route() {
  const [, path, query] = /^#?\/?([^?]*)\??(.*)$/.exec(location.hash);
  const parameters = Object.fromEntries(new URLSearchParams(query));
  const name = /^rules\/(.+)$/.exec(path)?.[1];
  try {
    return { name: name && decodeURIComponent(name), parameters };
  } catch {
    return { parameters };
  }
}

/** What is chosen stands in the address, so that it can be passed on. */
function keepChoice(address, choice) {
  const usual = { order: address === "#/" ? "attention" : "name", page: 1 };
  const named = { text: "q", condition: "state" };
  const kept = Object.entries(choice).filter(([name, value]) => value !== "" && value !== usual[name]);
  const query = new URLSearchParams(kept.map(([name, value]) => [named[name] ?? name, value]));
  history.replaceState(null, "", `${address}${kept.length ? `?${query}` : ""}`);
}

let opened = null;
let scrolled = 0;

function navigate() {
  const { name, parameters } = route();
  if (!model.daemon) return;
  const isMissing = name && !model.rules.has(name);
  if (!opened?.name && name) scrolled = scrollY;
  byId("rule").hidden = !name || isMissing;
  byId("overview").hidden = Boolean(name) && !isMissing;
  if (isMissing) announce(`There is no rule ${name}`);
  else if (name) openRule(name, parameters);
  else openOverview(parameters);
  opened = { name: isMissing ? undefined : name };
  wantRuns();
  show();
}

function openRule(name, parameters) {
  page.open(name);
  stale.add(name);
  page.images.open(name, parameters).catch(() => page.tell("Its images could not be asked for.", "bad"));
  if (!opened) return;
  scrollTo(0, 0);
  byId("rule-heading").focus({ preventScroll: true });
}

function openOverview({ q: text = "", state: condition = "", order = "attention" }) {
  overview.rules.choose({ text, condition, order });
  if (!opened?.name) return;
  scrollTo(0, scrolled);
  overview.rules.focus(opened.name);
}

function show() {
  if (!model.daemon) return;
  if (!opened) navigate();
  const { failing } = model.counts();
  const name = opened?.name;
  document.title = [name, failing ? `${failing} failing` : null, "regferry"].filter(Boolean).join(" · ");
  if (name) page.show();
  else overview.show();
  showDaemon();
}

function showDaemon() {
  const { version, started, config, ready, cluster } = model.daemon;
  say(byId("version"), version);
  const notices = [];
  if (!ready) notices.push("The daemon is stopping: it begins nothing more.");
  if (cluster && !cluster.connected) notices.push("NATS is not reached, or does not answer: other replicas of the cluster do the work meanwhile.");
  if (config.last_reload && !config.last_reload.successful) {
    notices.push(`The configuration that was read at ${absolute(Date.parse(config.last_reload.at), Date.now())} is refused, and the one before it holds: ${config.last_reload.error}`);
  }
  const shown = byId("notices");
  if (shown.dataset.told !== notices.join("\n")) {
    shown.dataset.told = notices.join("\n");
    shown.replaceChildren(...notices.map((text) => element("p", { role: "status" }, icon("failing"), element("span", {}, text))));
  }
  const now = Date.now();
  const facts = [config.file, config.loaded && `read ${relative(Date.parse(config.loaded), now)}`, `up since ${absolute(Date.parse(started), now)}`];
  say(byId("facts"), facts.filter(Boolean).join(" · "));
  byId("more").hidden = false;
}

/** What comes in a burst is done once. */
function soon(what, milliseconds) {
  let waits = false;
  return () => {
    if (waits) return;
    waits = true;
    setTimeout(() => {
      waits = false;
      what();
    }, milliseconds);
  };
}

const quietly = (what) => () => what().catch(() => {});
const showSoon = soon(() => document.hidden || requestAnimationFrame(show), 50);
const loadSoon = soon(quietly(load), 300);
const refreshImagesSoon = soon(() => page.name && opened?.name && page.images.refresh().catch(() => {}), 1000);

let seconds = 0;

function everySecond() {
  seconds += 1;
  model.sample(performance.now());
  if (document.hidden) return;
  tick();
  if (!opened?.name) overview.showTraffic();
  if (!model.daemon || document.body.classList.contains("stale")) return;
  const isBusy = model.transfers > 0 || model.running().length > 0;
  if (seconds % ALL_EVERY === 0) quietly(load)();
  else if (seconds % (isBusy ? REGISTRIES_EVERY : 6 * REGISTRIES_EVERY) === 0) loadBeside();
}

// What people do.

function begin() {
  const theme = byId("theme");
  theme.value = document.documentElement.dataset.theme ?? "";
  theme.addEventListener("change", () => {
    mark(document.documentElement, "data-theme", theme.value || null);
    try {
      localStorage.setItem("regferry-theme", theme.value);
    } catch {
      // It holds for this page all the same.
    }
  });
  byId("gate-button").addEventListener("click", () => dialog.open());
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId(opened?.name ? "rule-heading" : "rules-heading")?.focus();
  });
  addEventListener("hashchange", navigate);
  document.addEventListener("visibilitychange", showSoon);
  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey;
    if (event.key !== "/" || isTyping) return;
    event.preventDefault();
    byId(opened?.name ? "images-search" : "rules-search")?.focus();
  });
  setInterval(everySecond, 1000);
  live.run();
}

begin();
