// `npm run large`: how the panel bears 10,000 accounts and a million log rows. Not a test: it tells figures. The gateway is that of
// `AGP_SERVE=1 cargo bench --bench panel`, which prints the two variables that are needed here.
import { expect, type Page, test } from "@playwright/test";

const ADDRESS = process.env["AGP_URL"] ?? "http://127.0.0.1:8088";
const PASSWORD = process.env["AGP_PASSWORD"] ?? "a password for benches";
const ROW = ".row-line";
const SCROLL_MS = 3000;

test.use({ baseURL: ADDRESS });

async function signIn(page: Page): Promise<void> {
  const answer = await page.request.post("/admin/api/v1/login", { data: { password: PASSWORD, remember: false } });
  expect(answer.status(), await answer.text()).toBe(200);
}

function tell(line: string): void {
  process.stdout.write(`${line}\n`);
}

const ms = (n: number) => `${n.toFixed(1)} ms`;

/** Opens a view; tells when its first row stood, and what script was fetched for it. */
async function open(page: Page, path: string, ready: string): Promise<void> {
  const begun = Date.now();
  await page.goto(path);
  await page.locator(ready).first().waitFor();
  const script = await page.evaluate(() =>
    performance
      .getEntriesByType("resource")
      .filter((entry): entry is PerformanceResourceTiming => entry instanceof PerformanceResourceTiming && /\.js(\?|$)/.test(entry.name))
      .map(({ encodedBodySize }) => encodedBodySize),
  );
  const bytes = script.reduce((sum, size) => sum + size, 0);
  tell(`${path}: there after ${Date.now() - begun} ms; ${script.length} scripts of ${bytes} bytes`);
}

/** Scrolls through the rows, some 60 pixels each frame. */
async function scroll(page: Page, what: string): Promise<void> {
  const found = await page.evaluate(async (time) => {
    const scroller = document.querySelector(".scroller");
    if (!(scroller instanceof HTMLElement)) throw new Error("no rows");
    const tasks: number[] = [];
    const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration)));
    observer.observe({ type: "longtask" });
    const frames: number[] = [];
    let nodes = 0;
    const begun = performance.now();
    await new Promise<void>((done) => {
      let last = begun;
      const frame = (now: number) => {
        frames.push(now - last);
        last = now;
        nodes = Math.max(nodes, document.querySelectorAll("*").length);
        scroller.scrollTop += 60;
        if (now - begun < time) requestAnimationFrame(frame);
        else done();
      };
      requestAnimationFrame(frame);
    });
    observer.disconnect();
    const last = Number(document.querySelector(".row-line:last-child")?.getAttribute("aria-rowindex"));
    return { frames: frames.slice(1), tasks, nodes, last };
  }, SCROLL_MS);
  const frames = found.frames.sort((a, b) => a - b);
  const at = (part: number) => frames[Math.floor(frames.length * part)] ?? 0;
  tell(
    `${what}: ${frames.length} frames, p50 ${ms(at(0.5))}, p95 ${ms(at(0.95))}, longest ${ms(frames.at(-1) ?? 0)}; ` +
      `long tasks ${found.tasks.length}, longest ${ms(Math.max(0, ...found.tasks))}; ${found.nodes} nodes; down to row ${found.last}`,
  );
}

/** From what somebody does to rows that all match. */
async function filter(page: Page, what: string, act: () => Promise<unknown>, text: string): Promise<void> {
  await page.evaluate((wanted) => {
    const state = window as unknown as { took?: number };
    delete state.took;
    let begun: number | undefined;
    for (const kind of ["input", "change"]) document.addEventListener(kind, (event) => (begun ??= event.timeStamp), { capture: true });
    const look = () => {
      const rows = [...document.querySelectorAll(".row-line")];
      if (begun !== undefined && rows.length > 0 && rows.every((row) => row.textContent.includes(wanted))) state.took = performance.now() - begun;
      else requestAnimationFrame(look);
    };
    look();
  }, text);
  const answered = page.waitForResponse((answer) => /\/admin\/api\/v1\/(accounts|requests|keys)\?/.test(answer.url()));
  await act();
  const { responseEnd, requestStart } = (await answered).request().timing();
  await page.waitForFunction(() => "took" in window, null, { polling: 50 });
  const took = await page.evaluate(() => (window as unknown as { took: number }).took);
  tell(`${what}: new rows after ${ms(took)}, of which the answer took ${ms(responseEnd - requestStart)}`);
}

test("accounts", async ({ page }) => {
  await signIn(page);
  await open(page, "/accounts", ROW);
  await scroll(page, "accounts, scrolled");
  await filter(page, "accounts, typed", () => page.getByRole("searchbox").first().fill("account-77"), "account-77");
});

test("logs", async ({ page }) => {
  await signIn(page);
  await open(page, "/logs", ROW);
  await scroll(page, "logs, scrolled");
  const status = page.getByRole("combobox", { name: "State" });
  const chosen = async () => {
    await status.fill("502");
    await status.press("Enter");
  };
  await filter(page, "logs, by status", chosen, "502");
});

test("keys", async ({ page }) => {
  await signIn(page);
  await open(page, "/keys", ROW);
  await scroll(page, "keys, scrolled");
  await filter(page, "keys, typed", () => page.getByRole("searchbox").first().fill("team-77"), "team-77");
});

test("first loads", async ({ page }) => {
  await signIn(page);
  for (const path of ["/", "/config", "/models", "/playground"]) await open(page, path, "main h1");
});
