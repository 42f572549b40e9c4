// A run that is asked for, with a token, is followed while it goes on. Arguments: the address, the token.

import assert from "node:assert/strict";
import { browse, has, says, settled } from "./driver.mjs";

const [url, token] = process.argv.slice(2);

await browse(async (page, context) => {
  await page.goto(`${url}/#/rules/hello`);
  await page.waitForSelector("#rule .images tbody tr");
  assert.equal(await page.locator(".title .badge").textContent(), "Fresh");
  assert.equal(await page.locator("#rule .images tbody tr").count(), 1);

  const said = page.locator("#rule .outcome");
  await page.getByRole("button", { name: "Sync now" }).click();
  await page.locator("#token-field").waitFor();
  await page.keyboard.press("Escape");
  await says(page, ".outcome", "Not begun: it needs a token.");

  await page.getByRole("button", { name: "Sync now" }).click();
  await page.locator("#token-field").fill("wrong");
  await page.keyboard.press("Enter");
  await says(page, "#token-wrong", /not one of the daemon’s/);
  await page.locator("#token-field").fill(token);
  await page.getByRole("button", { name: "Use this token" }).click();

  // Its blobs take two seconds: so long it is seen running.
  await says(page, ".title .badge", "Running");
  await page.locator("#rule .now progress").waitFor();
  await says(page, ".now .figures", /of 2 images/);
  await says(page, ".outcome", / succeeded after .*: 1 image copied, /);
  await says(page, ".title .badge", "Fresh");
  assert.equal(await said.getAttribute("data-kind"), "good");
  await has(page, "#rule .images tbody tr", 2);
  const image = page.locator("#rule .images tbody tr", { hasText: ":v2" }).first();
  assert.match(await image.innerText(), /Copied[^]*:v2[^]*sha256:[0-9a-f]{12}…[^]*linux\/amd64[^]*just now|s ago/);
  assert.equal(await page.locator("#rule .plain tbody tr").count(), 2);
  assert.equal(await page.locator("#connection").getAttribute("data-state"), "live");

  const kept = await page.evaluate(() => [location.href, document.cookie, JSON.stringify(localStorage), sessionStorage.getItem("regferry-token")]);
  assert.deepEqual([kept.slice(0, 3).some((text) => text.includes(token)), kept[3]], [false, token]);
  const other = await context.newPage();
  await other.goto(url);
  await settled(other);
  assert.equal(await other.locator("#token-text").textContent(), "Token", "another tab does not have it");
  await page.locator("#token-button").click();
  await page.locator("#token-forget").click();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
}, { allowed: ["401 (Unauthorized)"] });
