// The page's modules that know no document.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

/** A module that imports nothing, whatever the folder that it stands in says of its kind. */
function load(name) {
  const text = readFileSync(new URL(`../../src/server/page/${name}`, import.meta.url), "utf8");
  return import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);
}

const { several, size, duration, relative, absolute, shortDigest } = await load("format.js");
const { EventReader } = await load("events.js");
const { Model, chosen } = await load("model.js");

test("sizes have three digits at most and the unit that fits", () => {
  const sizes = [[0, "0 B"], [999, "999 B"], [1000, "1.0 KiB"], [1536, "1.5 KiB"], [102_400, "100 KiB"], [1 << 20, "1.0 MiB"], [5 * 2 ** 40, "5.0 TiB"]];
  for (const [bytes, text] of sizes) assert.equal(size(bytes), text);
  assert.deepEqual([several(1, "image"), several(20_000, "image")], ["1 image", "20,000 images"]);
});

test("durations and distances have the units that people think in", () => {
  const durations = [[0.02, "20 ms"], [4.21, "4.2 s"], [59.6, "1 min"], [190, "3 min 10 s"], [7500, "2 h 5 min"], [86_400, "1 d"], [273_600, "3 d 4 h"]];
  for (const [seconds, text] of durations) assert.equal(duration(seconds), text);
  const distances = [[0, "just now"], [3, "any moment"], [-40, "40 s ago"], [-180, "3 min ago"], [5400, "in 2 h"], [-7200, "2 h ago"], [86_400 * 3, "in 3 d"]];
  for (const [seconds, text] of distances) assert.equal(relative(1e12 + seconds * 1000, 1e12), text);
  const noon = new Date(2026, 10, 28, 12).getTime();
  assert.equal(absolute(noon, noon), "12:00:00");
  assert.match(absolute(noon - 86_400_000, noon), /^27 Nov, 12:00$/);
  assert.equal(shortDigest(`sha256:${"a1".repeat(32)}`), "sha256:a1a1a1a1a1a1…");
});

test("events are read however their text is cut, with any end of line", () => {
  const text = ': hello\n\nid: a-1\r\nevent: run_started\r\ndata: {"rule":\ndata: "x"}\n\nretry: 2000\n\ndata:1\n\nevent: cut off\ndata: 2\n';
  for (let cut = 0; cut < text.length; cut += 1) {
    const told = [];
    const reader = new EventReader((event) => told.push(event));
    reader.read(text.slice(0, cut));
    reader.read(text.slice(cut));
    assert.deepEqual(told, [{ name: "run_started", data: { rule: "x" }, id: "a-1" }, { name: "message", data: 1, id: "a-1" }], `cut at ${cut}`);
  }
});

const rule = (name, change = {}) => ({
  name, condition: "fresh", sources: [`a.example/${name}`], targets: [`b.example/${name}`], run: null, waiting: null, last_run: null, last_error: null,
  last_success: null, next: null, ...change,
});

test("a rule follows its events from its start to its end", () => {
  const model = new Model();
  model.load({ version: "1", rules: [rule("one"), rule("two")] });
  const tell = (name, data, now = 0) => model.happened({ name, data }, now);
  const condition = () => model.rules.get("one").condition;
  const run = { id: "r-1", found: 0, done: 0, failed: 0, bytes: 0 };

  tell("run_started", { rule: "one", run });
  assert.equal(condition(), "running");
  tell("progress", { bytes_read: 0, bytes_written: 0, transfers: 2, runs: { one: { ...run, found: 9, done: 4 } } });
  assert.deepEqual([model.running()[0].run.done, model.transfers], [4, 2]);
  tell("run_waiting", { rule: "one", waiting: "hub" });
  assert.deepEqual([condition(), model.counts().waiting], ["waiting", 1]);
  tell("image", { rule: "one", image: { outcome: "copied" } });
  assert.equal(condition(), "running");
  const asks = tell("run_ended", { rule: "one", run: { id: "r-1", outcome: "timeout" } });
  assert.deepEqual([condition(), model.rules.get("one").run, asks], ["failing", null, { rules: ["one"] }]);
  assert.deepEqual(tell("missed", { events: null }), { all: true });
  assert.deepEqual(tell("run_started", { rule: "gone", run }), {});
});

test("a run that was stopped leaves its rule as it was before, without a run", () => {
  const [success, error] = ["2026-07-01T01:00:00Z", { at: "2026-07-01T02:00:00Z", error: "no" }];
  const befores = [[{}, "new"], [{ last_success: success }, "fresh"], [{ last_error: error }, "failing"],
    [{ last_success: success, last_error: error }, "failing"], [{ last_success: "2026-07-01T03:00:00Z", last_error: error }, "fresh"]];
  for (const [before, condition] of befores) {
    const model = new Model();
    model.load({ version: "1", rules: [rule("one", before)] });
    model.happened({ name: "run_started", data: { rule: "one", run: { id: "r-1", found: 0, done: 0 } } }, 0);
    model.happened({ name: "run_ended", data: { rule: "one", run: { id: "r-1", outcome: "cancelled" } } }, 0);
    const { condition: now, run } = model.rules.get("one");
    assert.deepEqual([now, run], [condition, null]);
  }
});

test("what moves is told by the second, and nothing when nothing is told any more", () => {
  const model = new Model();
  const moved = (bytes, now) => model.happened({ name: "progress", data: { bytes_read: bytes, bytes_written: 0, transfers: 1, runs: {} } }, now);
  moved(500, 0);
  moved(1500, 1000);
  model.sample(1000);
  assert.equal(model.rates.at(-1).read, 1000);
  model.sample(9000);
  assert.equal(model.rates.at(-1).read, 0);
  // A daemon that was started anew counts from 0.
  moved(10, 9500);
  model.sample(9500);
  assert.equal(model.rates.at(-1).read, 0);
});

test("rules are found by any words of theirs, and those that need a look come first and stay there while they run", () => {
  const rules = [
    rule("b"), rule("a10"), rule("a2", { condition: "running" }), rule("c", { condition: "waiting" }),
    rule("d", { condition: "running", last_run: { outcome: "failure", bytes: 3 } }), rule("e", { condition: "failing", last_error: { error: "403 DENIED" } }),
  ];
  const names = (choice) => chosen(rules, choice).map(({ name }) => name).join(" ");
  assert.equal(names({}), "d e c b a10 a2");
  assert.equal(names({ order: "name" }), "a2 a10 b c d e");
  assert.equal(names({ order: "bytes" }).slice(0, 1), "d");
  assert.equal(names({ text: "B.EXAMPLE a.example/a" }), "a10 a2");
  assert.equal(names({ text: "denied" }), "e");
  assert.equal(names({ condition: "running" }), "d a2");
});
