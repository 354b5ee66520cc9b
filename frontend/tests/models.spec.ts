// Public models and what upstreams offer, on the real binary in front of the simulator.
import type { Locator, Page } from "@playwright/test";

import { axe, expect, fits, PHONE, signIn, test, toast } from "./fixture";

const MODELS = `[models.fast]
route = ["sim/gemini-2.5-flash", "sim/gemini-2.5-flash-lite"] # the small one when the first is full
aliases = ["quick"]
display_name = "Fast one"
context = 1048576
max_output = 65535
price = { input = 0.30, output = 2.50 }

[models.clever]
route = ["sim/gemini-3-pro-high"]
thinking = { level = "high" }

[models.claude]
route = ["sim/claude-sonnet-4-5"]
`;
test.use({
  setup: {
    models: MODELS,
    routing: 'default_model = "fast"\nstrategy = "round_robin"',
    extra: '[keys.narrow]\nkey = "sk-narrow-key-0123456789abcdef012345"\nmodels = ["fast"]\n',
  },
});
test.describe.configure({ mode: "serial", timeout: 120_000 });

const row = (page: Page, name: string): Locator => page.locator(".row-line").filter({ has: page.locator("code").getByText(name, { exact: true }) });
const dialog = (page: Page): Locator => page.getByRole("dialog").last();

async function menu(page: Page, name: string, item: string): Promise<void> {
  await page.getByRole("button", { name: `Actions for ${name}`, exact: true }).click();
  await page.getByRole("menuitem", { name: item, exact: true }).click();
}

async function save(page: Page): Promise<void> {
  const preview = page.getByRole("dialog").filter({ has: page.getByRole("button", { name: "Save", exact: true }) });
  await preview.getByRole("button", { name: "Save", exact: true }).click();
  await expect(preview).toHaveCount(0);
  await expect(toast(page, "Saved")).toBeVisible();
}

async function pick(page: Page, field: Locator, option: string): Promise<void> {
  await field.fill(option);
  await page.getByRole("option", { name: option, exact: true }).click();
}

test("the table tells names, routes in order, aliases, thinking, prices, and what each key sees", async ({ page, gateway }) => {
  expect((await gateway.chat({ model: "quick" })).status).toBe(200);
  await signIn(page, "/models");
  await expect(page.locator(".row-line")).toHaveCount(3);
  const fast = row(page, "fast");
  await expect(fast).toContainText("Default");
  await expect(fast).toContainText("Fast one · quick");
  await expect(fast).toContainText(/2\/2\s*sim\/gemini-2\.5-flash\s*2\/2\s*sim\/gemini-2\.5-flash-lite/);
  await expect(fast).toContainText("Round robin");
  await expect(fast).toContainText("$0.30");
  await expect(fast).toContainText("$2.50 out");
  await expect(fast.locator(".cell").nth(5)).toHaveText("2");
  await expect(row(page, "clever")).toContainText("Thinking: High");
  await expect(row(page, "clever").locator(".cell").nth(5)).toHaveText("1");
  await pick(page, page.getByRole("combobox", { name: "Models that a key sees" }), "narrow");
  await expect(page).toHaveURL(/key=narrow/);
  await expect(page.locator(".row-line")).toHaveCount(1);
  await page.getByRole("searchbox", { name: "Search models" }).fill("claude");
  await expect(page.getByRole("heading", { name: "No model matches" })).toBeVisible();
  await page.getByRole("button", { name: "Clear the filters" }).click();
  await expect(page.locator(".row-line")).toHaveCount(3);
  // An alias and an upstream's name find it too.
  await page.getByRole("searchbox", { name: "Search models" }).fill("quick");
  await expect(page.locator(".row-line")).toHaveCount(1);

  await row(page, "fast").click();
  await expect(page).toHaveURL(/model=fast/);
  await expect(dialog(page).getByRole("tabpanel").getByRole("listitem").first()).toContainText("sim/gemini-2.5-flash");
  await expect(dialog(page)).toContainText("2 keys may use it");
  await expect(dialog(page).getByRole("link", { name: "narrow" })).toHaveAttribute("href", "/keys?key=narrow");
  await page.goBack();
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await page.goto("/models?model=nothing-so");
  await expect(dialog(page)).toContainText("There is no model “nothing-so”");
});

test("P69 P70 the default model comes from the models that there are, and leads to the strategy", async ({ page, gateway }) => {
  await signIn(page, "/models");
  await expect(page.getByRole("link", { name: /strategy/ })).toHaveAttribute("href", /^\/config/);
  const field = page.getByLabel("Default model");
  await expect(field).toHaveValue("fast");
  await field.click();
  await expect(page.getByRole("option")).toHaveText([/^None/, "claude", "clever", "fast"]);
  await page.getByRole("option", { name: "claude", exact: true }).click();
  await page.getByRole("button", { name: "Review change" }).click();
  await expect(dialog(page)).toContainText('default_model = "claude"');
  const before = (await gateway.text()).split("\n");
  await save(page);
  await expect(row(page, "claude")).toContainText("Default");
  expect((await gateway.text()).split("\n").filter((line) => !before.includes(line))).toEqual(['default_model = "claude"']);
  const answer = await gateway.chat({ model: undefined });
  expect(answer.status).toBe(200);
  expect(((await answer.json()) as { model: string }).model).toBe("claude");
  await menu(page, "fast", "Make default");
  await save(page);
  await expect(row(page, "fast")).toContainText("Default");
});

test("a route is put in another order by the keyboard; aliases, thinking and prices are edited", async ({ page, gateway }) => {
  await signIn(page, "/models?model=fast&view=settings");
  const steps = dialog(page).getByRole("group", { name: "Route" }).getByRole("listitem");
  await expect(steps).toHaveCount(2);
  await dialog(page).getByRole("button", { name: "Move sim/gemini-2.5-flash-lite", exact: true }).press("Alt+ArrowUp");
  await expect(steps.first()).toContainText("sim/gemini-2.5-flash-lite");
  await expect(dialog(page).getByRole("button", { name: "Move sim/gemini-2.5-flash-lite", exact: true })).toBeFocused();
  await dialog(page).getByRole("button", { name: "Remove sim/gemini-2.5-flash", exact: true }).click();
  await pick(page, dialog(page).getByRole("combobox", { name: "A new step" }), "sim/gemini-3-flash");
  await dialog(page).getByRole("button", { name: "Add", exact: true }).click();
  await expect(steps).toHaveCount(2);
  // What is allowed and may not be meant is told before it is saved.
  await dialog(page).getByLabel("Aliases").fill("clever");
  await page.keyboard.press("Enter");
  await dialog(page).getByRole("button", { name: "Review change" }).click();
  await expect(page.getByTestId("warnings")).toContainText("clever is the name of a model");
  await axe(page);
  await page.getByRole("dialog", { name: "Check the change" }).getByRole("button", { name: "Cancel" }).click();
  await dialog(page).getByRole("button", { name: "Remove clever" }).click();
  await dialog(page).getByLabel("Aliases").fill("rapid");
  await page.keyboard.press("Enter");
  await dialog(page).getByLabel("Thinking").selectOption("budget");
  await dialog(page).getByRole("button", { name: "Review change" }).click();
  await expect(dialog(page).getByLabel("Tokens for thinking")).toHaveAccessibleDescription(/Give a number of tokens/);
  await dialog(page).getByLabel("Tokens for thinking").fill("1024");
  await dialog(page).getByLabel("Output", { exact: true }).fill("3");
  await dialog(page).getByRole("button", { name: "Review change" }).click();
  await expect(dialog(page)).toContainText("rapid");
  const before = (await gateway.text()).split("\n");
  await save(page);
  const added = (await gateway.text()).split("\n").filter((line) => !before.includes(line));
  expect(added).toEqual([
    'route = ["sim/gemini-2.5-flash-lite", "sim/gemini-3-flash"] # the small one when the first is full',
    'aliases = ["quick", "rapid"]',
    expect.stringMatching(/^price = \{ input = 0\.30?, output = 3(\.0)? \}$/),
    "thinking = { budget = 1024 }",
  ]);
  expect((await gateway.chat({ model: "rapid" })).status).toBe(200);
  // What the gateway refuses is told at the field.
  await dialog(page).getByRole("combobox", { name: "A new step" }).fill("nowhere/gemini-3-flash");
  await page.keyboard.press("Tab");
  await dialog(page).getByRole("button", { name: "Add", exact: true }).click();
  await dialog(page).getByRole("button", { name: "Review change" }).click();
  await expect(dialog(page).getByRole("group", { name: "Route" })).toContainText(/no upstream|unknown|nowhere.*(not|no)/i);
  await expect(page.getByRole("dialog", { name: "Check the change" })).toHaveCount(0);
});

test("a test asks for real and says who answered; its request is in the log", async ({ page, gateway }) => {
  await signIn(page, "/models");
  await menu(page, "claude", "Test");
  await expect(page).toHaveURL(/view=test/);
  await dialog(page).getByRole("button", { name: "Send a request" }).click();
  await expect(dialog(page)).toContainText("Answered");
  await expect(dialog(page).getByRole("link", { name: /^(alice|bob)$/ })).toHaveAttribute("href", /^\/accounts\/(alice|bob)$/);
  const id = await dialog(page).getByRole("link").filter({ has: page.locator("code") }).innerText();
  await expect(async () => expect((await page.request.get(`/admin/api/v1/requests/${id}`)).status()).toBe(200)).toPass();
  // A key that may not use it is refused, which is told as it is.
  await pick(page, dialog(page).getByRole("combobox", { name: "With the rights of" }), "narrow");
  await dialog(page).getByRole("button", { name: "Send a request" }).click();
  await expect(dialog(page).getByText("Answered", { exact: true })).toHaveCount(0);
  await expect(dialog(page)).toContainText(/Failed|narrow|claude.*not/);
  await gateway.sim.script({ rules: [{ model: "claude-*", do: { status: 400, message: "odd request" } }] });
  await pick(page, dialog(page).getByRole("combobox", { name: "With the rights of" }), "Nobody in particular");
  await dialog(page).getByRole("button", { name: "Send a request" }).click();
  await expect(dialog(page)).toContainText("Failed");
  await gateway.sim.script({});
});

test("the distribution over accounts is drawn without sending anything", async ({ page, gateway }) => {
  const generations = async () => JSON.stringify(await gateway.sim.control("/requests")).match(/"method":"\w*[gG]enerateContent"/g)?.length ?? 0;
  await signIn(page, "/models?model=clever&view=pick");
  const sent = await generations();
  expect(sent).toBeGreaterThan(0);
  await expect(dialog(page)).toContainText("1,000 draws, strategy: Round robin.");
  for (const name of ["alice", "bob"]) await expect(dialog(page).getByRole("listitem").filter({ hasText: name })).toContainText("50% · 500");
  await dialog(page).getByLabel("Draws").selectOption("100");
  await expect(dialog(page)).toContainText("100 draws");
  await pick(page, dialog(page).getByRole("combobox", { name: "With the rights of" }), "narrow");
  await expect(dialog(page).getByRole("alert")).toContainText(/there is no/i);
  expect(await generations()).toBe(sent);
});

test("what an upstream offers is discovered and added", async ({ page, gateway }) => {
  await signIn(page, "/models");
  await page.getByRole("tab", { name: /^Upstream offers/ }).click();
  await expect(page.getByText("only models with a table are published")).toBeVisible();
  await expect(row(page, "gemini-2.5-flash-lite")).toContainText("fast");
  await expect(row(page, "gemini-2.5-pro")).toContainText("not served");
  await page.getByRole("searchbox", { name: "Search models" }).fill("2.5-pro");
  await page.getByRole("button", { name: "Add gemini-2.5-pro", exact: true }).click();
  await expect(dialog(page).getByLabel("Name", { exact: true })).toHaveValue("gemini-2.5-pro");
  await expect(dialog(page).getByRole("group", { name: "Route" }).getByRole("listitem")).toHaveText(/sim\/gemini-2\.5-pro/);
  await dialog(page).getByLabel("Name", { exact: true }).fill("fast");
  await dialog(page).getByRole("button", { name: "Review change" }).click();
  await expect(dialog(page).getByLabel("Name", { exact: true })).toHaveAttribute("aria-invalid", "true");
  await dialog(page).getByLabel("Name", { exact: true }).fill("pro");
  await dialog(page).getByRole("button", { name: "Review change" }).click();
  await expect(dialog(page)).toContainText("[models.pro]");
  await save(page);
  await expect(page).toHaveURL(/model=pro/);
  await expect(dialog(page)).toContainText("sim/gemini-2.5-pro");
  expect((await gateway.chat({ model: "pro" })).status).toBe(200);
  // It is deleted with what is lost, and is gone for clients.
  await dialog(page).getByRole("button", { name: "Delete" }).click();
  const question = page.getByRole("alertdialog");
  await expect(question).toContainText("Clients that ask for it");
  await question.getByRole("button", { name: "Delete" }).click();
  await expect(question).toHaveCount(0);
  await expect(row(page, "pro")).toHaveCount(0);
  expect((await gateway.chat({ model: "pro" })).status).toBe(404);
});

test("loading, error, stale, phone and Chinese", async ({ page, gateway }) => {
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const failing = async (route: { fulfill: (answer: object) => Promise<void> }) => {
    await held;
    await route.fulfill({ status: 503, json: { error: "the gateway is stopping", fields: [] } });
  };
  await page.route(/\/admin\/api\/v1\/models$/, failing);
  await signIn(page, "/models");
  await expect(page.getByRole("tabpanel").getByText("Loading…").first()).toBeAttached();
  release();
  await expect(page.getByRole("alert").first()).toContainText("the gateway is stopping");
  await page.unroute(/\/admin\/api\/v1\/models$/);
  await page.getByRole("alert").first().getByRole("button", { name: "Try again" }).click();
  await expect(row(page, "fast")).toBeVisible();
  await page.route(/\/admin\/api\/v1\/models$/, failing);
  // A change of the file makes the list old; what is shown stays.
  await gateway.edit((text) => text.replace('display_name = "Fast one"', 'display_name = "Fastest"'));
  await expect(page.getByRole("status").filter({ hasText: "may be out of date" }).first()).toBeVisible();
  await expect(row(page, "fast")).toBeVisible();
  await page.unroute(/\/admin\/api\/v1\/models$/);

  await page.setViewportSize(PHONE);
  await page.evaluate(() => localStorage.setItem("agp-language", "zh"));
  for (const path of ["/models", "/models?tab=offers", "/models?model=fast", "/models?model=fast&view=settings", "/models?model=fast&view=pick"]) {
    await page.goto(path);
    await expect(page.getByRole("heading", { level: 1, includeHidden: true })).toHaveText("模型");
    await expect(page.locator("[role=dialog] h2, .row-line").first()).toBeVisible();
    await fits(page);
  }
});
