// API keys and their groups, on the real binary.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { promisify } from "node:util";

import type { Locator, Page } from "@playwright/test";

import { axe, expect, fits, PHONE, signIn, test, toast } from "./fixture";
import { type Gateway, KEY, until } from "./gateway";

const OFF = "sk-browser-tests-off-0123456789abcdef";
test.use({
  setup: {
    extra: [
      `[keys.off]\nname = "Switched off"\nkey = "${OFF}"\ngroup = "team" # with the others\nenabled = false\n`,
      '[keys.old]\nkey = "sk-browser-tests-old-0123456789abcdef"\nexpires = 2020-01-01\n',
      "[groups.team]\ntokens_per_day = 100000 # a day's work\n",
    ].join(""),
  },
});
test.describe.configure({ mode: "serial", timeout: 120_000 });

/** The list, whichever page of it. */
const KEYS = /\/admin\/api\/v1\/keys(\?|$)/;
const row = (page: Page, label: string): Locator => page.locator(".row-line").filter({ hasText: label });
const dialog = (page: Page): Locator => page.getByRole("dialog").last();
const ask = async (gateway: Gateway, key: string, model = "gemini-2.5-flash") => (await gateway.chat({ model }, key)).status;

async function menu(page: Page, label: string, item: string): Promise<void> {
  await page.getByRole("button", { name: `Actions for ${label}` }).click();
  await page.getByRole("menuitem", { name: item, exact: true }).click();
}

/** From a preview to the saved file. */
async function save(page: Page): Promise<void> {
  const preview = page.getByRole("dialog").filter({ has: page.getByRole("button", { name: "Save", exact: true }) });
  await preview.getByRole("button", { name: "Save", exact: true }).click();
  await expect(preview).toHaveCount(0);
  await expect(toast(page, "Saved")).toBeVisible();
}

let made = "";

test("P50 P51 P52 P53 P54 P55 P59 the table tells state, use and digest of each key, and is renewed", async ({ page, gateway }) => {
  await signIn(page, "/keys");
  await expect(page.locator(".row-line")).toHaveCount(3);
  await expect(row(page, "Switched off")).toContainText("Disabled");
  await expect(row(page, "old")).toContainText("Expired");
  const tests = row(page, "tests");
  await expect(tests).toContainText("Active");
  await expect(tests).toContainText("never");
  // The key itself is nowhere; its digest tells which one it is.
  const digest = await tests.locator("code").innerText();
  expect(digest.length).toBeGreaterThanOrEqual(6);
  expect(createHash("sha256").update(KEY).digest("hex").startsWith(digest)).toBe(true);
  expect(await (await page.request.get("/admin/api/v1/keys")).text()).not.toContain(KEY);

  expect(await ask(gateway, KEY)).toBe(200);
  await expect(async () => {
    await page.getByRole("button", { name: "Refresh" }).click();
    await expect(tests).not.toContainText("never", { timeout: 500 });
  }).toPass();
  await expect(tests.locator(".cell").nth(3)).toHaveText("1");
  await expect(tests.locator(".cell").nth(4)).toHaveText(/^[1-9]\d*$/);

  await page.getByLabel("State").selectOption("disabled");
  await expect(page).toHaveURL(/state=disabled/);
  await expect(page.locator(".row-line")).toHaveCount(1);
  await page.getByRole("searchbox", { name: "Search keys" }).fill("no such key");
  await expect(page.getByRole("heading", { name: "No key matches" })).toBeVisible();
  await page.getByRole("button", { name: "Clear the filters" }).click();
  await expect(page.locator(".row-line")).toHaveCount(3);
  await page.getByRole("button", { name: "Requests" }).click();
  await page.getByRole("button", { name: "Requests" }).click();
  await expect(page.locator(".row-line").first()).toContainText("tests");
});

test("P47 P48 P49 a key is made, shown once with ready commands, and is held to its limits", async ({ page, gateway, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await signIn(page, "/keys");
  await page.getByRole("button", { name: "Create a key" }).click();
  await expect(page).toHaveURL(/new=true/);
  const label = dialog(page).getByLabel("Name", { exact: true });
  await expect(label).toHaveValue(/^Key of .*\d{4}$/);
  await label.fill("");
  await dialog(page).getByRole("button", { name: "Create" }).click();
  await expect(label).toHaveAccessibleDescription(/Give the key a name/);
  await label.fill("Laptop of Åsa");
  // A name that another table has.
  await dialog(page).getByLabel("Name in agp.toml").fill("tests");
  await dialog(page).getByLabel("Group").selectOption("team");
  await dialog(page).getByLabel("Models").fill("gemini-*");
  await page.keyboard.press("Enter");
  await dialog(page).getByLabel("Requests per minute").fill("2");
  await dialog(page).getByRole("button", { name: "Create" }).click();
  await expect(dialog(page).getByLabel("Name in agp.toml")).toHaveAttribute("aria-invalid", "true");
  await dialog(page).getByLabel("Name in agp.toml").fill("");
  // A look at the change makes no key.
  await dialog(page).getByRole("button", { name: "Preview" }).click();
  await expect(dialog(page)).toContainText('models = ["gemini-*"]');
  await dialog(page).getByRole("button", { name: "Cancel" }).click();
  const before = await gateway.text();
  await dialog(page).getByRole("button", { name: "Create" }).click();
  await expect(dialog(page)).toContainText("can't show it again");
  made = await page.getByTestId("made-key").innerText();
  expect(made).toMatch(/^sk-\S{20,}$/);
  await dialog(page).getByRole("button", { name: "Copy key" }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(made);
  await dialog(page).getByRole("tab", { name: "Claude Code" }).click();
  await expect(dialog(page).getByRole("region", { name: "Claude Code" })).toContainText(`ANTHROPIC_AUTH_TOKEN='${made}'`);
  for (const client of ["OpenAI · Python", "OpenAI · JS", "Anthropic · Python", "Anthropic · JS"]) {
    await dialog(page).getByRole("tab", { name: client }).click();
    await expect(dialog(page).getByRole("region", { name: client })).toContainText(made);
  }
  await dialog(page).getByRole("tab", { name: "curl" }).click();
  await axe(page);
  // The command is no sketch: it runs as it is.
  const command = await dialog(page).getByRole("region", { name: "curl" }).innerText();
  const { stdout } = await promisify(execFile)("bash", ["-c", command.replace("curl ", "curl -sS ")]);
  expect((JSON.parse(stdout) as { object: string }).object).toBe("chat.completion");
  // A click beside the dialog doesn't lose the key.
  await page.mouse.click(5, 5);
  await expect(page.getByTestId("made-key")).toBeVisible();
  await dialog(page).getByRole("button", { name: "I have stored the key" }).click();
  await expect(row(page, "Laptop of Åsa")).toContainText("Active");
  await expect(page.locator("body")).not.toContainText(made);

  const after = await gateway.text();
  expect(after).not.toContain(made);
  expect(after).toContain(createHash("sha256").update(made).digest("hex"));
  const lines = after.split("\n");
  expect(before.split("\n").filter((line) => !lines.includes(line))).toEqual([]);
  expect(await ask(gateway, made, "claude-sonnet-4-5")).toBeGreaterThanOrEqual(400);
  expect(await ask(gateway, made)).toBe(200);
  expect(await ask(gateway, made)).toBe(429);
});

test("a key's drawer shows its limits, changes one line, and outlives a change by somebody else", async ({ page, gateway }) => {
  await signIn(page, "/keys");
  await row(page, "Laptop of Åsa").click();
  await expect(page).toHaveURL(/key=laptop/);
  await expect(dialog(page).getByRole("meter", { name: "Requests per minute" })).toBeVisible();
  await expect(dialog(page).getByRole("meter", { name: "Tokens per day" })).toBeVisible();
  await expect(dialog(page)).toContainText("Shared with the group team");
  await expect(dialog(page).getByRole("link", { name: "Its requests" })).toHaveAttribute("href", /\/logs\?key=laptop/);
  await dialog(page).getByRole("tab", { name: "Commands" }).click();
  await expect(dialog(page).getByRole("region", { name: "curl" })).toContainText("YOUR_KEY");
  await dialog(page).getByRole("tab", { name: "Settings" }).click();
  await dialog(page).getByLabel("Requests per minute").fill("50");
  await dialog(page).getByLabel("Models").fill("claude-*");
  await page.keyboard.press("Enter");
  const revision = await revisionOf(page);
  await gateway.edit((text) => text.replace("tokens_per_day = 100000 #", "tokens_per_day = 200000 #"));
  await until(async () => (await revisionOf(page)) !== revision, "the edit is in force");
  const before = (await gateway.text()).split("\n");
  await dialog(page).getByRole("button", { name: "Review change" }).click();
  await expect(dialog(page)).toContainText("changed by somebody else");
  await expect(dialog(page)).toContainText("tokens_per_day = 200000");
  await dialog(page).getByRole("button", { name: "Go on from the new state" }).click();
  await expect(dialog(page)).toContainText("rpm = 50");
  await save(page);
  const after = (await gateway.text()).split("\n");
  expect(after.filter((line) => !before.includes(line)).sort()).toEqual(['models = ["gemini-*", "claude-*"]', "rpm = 50"]);
  expect(await ask(gateway, made, "claude-sonnet-4-5")).toBe(200);

  // An address with a key that is not there says so.
  await page.goto("/keys?key=nobody");
  await expect(dialog(page)).toContainText("There is no key “nobody”");
  await page.keyboard.press("Escape");
  await expect(page).toHaveURL(/\/keys$/);
});

test("P56 a key is enabled, disabled, expired and renamed, and clients feel it at once", async ({ page, gateway }) => {
  await signIn(page, "/keys");
  expect(await ask(gateway, OFF)).toBe(401);
  await menu(page, "Switched off", "Enable");
  await expect(dialog(page)).toContainText("enabled");
  await save(page);
  await expect(row(page, "Switched off")).toContainText("Active");
  expect(await ask(gateway, OFF)).toBe(200);
  await menu(page, "Switched off", "Disable");
  await expect(dialog(page)).toContainText("enabled = false");
  await save(page);
  await expect(row(page, "Switched off")).toContainText("Disabled");
  expect(await ask(gateway, OFF)).toBe(401);
  expect(await gateway.text()).toContain('group = "team" # with the others');

  await menu(page, "Switched off", "Rename");
  const to = dialog(page).getByLabel("New name in agp.toml");
  await to.fill("tests");
  await dialog(page).getByRole("button", { name: "Review change" }).click();
  await expect(to).toHaveAttribute("aria-invalid", "true");
  await to.fill("resting");
  await dialog(page).getByRole("button", { name: "Review change" }).click();
  await save(page);
  await expect(row(page, "Switched off")).toContainText("resting");
  expect(await gateway.text()).toContain("[keys.resting]");

  expect(await ask(gateway, made)).toBe(200);
  await menu(page, "Laptop of Åsa", "Expire now");
  await save(page);
  await expect(row(page, "Laptop of Åsa")).toContainText("Expired");
  expect(await ask(gateway, made)).toBe(401);
});

test("groups are made, changed and deleted with what their keys lose", async ({ page, gateway }) => {
  await signIn(page, "/keys?tab=groups");
  const card = (name: string) => page.getByRole("listitem").filter({ has: page.getByRole("heading", { name, exact: true }) });
  await expect(card("team")).toContainText("2 keys");
  await expect(card("team").getByRole("meter", { name: "Tokens per day" })).toBeVisible();
  await page.getByRole("button", { name: "Create a group" }).click();
  await dialog(page).getByRole("button", { name: "Review change" }).click();
  const name = dialog(page).getByLabel("Name", { exact: true });
  await expect(name).toHaveAccessibleDescription(/Give the group a name/);
  await name.fill("guests");
  await dialog(page).getByLabel("Requests at a time").fill("3");
  await dialog(page).getByRole("button", { name: "Review change" }).click();
  await expect(dialog(page)).toContainText("[groups.guests]");
  await save(page);
  await expect(card("guests")).toContainText("At most 3 requests at a time");
  await card("guests").getByRole("button", { name: "Edit the group guests" }).click();
  await dialog(page).getByLabel("Tokens per minute").fill("5000");
  await dialog(page).getByRole("button", { name: "Review change" }).click();
  await save(page);
  await expect(card("guests")).toContainText("Tokens per minute");
  await expect(card("guests")).toContainText("5.0K");
  await card("team").getByRole("button", { name: "Delete the group team" }).click();
  const question = page.getByRole("alertdialog");
  await expect(question).toContainText("2 keys leave the group");
  await question.getByRole("button", { name: "Delete" }).click();
  await expect(question).toHaveCount(0);
  await expect(card("guests")).toBeVisible();
  await expect(card("team")).toHaveCount(0);
  const text = await gateway.text();
  expect(text).not.toContain("[groups.team]");
  expect(text).not.toContain('group = "team"');
});

test("loading, error, stale, read-only, phone and Chinese", async ({ page, gateway }) => {
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  await page.route(KEYS, async (route) => {
    await held;
    await route.fulfill({ status: 503, json: { error: "the gateway is stopping", fields: [] } });
  });
  await signIn(page, "/keys");
  await expect(page.getByRole("tabpanel").getByText("Loading…")).toBeAttached();
  release();
  await expect(page.getByRole("alert")).toContainText("the gateway is stopping");
  await page.unroute(KEYS);
  await page.getByRole("alert").getByRole("button", { name: "Try again" }).click();
  await expect(row(page, "tests")).toBeVisible();
  await page.route(KEYS, (route) => route.fulfill({ status: 503, json: { error: "the gateway is stopping", fields: [] } }));
  await page.getByRole("button", { name: "Refresh" }).click();
  await expect(page.getByRole("tabpanel").getByRole("status").filter({ hasText: "may be out of date" }).first()).toBeVisible();
  await expect(row(page, "tests")).toBeVisible();
  await page.unroute(KEYS);

  await page.setViewportSize(PHONE);
  await page.evaluate(() => localStorage.setItem("agp-language", "zh"));
  for (const path of ["/keys", "/keys?tab=groups", "/keys?key=tests", "/keys?new=true"]) {
    await page.goto(path);
    await expect(page.getByRole("heading", { level: 1, includeHidden: true })).toHaveText("API 密钥");
    await expect(page.locator("[role=dialog] h2, [role=tabpanel] h2, .row-line").first()).toBeVisible();
    await fits(page);
  }
  await page.goto("/keys");
  await expect(page.locator(".row-line").first()).toBeVisible();
  await page.evaluate(() => localStorage.setItem("agp-language", "en"));
  await page.route("**/api/v1/session", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...((await response.json()) as object), role: "read" } });
  });
  await page.goto(`${gateway.url}/keys`);
  await expect(page.locator(".row-line").first()).toBeVisible();
  await expect(page.getByRole("button", { name: "Create a key" })).toHaveCount(0);
  await expect(page.getByRole("button", { name: /^Actions for/ })).toHaveCount(0);
});

test("P57 P58 deleting asks with what is lost; without keys the view says how to go on", async ({ page, gateway }) => {
  await signIn(page, "/keys?key=tests");
  await dialog(page).getByRole("button", { name: "Delete" }).click();
  const question = page.getByRole("alertdialog");
  await expect(question).toContainText("This cannot be undone");
  await expect(question).toContainText("Clients that use it are refused at once.");
  await question.getByRole("button", { name: "Cancel" }).click();
  expect(await ask(gateway, KEY)).toBe(200);
  await dialog(page).getByRole("button", { name: "Delete" }).click();
  await question.getByRole("button", { name: "Delete" }).click();
  await expect(question).toHaveCount(0);
  await expect(page).toHaveURL(/\/keys$/);
  await expect(row(page, "tests")).toHaveCount(0);
  expect(await ask(gateway, KEY)).toBe(401);
  expect(await gateway.text()).not.toContain("[keys.tests]");
  for (const label of ["old", "Switched off", "Laptop of Åsa"]) {
    await menu(page, label, "Delete");
    await question.getByRole("button", { name: "Delete" }).click();
    await expect(question).toHaveCount(0);
    await expect(row(page, label)).toHaveCount(0);
  }
  await expect(page.getByRole("heading", { name: "No API keys yet" })).toBeVisible();
  await page.getByRole("tabpanel").getByRole("button", { name: "Create a key" }).click();
  await expect(dialog(page).getByLabel("Name", { exact: true })).toBeVisible();
  await page.goto("/playground");
  await expect(page.getByRole("heading", { name: "No key opens" })).toBeVisible();
});

async function revisionOf(page: Page): Promise<string> {
  return ((await (await page.request.get("/admin/api/v1/config")).json()) as { revision: string }).revision;
}
