// A page in Debian's browser, and what is looked for in it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.BROWSER_TOOLS}/`);
const { chromium } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const WIDE = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };

/** Opens a page for `act`; fails if anything is written to the console that should not be there. */
export async function browse(act, { headers, allowed = [], ...options } = {}) {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    const context = await browser.newContext({ viewport: WIDE, locale: "en-GB", timezoneId: "Europe/Berlin", ...options });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    const wrong = [];
    page.on("pageerror", (error) => wrong.push(String(error)));
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && wrong.push(message.text()));
    await act(page, context);
    assert.deepEqual(wrong.filter((text) => !allowed.some((known) => text.includes(known))), []);
  } finally {
    await browser.close();
  }
}

/** What axe finds wrong with what is shown now. */
export async function barriers(page) {
  // The policy lets nothing but the page's own script run: the browser's own way in is not a script of the page.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.any[0]?.message ?? ""}`).join("\n  ")}`);
}

export async function settled(page) {
  await page.waitForSelector(".rules tbody tr, #rule:not([hidden])");
}

/** Waits until what is there says this. */
export async function says(page, selector, text) {
  const wanted = text instanceof RegExp ? text.source : `^${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`;
  await page.waitForFunction(([selector, wanted]) => new RegExp(wanted).test(document.querySelector(selector)?.textContent ?? ""), [selector, wanted]);
}

/** Waits until there are so many. */
export async function has(page, selector, count) {
  await page.waitForFunction(([selector, count]) => document.querySelectorAll(selector).length === count, [selector, count]);
}
