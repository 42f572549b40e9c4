// Names that mean something elsewhere are texts here. Arguments: the address, a rule's name, the error of its image.

import assert from "node:assert/strict";
import { browse, settled } from "./driver.mjs";

const [url, name, error] = process.argv.slice(2);

await browse(async (page) => {
  await page.goto(url);
  await settled(page);
  const link = page.locator(".rules tbody a.name");
  assert.equal(await link.textContent(), name);
  assert.ok((await page.locator(".rules .fault-text").textContent()).includes(error));
  await link.click();
  await page.waitForSelector("#rule .images tbody tr");
  assert.equal(await page.locator("#rule-heading").textContent(), name);
  await page.reload();
  await page.waitForSelector("#rule .images tbody tr");
  assert.equal(await page.locator("#rule-heading").textContent(), name);
  assert.ok((await page.locator("#rule .images .fault-text").textContent()).includes(error));
  assert.equal(await page.locator("main img, main script, main b[onclick]").count(), 0);
  assert.equal(await page.evaluate(() => globalThis.harmed), undefined);

  // What is not the page's own does not run, and text is not taken for markup.
  const refused = await page.evaluate(() => {
    try {
      document.body.innerHTML = "<p>";
      return "taken";
    } catch (error) {
      return error.name;
    }
  });
  assert.equal(refused, "TypeError");
  await page.evaluate(() => {
    const script = document.createElement("script");
    script.type = "application/json";
    document.body.append(script);
  });
  await page.goto(`${url}/#/rules/missing`);
  await page.waitForSelector("#overview:not([hidden])");
}, { allowed: ["TrustedHTML", "Trusted Type", "require-trusted-types-for"] });
