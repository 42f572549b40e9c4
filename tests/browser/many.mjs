// Five hundred rules and twenty thousand images. Arguments: the address, the rule with most of the images. Prints what it took.

import assert from "node:assert/strict";
import { browse, has, says, settled } from "./driver.mjs";

const [url, largest] = process.argv.slice(2);

await browse(async (page, context) => {
  const measured = await context.newCDPSession(page);
  await measured.send("Performance.enable");
  const metrics = async () => {
    const { metrics } = await measured.send("Performance.getMetrics");
    return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
  };
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  const took = async (what) => {
    const [before, begun] = [await metrics(), performance.now()];
    await what();
    const after = await metrics();
    const spent = (name) => Math.round((after[name] - before[name]) * 1000);
    return { ms: Math.round(performance.now() - begun), script: spent("ScriptDuration"), layout: spent("LayoutDuration") + spent("RecalcStyleDuration") };
  };

  const told = {};
  told.open = await took(async () => {
    await page.goto(url);
    await settled(page);
    await page.waitForSelector("tr[data-rule] svg.runs-chart");
  });
  told.paint = Math.round(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime));
  assert.equal(await page.locator(".rules tbody tr").count(), 500);
  const pasts = asked.filter((path) => path.startsWith("/api/v1/rules/")).length;
  assert.ok(pasts < 40, `the past is asked for of ${pasts} rules, and few are seen`);

  told.search = await took(async () => {
    await page.locator("#rules-search").fill("team-4 registry");
    await page.waitForFunction(() => document.querySelectorAll(".rules tbody tr").length < 500);
  });
  await page.locator("#rules-search").fill("");
  await has(page, ".rules tbody tr", 500);

  told.scroll = await took(async () => {
    await page.evaluate(() => document.querySelector(".rules tbody tr:last-child").scrollIntoView());
    await page.waitForSelector(".rules tbody tr:last-child svg.runs-chart");
  });

  told.rule = await took(async () => {
    await page.goto(`${url}/#/rules/${largest}`);
    await has(page, "#rule .images tbody tr", 100);
  });
  const total = await page.locator("#rule .images .told").textContent();
  assert.match(total, /^5,\d{3} images$/);
  told.page = await took(async () => {
    await page.getByRole("button", { name: "Next", exact: true }).click();
    await says(page, ".pager span", /^Page 2 of /);
  });
  await page.locator("#images-search").fill("tag-4711");
  await has(page, "#rule .images tbody tr", 1);

  await measured.send("HeapProfiler.collectGarbage");
  const { JSHeapUsedSize, Nodes } = await metrics();
  told.heap = `${(JSHeapUsedSize / (1 << 20)).toFixed(1)} MiB`;
  told.nodes = Nodes;
  console.log(JSON.stringify(told));
  assert.ok(JSHeapUsedSize < 48 << 20, told.heap);
});
