// What an operator does in one sitting, from view to view: a key, a request with it, its row in the log, other settings, a
// conflict, the way back, and the same where the gateway doesn't write its files.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import type { Locator, Page } from "@playwright/test";

import { axe, expect, signIn, test, toast } from "./fixture";
import { startGateway, until } from "./gateway";

test.use({ setup: { routing: 'default_model = "gemini-2.5-flash" # what most of us want\nstrategy = "weighted" # by weight' } });
test.describe.configure({ mode: "serial", timeout: 120_000 });

const dialog = (page: Page): Locator => page.getByRole("dialog").last();
const setting = (page: Page, id: string): Locator => page.locator(`[data-setting="${id}"]`);
const open = (page: Page, view: string) => page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: view, exact: true }).click();
const config = async (page: Page) => (await (await page.request.get("/admin/api/v1/config")).json()) as { generation: number; revision: string };

let key = "";
let first = 0;

test("P47 P49 P65 a key made in the panel opens /v1, and its request is in the log", async ({ page, gateway }) => {
  await signIn(page);
  first = (await config(page)).generation;
  await open(page, "API keys");
  await page.getByRole("button", { name: "Create a key" }).click();
  await dialog(page).getByLabel("Name", { exact: true }).fill("Journey");
  await dialog(page).getByRole("button", { name: "Create" }).click();
  key = await page.getByTestId("made-key").innerText();
  await dialog(page).getByRole("button", { name: "I have stored the key" }).click();
  await open(page, "Logs");
  await expect(page.getByRole("heading", { name: "No requests yet" })).toBeVisible();
  const answer = await gateway.chat({ model: "gemini-3-flash" }, key);
  expect(answer.status).toBe(200);
  const id = answer.headers.get("x-request-id") ?? "";
  // The view follows by itself.
  await page.goto("/logs?live=true");
  const row = page.locator(".row-line").first();
  await expect(row).toContainText("gemini-3-flash");
  await expect(row).toContainText("journey");
  await row.click();
  await expect(page).toHaveURL(new RegExp(`/logs/${id}`));
  await open(page, "API keys");
  await expect(page.locator(".row-line").filter({ hasText: "Journey" }).locator(".cell").nth(3)).toHaveText("1");
});

test("P69 P70 P71 default model and strategy change one line each, and the next request obeys", async ({ page, gateway }) => {
  const served = async (): Promise<{ model: string; strategy: string }> => {
    const answer = await gateway.chat({ model: undefined }, key);
    expect(answer.status).toBe(200);
    const { model } = (await answer.json()) as { model: string };
    const drawn = (await (await page.request.get(`/admin/api/v1/pick?model=${model}&requests=10`)).json()) as { strategy: string };
    return { model, strategy: drawn.strategy };
  };
  await signIn(page, "/config");
  expect(await served()).toEqual({ model: "gemini-2.5-flash", strategy: "weighted" });
  for (const [id, value, line] of [
    ["routing.default_model", "gemini-2.5-pro", 'default_model = "gemini-2.5-pro" # what most of us want'],
    ["routing.strategy", "round_robin", 'strategy = "round_robin" # by weight'],
  ] as const) {
    const before = (await gateway.text()).split("\n");
    if (id === "routing.strategy") await setting(page, id).getByRole("radio", { name: value }).click();
    else {
      await setting(page, id).getByRole("combobox").fill(value);
      await page.getByRole("option", { name: value, exact: true }).click();
    }
    await page.getByRole("button", { name: "Preview changes" }).click();
    await expect(dialog(page)).toContainText(line);
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await expect(page.getByRole("region", { name: "Changes that are not saved" })).toHaveCount(0);
    const after = (await gateway.text()).split("\n");
    expect(after).toHaveLength(before.length);
    expect(after.filter((text, n) => text !== before[n])).toEqual([line]);
  }
  expect(await served()).toEqual({ model: "gemini-2.5-pro", strategy: "round_robin" });
  // In turns, as the strategy says; a conversation would stay with its account.
  const accounts: string[] = [];
  for (let n = 0; n < 4; n++) {
    const messages = [{ role: "user", content: `Question ${n}` }];
    const answer = await gateway.chat({ model: undefined, messages }, key);
    // To its end: an account that is still at work is no one's turn.
    await answer.text();
    const id = answer.headers.get("x-request-id") ?? "";
    const row = await until(async () => (await (await page.request.get(`/admin/api/v1/requests/${id}`)).json()) as { account?: string }, "the row");
    accounts.push(row.account ?? "");
  }
  expect(accounts[0]).not.toBe(accounts[1]);
});

test("a save upon a file that has moved on is refused, shows what changed, and can go on", async ({ page, gateway }) => {
  await signIn(page, "/models");
  const { revision } = await config(page);
  await page.getByLabel("Default model").fill("claude-sonnet-4-5");
  await page.getByRole("option", { name: "claude-sonnet-4-5", exact: true }).click();
  await page.getByRole("button", { name: "Review change" }).click();
  await expect(dialog(page)).toContainText('default_model = "claude-sonnet-4-5"');
  await gateway.edit((text) => text.replace("[routing]", "[routing]\nmax_queue = 77 # typed in an editor"));
  await until(async () => (await config(page)).revision !== revision, "the edit is in force");
  await dialog(page).getByRole("button", { name: "Save", exact: true }).click();
  await expect(dialog(page)).toContainText("changed by somebody else");
  await expect(dialog(page)).toContainText("max_queue = 77");
  expect(await gateway.text()).not.toContain('default_model = "claude-sonnet-4-5"');
  await axe(page);
  await dialog(page).getByRole("button", { name: "Go on from the new state" }).click();
  await dialog(page).getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByRole("dialog")).toHaveCount(0);
  const text = await gateway.text();
  expect(text).toContain("max_queue = 77 # typed in an editor");
  expect(text).toContain('default_model = "claude-sonnet-4-5" # what most of us want');
});

test("the way back takes all of it away again, the key too", async ({ page, gateway }) => {
  await signIn(page, "/config?tab=history");
  await page.getByRole("button", { name: `Roll back to generation ${first}` }).click();
  await expect(dialog(page)).toContainText("keys.journey");
  const agree = dialog(page).getByLabel("I have read this and agree to it");
  await agree.check();
  await dialog(page).getByRole("button", { name: `Roll back to ${first}` }).click();
  await expect(toast(page, `The files are those of generation ${first} again.`)).toBeVisible();
  const text = await gateway.text();
  expect(text).not.toContain("[keys.journey]");
  expect(text).toContain('default_model = "gemini-2.5-flash" # what most of us want');
  expect((await gateway.chat({}, key)).status).toBe(401);
});

test("GitOps: a key comes with its patch, which opens it once it is merged; the default model too", async ({ page, guard }) => {
  const other = await startGateway({ admin: "write_back = false", routing: 'default_model = "gemini-2.5-flash" # what most of us want' });
  const folder = await mkdtemp(join(tmpdir(), "agp-gitops-"));
  /** As the operator's pipeline does it. */
  const merge = async (patch: string): Promise<void> => {
    await writeFile(join(folder, "agp.toml"), await other.text());
    await writeFile(join(folder, "agp.patch"), patch.endsWith("\n") ? patch : `${patch}\n`);
    await promisify(execFile)("git", ["apply", "agp.patch"], { cwd: folder });
    const merged = await readFile(join(folder, "agp.toml"), "utf8");
    await other.edit(() => merged);
  };
  try {
    guard.allow(new RegExp(`^request: (blob:)?${other.url}`));
    await signIn(page, `${other.url}/keys`);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("API keys");
    const before = await other.text();
    await page.getByRole("button", { name: "Create a key" }).click();
    await expect(dialog(page).getByRole("button", { name: "Preview" })).toHaveCount(0);
    await dialog(page).getByLabel("Name", { exact: true }).fill("By patch");
    await dialog(page).getByRole("button", { name: "Create" }).click();
    await expect(dialog(page)).toContainText("once this patch is merged");
    const made = await page.getByTestId("made-key").innerText();
    const patch = await dialog(page).getByRole("region", { name: "Patch" }).innerText();
    expect(patch).not.toContain(made);
    await axe(page);
    expect(await other.text()).toBe(before);
    expect((await other.chat({}, made)).status).toBe(401);
    await merge(patch);
    await until(async () => (await other.chat({}, made)).status === 200, "the key opens");
    await dialog(page).getByRole("button", { name: "I have stored the key" }).click();
    await expect(page.locator(".row-line").filter({ hasText: "By patch" })).toBeVisible();

    await page.goto(`${other.url}/models`);
    await page.getByLabel("Default model").fill("gemini-2.5-pro");
    await page.getByRole("option", { name: "gemini-2.5-pro", exact: true }).click();
    await page.getByRole("button", { name: "Review change" }).click();
    await expect(dialog(page).getByRole("button", { name: "Save", exact: true })).toHaveCount(0);
    await merge(await dialog(page).getByRole("region", { name: "Patch" }).innerText());
    await until(async () => ((await (await other.chat({ model: undefined }, made)).json()) as { model: string }).model === "gemini-2.5-pro", "the next request obeys");
    expect(await other.text()).toContain('default_model = "gemini-2.5-pro" # what most of us want');
  } finally {
    await other.stop();
    await rm(folder, { recursive: true, force: true });
  }
});
