import { axe, expect, fits, PHONE, signIn, test } from "./fixture";
import { MODELS, startGateway, until } from "./gateway";

// Carol's sign-in is dead from the start.
test.use({
  setup: { accounts: ["alice", "bob", "carol"], script: { accounts: { "carol@example.com": { revoked: true } } } },
});
test.describe.configure({ mode: "serial" });

test("first steps lead to account, key and first request, and are gone after it", async ({ page, gateway, guard }) => {
  const own = await startGateway({ accounts: [] });
  guard.allow(new RegExp(`^request: ${own.url}`));
  try {
    await signIn(page, `${own.url}/`);
    const steps = page.getByTestId("first-steps");
    await expect(steps.locator("[data-step=account]")).toHaveAttribute("data-done", "false");
    await expect(steps.locator("[data-step=key]")).toHaveAttribute("data-done", "true");
    await expect(steps.getByRole("link", { name: "Add account" })).toHaveAttribute("href", /^\/accounts\?add=oauth/);
    await axe(page);
  } finally {
    await own.stop();
  }
  await signIn(page);
  const steps = page.getByTestId("first-steps");
  await expect(steps.locator("[data-step=account]")).toHaveAttribute("data-done", "true");
  await expect(steps).toContainText(`curl ${gateway.url}/v1/chat/completions`);
  await expect(steps.getByRole("link", { name: "Open the playground" })).toHaveAttribute("href", "/playground");
  expect((await gateway.chat()).status).toBe(200);
  await expect(steps).toBeHidden();
  await expect(page.getByTestId("card-requests")).toContainText("1");
});

test("P12 P13 P14 P15 P17 P22 P26 P64 P75 figures, models, charts and states say what happened", async ({ page, gateway }) => {
  for (const model of ["gemini-2.5-flash", "gemini-2.5-flash", "gemini-3-pro-high"]) expect((await gateway.chat({ model })).status).toBe(200);
  expect((await gateway.chat({ messages: [] })).status).toBe(400);
  await signIn(page);
  await expect(page.getByTestId("card-accounts")).toContainText("2of 3");
  await expect(page.getByTestId("card-failed")).toContainText("1");
  await expect(page.getByTestId("card-requests")).toContainText("5");
  await expect(page.getByTestId("card-requests")).toContainText("0 failed, 1 by clients' fault");
  await expect(page.getByTestId("card-success")).toContainText("100%");
  await expect(page.getByTestId("card-tokens")).toContainText(/\d+ in, \d+ out/);
  await expect(page.getByTestId("card-latency")).toContainText(/\d+ ms/);
  const models = page.getByTestId("models");
  await expect(models.getByRole("listitem").first()).toContainText("gemini-2.5-flash");
  await expect(models.getByRole("link", { name: "gemini-2.5-flash" })).toHaveAttribute("href", "/logs?model=gemini-2.5-flash&range=24h");
  // The charts' figures are a table for whoever can't see them.
  const chart = page.getByTestId("chart-requests");
  await chart.getByRole("button", { name: /Show figures/ }).click();
  await expect(chart.getByRole("row").last()).toContainText(/4\s*0\s*1/);
  const states = page.getByTestId("states");
  await expect(states.getByRole("link", { name: /Active 2/ })).toHaveAttribute("href", "/accounts?state=active");
  await states.getByRole("link", { name: /Needs sign-in 1/ }).click();
  await expect(page).toHaveURL(/\/accounts\?state=needs_login/);
  await page.goBack();
  await page.getByRole("radio", { name: "7 days" }).check();
  await expect(page).toHaveURL(/range=7d/);
  await expect(page.getByTestId("card-requests")).toContainText("5");
  await page.getByRole("radio", { name: "30 days" }).check();
  await expect(page.getByTestId("chart-requests")).toContainText("by the day");
  await page.goBack();
  await expect(page.getByRole("radio", { name: "7 days" })).toBeChecked();
});

test("P16 cards show the change against yesterday", async ({ page }) => {
  // A gateway of today has no yesterday: only this is put into its answer.
  await page.route("**/api/v1/overview", async (route) => {
    const response = await route.fetch();
    const json = (await response.json()) as { today: { requests: number }; yesterday: { requests: number } };
    json.yesterday.requests = json.today.requests * 2;
    await route.fulfill({ response, json });
  });
  await signIn(page);
  await expect(page.getByTestId("card-requests")).toContainText("−50% vs. yesterday by now");
});

test("P19 P20 P21 P24 addresses are copied; account and log are a click away", async ({ page, gateway, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await signIn(page);
  const addresses = page.getByTestId("addresses");
  await expect(addresses).toContainText(`${gateway.url}/v1`);
  await addresses.getByRole("button", { name: `Copy: ${gateway.url}/v1` }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(`${gateway.url}/v1`);
  await expect(page.getByRole("link", { name: "Add account" })).toHaveAttribute("href", "/accounts?add=oauth");
  await page.getByRole("link", { name: "All requests in the log" }).click();
  await expect(page).toHaveURL(/\/logs$/);
});

test("P25 the live rate moves by itself, and the button asks anew", async ({ page, gateway }) => {
  await signIn(page);
  const card = page.getByTestId("card-requests");
  const before = Number(await card.locator(".value").innerText());
  await gateway.chat();
  await expect(page.getByTestId("per-minute")).not.toHaveText("0");
  await expect(card.locator(".value")).toHaveText(String(before + 1));
  const asked = page.waitForRequest("**/api/v1/overview");
  await page.getByRole("button", { name: "Refresh" }).click();
  await asked;
});

test("each thing that needs attention has its way out: sign in again, a refused file with its line", async ({ page, gateway }) => {
  await signIn(page);
  const list = page.getByTestId("attention");
  const signin = list.locator("[data-kind=sign_in]");
  await expect(signin).toContainText("Account carol must be signed in again");
  await expect(signin.getByRole("link")).toHaveAttribute("href", "/accounts?signin=carol");
  const good = await gateway.text();
  await gateway.edit((text) => `${text}\n[keys.wrong]\nno_such_key = 1\n`);
  const reload = list.locator("[data-kind=reload]", { hasText: "no_such_key" });
  await expect(reload).toBeVisible();
  await expect(reload.getByRole("link")).toHaveAttribute("href", /^\/config\?tab=files#.*agp\.toml:\d+$/);
  await axe(page);
  await gateway.edit(() => good);
  await expect(reload).toBeHidden();
});

test("P18 P23 empty, failed and stale states are told; the badge knows when the gateway is gone", async ({ page, guard }) => {
  const own = await startGateway();
  guard.allow(new RegExp(`^request: ${own.url}`));
  guard.allow(/Failed to load resource/);
  await page.route("**/api/v1/overview", (route) => route.fulfill({ status: 400, json: { error: "it broke", fields: [] } }), { times: 1 });
  await signIn(page, `${own.url}/`);
  await expect(page.getByRole("alert")).toContainText("it broke");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByTestId("gateway")).toHaveText("Running");
  await own.stop();
  await expect(page.getByTestId("gateway")).toHaveText("No connection");
  // Said once, though parts of the view are as old as the whole.
  await expect(page.getByText("No connection: this may be out of date.")).toHaveCount(1);
});

test("fits a phone, and reads in Chinese", async ({ page, gateway }) => {
  await gateway.chat();
  await signIn(page);
  await page.setViewportSize(PHONE);
  await fits(page);
  await page.evaluate(() => localStorage.setItem("agp-language", "zh"));
  await page.reload();
  await expect(page.getByTestId("models")).toContainText("模型用量");
  await fits(page);
});

test("a key near its limit is told with the way to it", async ({ page, guard }) => {
  const own = await startGateway({
    extra: '[keys.tight]\nkey = "sk-browser-tests-tight-0123456789abcdef"\nbudget = { usd = 0.05, per = "day" }\n',
    models: MODELS.replace('[models."gemini-2.5-flash"]', '$&\nprice = { input = 100.0, output = 100.0 }'),
  });
  guard.allow(new RegExp(`^request: ${own.url}`));
  try {
    await until(async () => (await own.chat()).ok, "an answer");
    // A request is refused where it might go over the budget: small ones come near it.
    const ask = () =>
      fetch(`${own.url}/v1/chat/completions`, {
        method: "POST",
        headers: { Authorization: "Bearer sk-browser-tests-tight-0123456789abcdef", "Content-Type": "application/json" },
        body: JSON.stringify({ model: "gemini-2.5-flash", max_tokens: 10, messages: [{ role: "user", content: "Hello" }] }),
      });
    expect((await ask()).status).toBe(200);
    await until(async () => (await ask()).status === 429, "the budget is used");
    await signIn(page, `${own.url}/`);
    const item = page.getByTestId("attention").locator("[data-kind=budget]");
    await expect(item).toContainText("tight");
    await expect(item.getByRole("link")).toHaveAttribute("href", "/keys?key=tight");
  } finally {
    await own.stop();
  }
});
