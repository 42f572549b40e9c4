// All rules and registries of a working day are there at the first look. Argument: the address.

import assert from "node:assert/strict";
import { browse, settled } from "./driver.mjs";

const [url] = process.argv.slice(2);

await browse(async (page) => {
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  const answer = await page.goto(url);
  await settled(page);

  const policy = answer.headers()["content-security-policy"];
  assert.match(policy, /^default-src 'none';/);
  assert.doesNotMatch(policy, /unsafe|\*/);

  assert.equal(await page.locator("h1:visible").textContent(), "2 of 18 rules are failing");
  assert.equal(await page.title(), "2 failing · regferry");
  const counts = await page.locator(".rules .chip").allTextContents();
  assert.deepEqual(counts, ["All18", "Failing2", "Waiting for quota1", "Running2", "Never run0", "Fresh13"]);
  const states = await page.locator(".rules tbody .badge").allTextContents();
  assert.deepEqual(states.slice(0, 4), ["Failing", "Failing", "Waiting for quota", "Fresh"]);

  const platform = page.locator('tr[data-rule="platform"]');
  assert.match(await platform.locator(".fault-text").textContent(), /403 DENIED.*give it the right to push/);
  assert.match(await platform.locator("td.success").innerText(), /3 h ago\n.*\d\d:\d\d/);
  assert.match(await platform.locator("td.next").innerText(), /in 13 min\n\d\d:\d\d:\d\d/);
  const chart = platform.getByRole("img");
  assert.match(await chart.getAttribute("aria-label"), /^The last 20 runs: 3 of them did not succeed; .* sent\. The latest failed/);
  assert.match(await page.locator('tr[data-rule="argo-cd"] .progress').textContent(), /24 of 36 images · 264 MiB/);
  assert.match(await page.locator('tr[data-rule="vault"] .note').textContent(), /20 pulls are left/);

  // Rows that are not seen have a text all the same.
  const hub = page.locator(".registries tbody tr").first();
  assert.match(await hub.textContent(), /Answers.*docker\.io.*20all by .*, 20 kept for others.*32 at once.*31 minquota 31 min/);
  assert.match(await page.locator(".imports").textContent(), /Runningghcr\.io\/acme\/checkout:1\.9\.0/);

  assert.ok(asked.every((address) => address.startsWith(url) || address.startsWith("data:")), asked.join("\n"));
  assert.equal(asked.filter((address) => !address.includes("/api/") && !address.startsWith("data:")).length, 1);
});
