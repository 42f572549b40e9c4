// What axe finds, in every dress and on every page: nothing. Argument: the address.

import assert from "node:assert/strict";
import { PHONE, WIDE, barriers, browse, settled } from "./driver.mjs";

const [url] = process.argv.slice(2);

for (const dress of [
  { colorScheme: "light", viewport: WIDE },
  { colorScheme: "dark", viewport: WIDE },
  { colorScheme: "light", viewport: PHONE, reducedMotion: "reduce" },
  { colorScheme: "dark", viewport: PHONE },
]) {
  await browse(async (page) => {
    const found = async (where) => assert.deepEqual(await barriers(page), [], `${where} ${JSON.stringify(dress)}`);
    await page.goto(url);
    await settled(page);
    await page.waitForSelector(".registries tbody tr");
    await found("overview");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing is cut off");

    await page.goto(`${url}/#/rules/platform`);
    await page.waitForSelector("#rule .images tbody tr");
    await page.waitForSelector("#rule .plain tbody tr");
    await found("a rule");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing is cut off");

    await page.locator("#token-button").click();
    await found("dialog");
  }, dress);
}
