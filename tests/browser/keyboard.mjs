// The whole page without a mouse. Argument: the address.

import assert from "node:assert/strict";
import { browse, has, settled } from "./driver.mjs";

const [url] = process.argv.slice(2);

await browse(async (page) => {
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await page.goto(url);
  await settled(page);

  await press("Tab");
  assert.equal(await focused(), "skip");
  assert.ok(await page.locator("#skip").evaluate((link) => link.getBoundingClientRect().top >= 0), "it is seen when it is focused");
  await press("Enter");
  assert.equal(await focused(), "rules-heading");

  // On from there: the chips, the search, the order, the rules.
  await press("Tab", "Tab", "Enter");
  assert.equal(await page.locator(".chip[aria-pressed=true]").textContent(), "Failing2");
  assert.equal(await page.locator(".rules tbody tr").count(), 2);
  assert.equal(await page.locator(".rules .told").textContent(), "2 of 18 rules");
  await press("Enter");
  assert.equal(await page.locator(".rules tbody tr").count(), 18);

  await press("/");
  assert.equal(await focused(), "rules-search");
  await page.keyboard.type("quay k8s");
  await has(page, ".rules tbody tr", 2);
  assert.match(page.url(), /#\/\?q=quay\+k8s$/);
  await press("Tab");
  assert.equal(await focused(), "rules-order");
  await press("Tab");
  assert.equal(await focused(), "cert-manager");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid", "where the focus is can be seen");

  await press("Enter");
  await page.waitForSelector("#rule:not([hidden])");
  assert.equal(await focused(), "rule-heading");
  assert.equal(await page.title(), "cert-manager · 2 failing · regferry");
  await press("Shift+Tab");
  assert.equal(await focused(), "back");
  await page.goBack();
  await page.waitForSelector("#overview:not([hidden])");
  assert.equal(await focused(), "cert-manager");
  assert.equal(await page.locator("#rules-search").inputValue(), "quay k8s");

  // What has the focus keeps it while something moves.
  for (const selector of [".lead a", ".foot a"]) {
    const kept = page.locator(selector).first();
    await kept.focus();
    const figures = await page.locator(".running .figures").allTextContents();
    await page.waitForFunction((before) => [...document.querySelectorAll(".running .figures")].some((node, place) => node.textContent !== before[place]), figures);
    assert.ok(await kept.evaluate((node) => node === document.activeElement), selector);
  }

  // A dialog keeps the focus, and gives it back.
  await page.locator("#token-button").focus();
  await press("Enter");
  assert.equal(await focused(), "token-field");
  await press("Escape");
  assert.equal(await focused(), "token-button");

  // The colours that were chosen are kept.
  await press("Tab");
  assert.equal(await focused(), "theme");
  await page.keyboard.type("Dark");
  await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
  await page.reload();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
});
