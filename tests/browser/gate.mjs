// Where reading needs a token, nothing is shown before there is one, nor when another one holds. Arguments: the address, the
// token, the daemon's file of tokens.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { barriers, browse, says, settled } from "./driver.mjs";

const [url, token, file] = process.argv.slice(2);

await browse(async (page) => {
  await page.goto(url);
  await page.locator("#gate").waitFor();
  assert.equal(await page.locator("h1:visible").textContent(), "This daemon shows its state to those who have a token");
  assert.deepEqual(await barriers(page), []);
  await page.getByRole("button", { name: "Enter a token" }).click();
  await page.locator("#token-field").fill("wrong");
  await page.keyboard.press("Enter");
  await says(page, "#token-wrong", /not one of the daemon’s/);
  await page.locator("#token-field").fill(token);
  await page.keyboard.press("Enter");
  await settled(page);
  await page.locator("#overview").waitFor();
  assert.ok(await page.locator("#gate").isHidden());
  assert.equal(await page.locator(".rules tbody a.name").textContent(), "a");
  await page.reload();
  await page.locator("#overview").waitFor();

  // The one that this tab has holds no more, and another one lets it in again.
  writeFileSync(file, "s3cret-two\n");
  await page.locator("#token-button").click();
  await page.locator("#token-field").fill(token);
  await page.keyboard.press("Enter");
  await says(page, "#token-wrong", /not one of the daemon’s/);
  assert.ok(await page.locator("#overview").isHidden());
  await page.locator("#token-field").fill("s3cret-two");
  await page.keyboard.press("Enter");
  await page.locator("#overview").waitFor();
  assert.ok(await page.locator("#gate").isHidden());
}, { allowed: ["401 (Unauthorized)"] });
