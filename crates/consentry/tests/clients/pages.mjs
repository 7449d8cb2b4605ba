// Looks at every page of a gallery in Chromium: in light and wide, and in dark and as narrow as a
// phone. Reports what axe finds against WCAG 2.2 AA, and pages that need sideways scrolling.
// With a folder for pictures it also takes one of each page in light, dark and phone width.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { extname, join } from "node:path";

const config = JSON.parse(process.argv[2]);
const require = createRequire(join(process.env.CONSENTRY_TEST_NODE_DIR, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const WIDE = { width: 1100, height: 800 };
const PHONE = { width: 390, height: 844 };
const LOOKS = [
  { name: "light", viewport: WIDE, colorScheme: "light", checked: true },
  { name: "dark", viewport: WIDE, colorScheme: "dark", checked: false },
  { name: "phone", viewport: PHONE, colorScheme: "light", checked: false },
  { name: "phone-dark", viewport: PHONE, colorScheme: "dark", checked: true },
];
const TYPES = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml" };

function serve(folder) {
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://localhost").pathname;
    try {
      const body = readFileSync(join(folder, path));
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "text/plain" }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

// What a page does wrong, one line each.
async function faults(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(
    (values) => globalThis.axe.run({ runOnly: { type: "tag", values }, resultTypes: ["violations"] }),
    RULES,
  );
  return found.violations.flatMap((violation) =>
    violation.nodes.map((node) => {
      const why = node.failureSummary.split("\n").slice(1).join(" ").trim();
      return `${violation.id}: ${node.html.slice(0, 160)} (${why})`;
    }),
  );
}

// What sticks out of the window sideways and does not scroll within a parent.
function stickingOut() {
  const root = document.documentElement;
  if (root.scrollWidth <= innerWidth) return [];
  const wide = [...document.querySelectorAll("main *, header *, footer *")]
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
    .map((element) => element.outerHTML.slice(0, 100));
  return [`${root.scrollWidth} px wide in a window of ${innerWidth}: ${wide.slice(0, 3).join(" ")}`];
}

async function look(browser, origin, names, { name: kind, viewport, colorScheme, checked }) {
  const context = await browser.newContext({ viewport, colorScheme });
  const page = await context.newPage();
  // A form that sends itself to another site stays where it is.
  await page.addInitScript(() => { HTMLFormElement.prototype.submit = () => {}; });
  const said = [];
  for (const name of names) {
    await page.goto(`${origin}/${name}.html`);
    const wrong = await page.evaluate(stickingOut);
    if (checked) wrong.push(...(await faults(page)));
    said.push(...wrong.map((fault) => `${name} (${kind}): ${fault}`));
    if (config.pictures) {
      await page.screenshot({ path: join(config.pictures, `${name}-${kind}.png`), fullPage: true });
    }
  }
  await context.close();
  return said;
}

const server = await serve(config.gallery);
const origin = `http://127.0.0.1:${server.address().port}`;
const names = readdirSync(config.gallery)
  .filter((file) => extname(file) === ".html" && file !== "index.html")
  .map((file) => file.slice(0, -".html".length))
  .filter((name) => !config.only || name.includes(config.only));
if (config.pictures) mkdirSync(config.pictures, { recursive: true });
const browser = await chromium.launch({
  executablePath: config.chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
const looks = LOOKS.filter((kind) => kind.checked || config.pictures);
const said = await Promise.all(looks.map((kind) => look(browser, origin, names, kind)));
await browser.close();
server.close();
const all = said.flat();
if (config.pictures) {
  console.log([...all, `${names.length * LOOKS.length} pictures are in ${config.pictures}`].join("\n"));
  process.exitCode = all.length ? 1 : 0;
} else {
  console.log(JSON.stringify({ ok: true, pages: names.length, faults: all }));
}
