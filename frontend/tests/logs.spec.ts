import { readFile } from "node:fs/promises";

import { expect, fits, PHONE, signIn, test } from "./fixture";
import { type Gateway, KEY, until } from "./gateway";

const OTHER = "sk-browser-tests-other-0123456789abcdef";
test.use({
  setup: {
    extra: `[keys.other]\nkey = "${OTHER}"\n`,
    state: 'log_bodies = "all"',
    // The first generation fails over to the other account.
    script: { rules: [{ times: 1, do: { status: 503, form: "capacity" } }] },
  },
});
test.describe.configure({ mode: "serial" });

/** Gives the request's id. */
async function ask(gateway: Gateway, body: Record<string, unknown> = {}, key = KEY): Promise<string> {
  const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ model: "gemini-2.5-flash", messages: [{ role: "user", content: "Hello" }], ...body }),
  });
  await answer.text();
  return answer.headers.get("x-request-id") ?? "";
}

const rows = ".row-line";
let over = "";
let mistaken = "";

test("P68 an empty log says so", async ({ page }) => {
  await signIn(page, "/logs");
  await expect(page.getByRole("heading", { name: "No requests yet" })).toBeVisible();
  await expect(page.getByTestId("figures").locator("[data-figure=requests]")).toContainText("0");
});

test("P63 P64 P65 a row tells all of a request; the button renews rows and figures", async ({ page, gateway }) => {
  await signIn(page, "/logs");
  over = await ask(gateway);
  mistaken = await ask(gateway, { messages: [] }, OTHER);
  // A row is there once it is committed, a moment after the answer.
  await expect(async () => {
    await page.getByRole("button", { name: "Refresh" }).click();
    await expect(page.locator(rows)).toHaveCount(2, { timeout: 1_000 });
  }).toPass();
  const [wrong, good] = [page.locator(rows).nth(0), page.locator(rows).nth(1)];
  await expect(good).toContainText("gemini-2.5-flash");
  await expect(good).toContainText("tests");
  await expect(good).toContainText(/alice|bob/);
  await expect(good).toContainText("200 Success");
  await expect(good).toContainText(/\d+ → \d+ \(\d+\)/);
  await expect(good).toContainText(/\d+ m?s/);
  await expect(wrong).toContainText("400 Client");
  // It named no model.
  await expect(wrong.locator(".cell").nth(1)).toHaveText("–");
  // The whole error is reached by the keyboard.
  const error = wrong.getByRole("button");
  const full = (await error.getAttribute("aria-label")) ?? "";
  expect(full.length).toBeGreaterThan(10);
  await error.focus();
  await expect(page.getByRole("tooltip")).toContainText(full.slice(0, 10));
  await expect(page.getByTestId("figures").locator("[data-figure=requests]")).toContainText("2");
  await expect(page.getByTestId("figures").locator("[data-figure=success]")).toContainText("100%");
});

test("P80 a failed-over request is explained: tries along its time, verdicts, bodies", async ({ page }) => {
  await signIn(page, "/logs");
  await page.locator(rows).nth(1).click();
  await expect(page).toHaveURL(new RegExp(`/logs/${over}$`));
  const panel = page.getByRole("complementary");
  await expect(panel.getByRole("heading", { name: /Request/ }).first()).toBeFocused();
  const tries = panel.locator("[data-try]");
  await expect(tries).toHaveCount(2);
  await expect(tries.nth(0)).toContainText("503");
  await expect(tries.nth(1)).toContainText("200 served");
  const [first, second] = await Promise.all([0, 1].map(async (n) => (await tries.nth(n).locator("td").first().innerText()).trim()));
  expect(new Set([first, second])).toEqual(new Set(["alice", "bob"]));
  await expect(panel.getByRole("img", { name: /2 tries/ })).toBeVisible();
  // The second bar begins where the first one has ended, or later.
  const bars = panel.locator(".bar.before");
  const [a, b] = [await bars.nth(0).boundingBox(), await bars.nth(1).boundingBox()];
  expect(b?.x ?? 0).toBeGreaterThanOrEqual((a?.x ?? 0) + 1);
  await expect(panel.getByTestId("verdicts")).toContainText("At first");
  await expect(panel.getByTestId("verdicts")).toContainText("Try 2");
  // Bodies are asked for on demand only.
  await expect(panel.getByTestId("bodies")).toContainText("Each look is put on record.");
  await panel.getByRole("button", { name: "Look at the bodies" }).click();
  await expect(panel.getByRole("region", { name: "Sent by the client" })).toContainText('"content": "Hello"');
  await expect(panel.getByRole("region", { name: "Sent to the client" })).toContainText("chat.completion");
  await page.keyboard.press("Escape");
  await expect(panel).toBeHidden();
  await expect(page).toHaveURL(/\/logs$/);
});

test("a request's error stands in full, and one that is not there is told", async ({ page }) => {
  await signIn(page, `/logs/${mistaken}`);
  await expect(page.getByTestId("error")).toBeVisible();
  await expect(page.getByTestId("request")).toContainText("No upstream was called.");
  await page.goto("/logs/01ARZ3NDEKTSV4RRFFQ69G5FAV");
  await expect(page.getByRole("alert")).toContainText("01ARZ3NDEKTSV4RRFFQ69G5FAV");
});

test("who may only read gets no bodies", async ({ page }) => {
  await page.route("**/api/v1/session", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...((await response.json()) as object), role: "read" } });
  });
  await signIn(page, `/logs/${over}`);
  await expect(page.getByTestId("bodies")).toContainText("Only full access");
  await expect(page.getByRole("button", { name: "Look at the bodies" })).toHaveCount(0);
});

test("P60 P61 P62 P67 P81 filters come from the data, stand in the address, and begin at page 1", async ({ page, gateway }) => {
  const thinking = await ask(gateway, { model: "gemini-3-pro-high" }, OTHER);
  await signIn(page, "/logs");
  await expect(async () => {
    await page.reload();
    await expect(page.locator(rows)).toHaveCount(3, { timeout: 2_000 });
  }).toPass();
  const pick = async (field: string, option: string) => {
    await page.getByRole("combobox", { name: field }).click();
    await page.getByRole("option", { name: option, exact: true }).click();
  };
  await pick("Model", "gemini-3-pro-high");
  await expect(page).toHaveURL(/model=gemini-3-pro-high/);
  await expect(page.locator(rows)).toHaveCount(1);
  await page.reload();
  await expect(page.locator(rows)).toHaveCount(1);
  await page.getByRole("button", { name: "Clear filters" }).click();
  await expect(page.locator(rows)).toHaveCount(3);
  await pick("API key", "other");
  await expect(page.locator(rows)).toHaveCount(2);
  await pick("State", "4xx client errors");
  await expect(page.locator(rows)).toHaveCount(1);
  await page.goBack();
  await expect(page.locator(rows)).toHaveCount(2);
  await page.goto("/logs?status=400");
  await expect(page.locator(rows)).toHaveCount(1);
  await page.goto("/logs?status=nonsense");
  await expect(page.getByText(/expected a status/).first()).toBeVisible();
  await page.goto("/logs");
  await page.getByLabel("Request id").fill(thinking);
  await expect(page.locator(rows)).toHaveCount(1);
  await expect(page).toHaveURL(new RegExp(`id=${thinking}`));
  await page.getByRole("button", { name: "Clear filters" }).click();
  const account = (await page.locator(rows).first().locator(".cell").nth(3).innerText()).trim();
  await pick("Account", account);
  await expect(page.locator(rows).first()).toContainText(account);
  await page.getByLabel("Time", { exact: true }).selectOption("1h");
  await expect(page).toHaveURL(/range=1h/);
  await page.getByLabel("Time", { exact: true }).selectOption("custom");
  await page.getByLabel("Until").fill("2020-01-01T00:00");
  await expect(page.getByRole("heading", { name: "No request fits these filters" })).toBeVisible();
  await page.locator("main").getByRole("button", { name: "Clear filters" }).first().click();
  await expect(page.locator(rows)).toHaveCount(3);
});

test("P66 P67 P82 pages of 20, 50 and 100: forward, back, and no further than the last", async ({ page, gateway }) => {
  for (let round = 0; round < 6; round += 1) await Promise.all(Array.from({ length: 8 }, () => ask(gateway)));
  await signIn(page, "/logs?size=20");
  await until(async () => {
    const answer = await page.request.get("/admin/api/v1/requests?limit=100");
    return ((await answer.json()) as { rows: unknown[] }).rows.length === 51;
  }, "all requests are in the log");
  await page.reload();
  const [back, next] = [page.getByRole("button", { name: "Previous" }), page.getByRole("button", { name: "Next" })];
  await expect(back).toBeDisabled();
  const top = await page.locator(rows).first().innerText();
  await next.click();
  await expect(page.getByTestId("page")).toHaveText("Page 2");
  await expect(back).toBeEnabled();
  await next.click();
  await expect(page.getByTestId("page")).toHaveText("Page 3");
  await expect(next).toBeDisabled();
  await expect(page.getByText("11 rows")).toBeVisible();
  // The page is in the address, and so is the way back.
  await page.reload();
  await expect(page.getByTestId("page")).toHaveText("Page 3");
  await back.click();
  await back.click();
  await expect(page.getByTestId("page")).toHaveText("Page 1");
  await expect(page.locator(rows).first()).toHaveText(top, { useInnerText: true });
  await next.click();
  await page.getByLabel("Time", { exact: true }).selectOption("24h");
  await expect(page.getByTestId("page")).toHaveText("Page 1");
  await page.getByLabel("Rows a page").selectOption("100");
  await expect(page.getByText("51 rows")).toBeVisible();
  await expect(next).toBeDisabled();
});

test("live: new requests come by themselves, obey the filter, and wait while one reads", async ({ page, gateway }) => {
  await signIn(page, "/logs?model=gemini-2.5-flash&size=100");
  await page.getByRole("switch", { name: "Live" }).click();
  await expect(page).toHaveURL(/live=true/);
  await expect(page.getByText("New requests appear as they end")).toBeVisible();
  const count = page.locator(".foot.muted");
  const before = Number.parseInt(await count.innerText(), 10);
  await ask(gateway, { model: "gemini-3-pro-high" });
  await ask(gateway);
  await expect(count).toHaveText(`${before + 1} rows`);
  await page.locator(".scroller").evaluate((element) => element.scrollTo({ top: 300 }));
  await expect(page.getByText("Paused while you read")).toBeVisible();
  await ask(gateway);
  await ask(gateway);
  await page.getByRole("button", { name: "2 new" }).click();
  await expect(count).toHaveText(`${before + 3} rows`);
  await expect(page.getByText("New requests appear as they end")).toBeVisible();
});

test("the present filter is exported as JSON Lines and CSV", async ({ page }) => {
  await signIn(page, "/logs?status=400");
  for (const [name, check] of [
    ["JSON Lines", (text: string) => expect(JSON.parse(text.split("\n")[0] ?? "")).toMatchObject({ id: mistaken, status: 400 })],
    ["CSV", (text: string) => expect(text.trim().split("\n")).toHaveLength(2)],
  ] as const) {
    await page.getByRole("button", { name: "Export" }).click();
    const download = page.waitForEvent("download");
    await page.getByRole("menuitem", { name }).click();
    check(await readFile(await (await download).path(), "utf8"));
  }
});

test("on a phone a request is a page of its own, and nothing is wider than the window", async ({ page }) => {
  await page.setViewportSize(PHONE);
  await signIn(page, "/logs");
  await fits(page);
  await page.getByRole("button", { name: "Filters" }).click();
  await page.getByLabel("Request id").fill(over);
  await expect(page.locator(rows)).toHaveCount(1);
  await page.locator(rows).first().getByRole("link").click();
  await expect(page.getByRole("heading", { level: 1, name: "Request" })).toBeVisible();
  await fits(page);
  await page.getByRole("link", { name: "All requests" }).click();
  await expect(page).toHaveURL(new RegExp(`/logs\\?id=${over}`));
  await expect(page.locator(rows)).toHaveCount(1);
  await page.evaluate(() => localStorage.setItem("agp-language", "zh"));
  await page.reload();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("日志");
  await fits(page);
});
