// Open pages in a real browser and audit them: violations by axe-core, errors, requests, load time, width; screenshots and a print.
//
//   npm install playwright-core axe-core
//   archcalc report llama-3.1-8b gemma-3-27b deepseek-v3 -o report.html
//   node scripts/audit_page.mjs report.html [FOLDER for screenshots]
//
// CHROMIUM names the browser, /usr/bin/chromium by default. Exit status 1 if anything is violated, asked for or too wide.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(resolve(process.cwd(), "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const [page, folder] = process.argv.slice(2);
const url = /^https?:/.test(page) ? page : pathToFileURL(resolve(page)).href;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"],
});
let bad = 0;
for (const [name, width, colorScheme] of [["wide", 1280, "light"], ["phone", 390, "light"], ["dark", 1280, "dark"]]) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, bypassCSP: true });
  const tab = await context.newPage();
  const errors = [];
  const requests = [];
  tab.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  tab.on("pageerror", (error) => errors.push(String(error)));
  tab.on("request", (request) => request.url().startsWith("data:") || new URL(request.url()).origin === new URL(url).origin || requests.push(request.url()));
  await tab.goto(url);
  const milliseconds = await tab.evaluate(() => Math.round(performance.getEntriesByType("navigation")[0].loadEventEnd));
  const overflow = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (folder) {
    await tab.screenshot({ path: resolve(folder, `${name}.png`), fullPage: true });
    if (name === "wide") await tab.pdf({ path: resolve(folder, "print.pdf"), format: "A4", printBackground: true, preferCSSPageSize: true });
  }
  await tab.evaluate(axe);
  const found = await tab.evaluate(() => window.axe.run(document));
  const violations = found.violations.map((v) => `${v.id} (${v.impact}, ${v.nodes.length}): ${v.nodes[0].html.slice(0, 120)}`);
  const checked = found.passes.length + found.violations.length;
  console.log(
    `${name}: loaded in ${milliseconds} ms; ${requests.length} requests of others; ${overflow} px too wide; axe-core ${found.testEngine.version}: ` +
      `${found.passes.length} of ${checked} rules passed; ${errors.length} errors`,
  );
  for (const line of [...violations, ...errors]) console.log(`  ${line}`);
  bad += violations.length + errors.length + requests.length + (overflow > 0);
  await context.close();
}
await browser.close();
process.exit(bad ? 1 : 0);
