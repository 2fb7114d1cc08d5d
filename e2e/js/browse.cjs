// Opens the page in headless Chromium and behaves like a visitor:
// node browse.cjs HOST PROJECT_KEY PREFIX CHROMIUM
// Prints one JSON object: what posthog-js captured, and every request it made with its answer.
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const { chromium } = require("playwright-core");

const [host, key, prefix, executablePath] = process.argv.slice(2);
const bundle = path.join(path.dirname(require.resolve("posthog-js/package.json")), "dist/array.full.no-external.js");

// The shop's own server: another origin than HOST, so CORS decides.
function serveShop() {
  const files = {
    "/": ["text/html", path.join(__dirname, "page.html")],
    "/next.html": ["text/html", path.join(__dirname, "next.html")],
    "/posthog.js": ["application/javascript", bundle],
  };
  const server = http.createServer((request, response) => {
    const file = files[new URL(request.url, "http://shop").pathname];
    if (!file) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": file[0] }).end(fs.readFileSync(file[1]));
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

async function visit(page, shop) {
  const query = new URLSearchParams({ key, host });
  await page.goto(`${shop}/?${query}`);
  await page.waitForFunction(() => window.story.ready, undefined, { timeout: 20000 });
  const anonymous = await page.evaluate(() => posthog.get_distinct_id());
  await page.click("#buy");
  await page.evaluate((prefix) => {
    posthog.capture(`${prefix} before`, { number: 41.5 });
    posthog.identify(`${prefix}-user`, { plan: "pro" });
    posthog.group("company", `${prefix}-company`, { seats: 3 });
    posthog.capture(`${prefix} after`, { text: "naïve ☕" });
    posthog.startSessionRecording(true);
  }, prefix);
  await page.mouse.move(40, 60);
  await page.mouse.move(140, 160, { steps: 8 });
  await page.click("#buy");
  // Recordings leave every two seconds; leaving the page must not be what sends them.
  await page.waitForResponse((answer) => answer.url().includes("/s/"), { timeout: 20000 }).catch(() => undefined);
  // Captured in the same turn as the page is left: only a beacon can carry it.
  const captured = await page.evaluate((prefix) => {
    posthog.capture(`${prefix} leaving`);
    location.href = "/next.html";
    return window.story.captured;
  }, prefix);
  await page.waitForURL("**/next.html");
  await page.waitForTimeout(1500);
  const beacons = await page.evaluate(() => JSON.parse(localStorage.getItem("beacons") || "[]"));
  return { anonymous, captured, beacons };
}

async function main() {
  const shop = await serveShop();
  const browser = await chromium.launch({ executablePath, headless: true, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  const context = await browser.newContext();
  const page = await context.newPage();
  const requests = [];
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  context.on("request", (request) => {
    if (request.url().startsWith(host)) {
      const seen = { method: request.method(), url: request.url().slice(host.length), type: request.resourceType() };
      requests.push(seen);
      request.response().then((answer) => (seen.status = answer && answer.status())).catch(() => undefined);
    }
  });
  // The requests of a page that is gone are not reported, so the page writes down the beacons it hands over.
  await context.addInitScript(() => {
    const send = navigator.sendBeacon.bind(navigator);
    navigator.sendBeacon = (url, body) => {
      const taken = send(url, body);
      const before = JSON.parse(localStorage.getItem("beacons") || "[]");
      localStorage.setItem("beacons", JSON.stringify([...before, { url, taken }]));
      return taken;
    };
  });
  try {
    const told = await visit(page, `http://127.0.0.1:${shop.address().port}`);
    console.log(JSON.stringify({ ...told, requests, problems }));
  } finally {
    await browser.close();
    shop.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
