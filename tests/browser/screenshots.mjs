// What the page looks like, for people who read about it. Arguments: the address, the folder.

import { PHONE, WIDE, browse, settled } from "./driver.mjs";

const [url, folder] = process.argv.slice(2);

async function shoot(file, { hash = "", height, ...options }) {
  await browse(async (page) => {
    await page.goto(`${url}/${hash}`);
    await settled(page);
    // What moves has moved for so long that its chart has a shape.
    await page.waitForTimeout(70_000);
    await page.screenshot({ path: `${folder}/${file}.png` });
  }, { viewport: { ...WIDE, height: 1000 }, ...options });
}

await Promise.all([
  shoot("status-light", { colorScheme: "light" }),
  shoot("status-dark", { colorScheme: "dark" }),
  shoot("status-phone", { viewport: PHONE, deviceScaleFactor: 2, colorScheme: "light" }),
  shoot("status-rule", { hash: "#/rules/platform", colorScheme: "light" }),
]);
