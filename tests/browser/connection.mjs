// A connection that is lost, comes back, lets no events through. Arguments: the address, the file that says
// that the daemon may be stopped.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { browse, says, settled } from "./driver.mjs";

const [url, live] = process.argv.slice(2);

await browse(async (page) => {
  const state = (name) => page.waitForFunction((name) => document.querySelector("#connection")?.dataset.state === name, name);
  let cut = (path) => path.includes("/api/");
  await page.route("**/*", (route) => (cut(new URL(route.request().url()).pathname) ? route.abort() : route.continue()));
  await page.goto(url);
  await state("lost");
  assert.match(await page.locator("#connection").innerText(), /^No connection, next try in \d+ s$/);

  cut = (path) => path.endsWith("/events");
  await state("polling");
  await settled(page);
  assert.equal(await page.locator("#connection").innerText(), "Every 5 s");

  cut = () => false;
  await page.reload();
  await state("live");
  await says(page, ".rules tbody .badge", "Fresh");

  writeFileSync(live, "");
  await state("lost");
  assert.ok(await page.evaluate(() => document.body.classList.contains("stale")));
  assert.equal(await page.locator("#announcer").textContent(), "The connection to the daemon is lost");
  assert.equal(await page.locator(".rules tbody tr").count(), 1, "what was known stays to be read");
}, { allowed: ["ERR_FAILED", "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET"] });
