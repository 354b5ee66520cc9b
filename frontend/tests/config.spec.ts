import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import type { Locator, Page } from "@playwright/test";

import { errorsByKey } from "../src/lib/faults";
import { byKey, changes, entryValues, type Draft, type Setting } from "../src/views/config/draft";
import { entryFields, type JsonSchema, sections } from "../src/views/config/schema";
import { parts } from "../src/views/config/toml";
import { axe, expect, fits, PHONE, signIn, test, toast } from "./fixture";
import { type Gateway, KEY, startGateway, until } from "./gateway";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const SCHEMA = JSON.parse(await readFile(join(ROOT, "docs/agp.schema.json"), "utf8")) as JsonSchema;

test.use({ setup: { routing: 'strategy = "weighted" # by weight\nmax_queue = 500', extra: '[upstreams.spare]\nkind = "antigravity"\nbase_urls = ["http://127.0.0.1:9"]\noauth = { client_id = "other", client_secret = { env = "HOME" } }' } });

// axe takes its time over a form of seventy settings.
test.describe.configure({ timeout: 120_000 });

const setting = (page: Page, id: string): Locator => page.locator(`[data-setting="${id}"]`);
const dialog = (page: Page): Locator => page.getByRole("dialog");
const fields = [...sections(SCHEMA).flatMap((section) => section.fields), ...entryFields(SCHEMA, "upstreams", "x")];

async function tab(page: Page, name: string): Promise<void> {
  await page.getByRole("tab", { name: new RegExp(`^${name}`) }).click();
}

/** From a form with changes to the saved file. */
async function save(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Preview changes" }).click();
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await expect(toast(page, /^Saved\. Generation \d+ is in force\.$/)).toBeVisible();
  await expect(page.getByRole("region", { name: "Changes that are not saved" })).toHaveCount(0);
}

test("each setting of the schema has a field, and words in both languages", async () => {
  const read = async (path: string) => JSON.parse(await readFile(join(ROOT, "frontend/src", path), "utf8")) as Record<string, unknown>;
  const [en, zh, help] = [await read("locales/en/config.json"), await read("locales/zh/config.json"), await read("views/config/help.zh.json")];
  const at = (messages: Record<string, unknown>, key: string) => `label.${key}`.split(".").reduce<unknown>((node, part) => (node as Record<string, unknown> | undefined)?.[part], messages);
  expect(fields.length).toBeGreaterThan(70);
  for (const field of fields) {
    expect(typeof at(en, field.key), field.key).toBe("string");
    expect(typeof at(zh, field.key), field.key).toBe("string");
    const text = help[field.key] as { help: string; choices?: Record<string, string> } | undefined;
    expect(text?.help, field.key).toBeTruthy();
    for (const { value } of field.choices) expect(text?.choices?.[value], `${field.key} ${value}`).toBeTruthy();
  }
  expect(Object.keys(help).filter((key) => !fields.some((field) => field.key === key))).toEqual([]);
});

test("changes of a form become one edit that touches nothing else", () => {
  const field = (id: string) => {
    const found = fields.find((one) => one.id === id);
    if (found === undefined) throw new Error(id);
    return found;
  };
  const given = (path: string[], value: unknown): Setting => ({ path, value, source: { kind: "file", path: "agp.toml", line: 1 }, in_effect: true, restart: false, secret: false });
  const set = (id: string, value: unknown): Draft => ({ field: field(id), gone: false, value });
  const gone = (id: string): Draft => ({ field: field(id), gone: true });

  expect(changes([set("routing.max_queue", 5), gone("routing.strategy")], new Map())).toEqual([
    { do: "set", path: ["routing", "max_queue"], value: 5 },
    { do: "remove", path: ["routing", "strategy"] },
  ]);
  // A table within a table comes and goes as a whole.
  expect(changes([set("server.tls.cert", "a"), set("server.tls.key", "b")], new Map())).toEqual([{ do: "set", path: ["server", "tls"], value: { cert: "a", key: "b" } }]);
  const tls = byKey([given(["server", "tls", "cert"], "a"), given(["server", "tls", "key"], "b")]);
  expect(changes([set("server.tls.cert", "c")], tls)).toEqual([{ do: "set", path: ["server", "tls", "cert"], value: "c" }]);
  expect(changes([gone("server.tls.cert"), gone("server.tls.key")], tls)).toEqual([{ do: "remove", path: ["server", "tls"] }]);
  // Headers that are not shown stay.
  const headers = byKey([given(["upstreams", "x", "headers", "a"], "••••"), given(["upstreams", "x", "headers", "b"], "••••")]);
  expect(changes([set("upstreams.x.headers", { a: null, c: "new" })], headers)).toEqual([
    { do: "remove", path: ["upstreams", "x", "headers", "b"] },
    { do: "set", path: ["upstreams", "x", "headers", "c"], value: "new" },
  ]);
  expect(entryValues([set("upstreams.x.kind", "antigravity"), set("upstreams.x.oauth.client_id", { env: "ID" })], 2)).toEqual({ kind: "antigravity", oauth: { client_id: { env: "ID" } } });
  expect(errorsByKey({ "changes[0].value": "no", "routing.strategy": "bad" }, [{ do: "set", path: ["routing", "max_queue"], value: "x" }])).toEqual({ "routing.max_queue": "no", "routing.strategy": "bad" });
  expect(parts('名 = "a" # b', [{ severity: "error", from: 4, to: 7 }]).filter(({ severity }) => severity === "error").map(({ text }) => text)).toEqual(['"a"']);
});

test("P69 P70 P71 default model and strategy are saved together, and the next request obeys", async ({ page, gateway }) => {
  await signIn(page, "/config");
  const strategy = setting(page, "routing.strategy");
  await expect(strategy).toContainText("By weight and remaining quota.");
  await expect(strategy.getByRole("radio", { name: "weighted" })).toBeChecked();
  await strategy.getByRole("radio", { name: "round_robin" }).click();
  const model = setting(page, "routing.default_model").getByRole("combobox");
  await model.fill("gemini-2.5-pro");
  await page.getByRole("option", { name: "gemini-2.5-pro", exact: true }).click();
  await expect(page.getByText("2 settings changed")).toBeVisible();

  await page.getByRole("button", { name: "Preview changes" }).click();
  await expect(dialog(page)).toContainText('strategy = "round_robin" # by weight');
  await expect(dialog(page)).toContainText('default_model = "gemini-2.5-pro"');
  const before = (await gateway.text()).split("\n");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await expect(toast(page, /^Saved\. Generation \d+/)).toBeVisible();

  const after = (await gateway.text()).split("\n");
  expect(after.filter((line) => !before.includes(line)).sort()).toEqual(['default_model = "gemini-2.5-pro"', 'strategy = "round_robin" # by weight']);
  expect(after).toContain("# The comments of this file outlive every edit.");
  const answer = await gateway.chat({ model: undefined });
  expect(answer.status).toBe(200);
  expect(((await answer.json()) as { model: string }).model).toBe("gemini-2.5-pro");

  // Where it comes from leads to the line.
  await strategy.getByRole("link", { name: /^agp\.toml:\d+$/ }).click();
  await expect(page).toHaveURL(/tab=files#agp\.toml:\d+$/);
  await expect(page.locator(".target")).toContainText('strategy = "round_robin"');
});

test("a mistake is told at its field, and default, search and filter find it", async ({ page, gateway }) => {
  await signIn(page, "/config");
  const timeout = setting(page, "routing.queue_timeout");
  await timeout.getByRole("textbox").fill("soon");
  await timeout.getByRole("textbox").press("Tab");
  await expect(timeout.getByRole("textbox")).toHaveAccessibleDescription(/Write a duration with its unit/);
  await timeout.getByRole("button", { name: "Undo" }).click();
  await expect(timeout.getByRole("textbox")).toHaveValue("1m");

  const queue = setting(page, "routing.max_queue");
  await expect(queue).toContainText("Default: 1000");
  const level = setting(page, "server.public_url");
  await level.getByRole("textbox").fill("no address at all");
  await page.getByLabel("Search settings").fill("waiting requests");
  await expect(level).toHaveCount(0);
  await page.getByRole("button", { name: "Preview changes" }).click();
  // The one with the mistake is shown, however the form was filtered.
  await expect(level.getByRole("textbox")).toHaveAttribute("aria-invalid", "true");
  await expect(level.getByRole("textbox")).toHaveAccessibleDescription(/expected/);
  await expect(dialog(page)).toHaveCount(0);
  await page.getByRole("button", { name: "Discard" }).click();

  await queue.getByRole("button", { name: "Use the default" }).click();
  await expect(queue).toContainText("back to default");
  await expect(queue.getByRole("spinbutton")).toHaveValue("1000");
  await save(page);
  expect(await gateway.text()).not.toContain("max_queue");
  await expect(queue.getByRole("spinbutton")).toHaveValue("1000");

  await page.getByLabel("Search settings").fill("jwt");
  await expect(page.locator("[data-setting]")).toHaveCount(1);
  await expect(page).toHaveURL(/q=jwt/);
  await page.getByLabel("Search settings").fill("nothing is called so");
  await expect(page.getByText("No setting fits")).toBeVisible();
  await page.getByRole("button", { name: "Show all settings" }).click();
  await page.getByLabel("Show", { exact: true }).selectOption("set");
  await expect(setting(page, "server.listen")).toBeVisible();
  await expect(setting(page, "server.max_body")).toHaveCount(0);
  await page.goto("/config#state.history");
  await expect(setting(page, "state.history")).toBeFocused();
});

test("what is not saved is not lost without a question", async ({ page }) => {
  await signIn(page, "/config");
  await setting(page, "routing.max_attempts").getByRole("spinbutton").fill("7");
  await tab(page, "History");
  await tab(page, "Settings");
  await expect(setting(page, "routing.max_attempts").getByRole("spinbutton")).toHaveValue("7");
  await page.getByRole("link", { name: "API keys" }).click();
  const question = page.getByRole("alertdialog");
  await expect(question).toContainText("routing.max_attempts");
  await question.getByRole("button", { name: "Cancel" }).click();
  await expect(page).toHaveURL(/\/config/);
  await page.getByRole("link", { name: "API keys" }).click();
  await question.getByRole("button", { name: "Leave and discard" }).click();
  await expect(page).toHaveURL(/\/keys$/);
});

test("a conflict shows what changed meanwhile and keeps the values", async ({ page, gateway }) => {
  await signIn(page, "/config?q=attempts");
  await setting(page, "routing.max_attempts").getByRole("spinbutton").fill("5");
  const { generation } = await config(page);
  await gateway.edit((text) => text.replace("[routing]", '[routing]\nretry_within = "20s"'));
  await until(async () => (await config(page)).generation > generation, "the edit is in force");
  await page.getByRole("button", { name: "Preview changes" }).click();
  await expect(dialog(page)).toContainText("changed by somebody else");
  await expect(dialog(page)).toContainText('retry_within = "20s"');
  await axe(page);
  await dialog(page).getByRole("button", { name: "Go on from the new state" }).click();
  await expect(dialog(page)).toContainText("max_attempts = 5");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await expect(toast(page, /^Saved\./)).toBeVisible();
  expect(await gateway.text()).toMatch(/retry_within = "20s"[\s\S]*max_attempts = 5|max_attempts = 5[\s\S]*retry_within = "20s"/);
});

test("files: findings at their lines, a refusal with file and line, drift, and reload", async ({ page, gateway }) => {
  await signIn(page, "/config?tab=files");
  await expect(page.getByRole("heading", { name: "Findings" })).toBeVisible();
  const text = page.getByRole("region", { name: "agp.toml" });
  await expect(text).toContainText("# The comments of this file outlive every edit.");
  await expect(text).not.toContainText("sim-refresh-alice");
  await expect(text).not.toContainText(KEY);
  const finding = page.getByRole("listitem").filter({ hasText: "accounts.alice.refresh_token" });
  await finding.getByRole("link").click();
  await expect(page).toHaveURL(/#agp\.toml:\d+$/);
  const target = page.locator(".target");
  await expect(target).toContainText("Warning:");
  await expect(target.locator("code .warning").first()).toBeVisible();
  await axe(page);

  const good = await gateway.text();
  await gateway.edit((now) => now.replace('strategy = "round_robin"', 'strategy = "weihgted"').replace('strategy = "weighted"', 'strategy = "weihgted"'));
  await expect(page.getByTestId("refused")).toContainText("agp.toml");
  await expect(page.getByTestId("drift")).toContainText("They were refused.");
  await expect(page.getByTestId("drift")).toContainText("weihgted");
  await expect(page.getByRole("listitem").filter({ hasText: "routing.strategy" }).getByText("Error:")).toBeAttached();
  await page.getByRole("button", { name: "Reload now" }).click();
  await expect(page.getByRole("alert").filter({ hasText: "weihgted" }).first()).toBeVisible();
  // The way from any other view leads here.
  await page.goto("/keys");
  await page.getByRole("status").getByRole("link", { name: "Show" }).click();
  await expect(page.getByTestId("refused")).toBeVisible();

  await gateway.edit(() => good);
  await expect(page.getByTestId("refused")).toHaveCount(0);
  await page.getByRole("button", { name: "Reload", exact: true }).click();
  await expect(toast(page, "The files were read. Nothing has changed.")).toBeVisible();
});

test("P10 history: who, what, the difference of any two, and the way back with its risks", async ({ page, gateway }) => {
  await signIn(page, "/config?tab=history");
  const first = (await config(page)).generation;
  const good = await gateway.text();
  await gateway.edit((text) => `${text}\n[keys.later]\nkey = "sk-later-key-0123456789abcdefghij"\n`);
  await until(async () => (await config(page)).generation > first, "the key is there");
  const now = (await config(page)).generation;
  const row = (n: number) => page.getByRole("row").filter({ has: page.getByRole("checkbox", { name: `Select Generation ${n}` }) });
  await expect(row(now)).toContainText("running");
  await expect(row(now)).toContainText("file");

  await row(first).getByRole("checkbox").check();
  await row(now).getByRole("checkbox").check();
  await page.getByRole("button", { name: "Compare" }).click();
  await expect(dialog(page)).toContainText(`From generation ${first} to ${now}`);
  await expect(dialog(page)).toContainText("[keys.later]");
  await expect(dialog(page)).toContainText("keys.later");
  await expect(page).toHaveURL(new RegExp(`a=${first}&b=${now}`));
  await page.goBack();
  await expect(dialog(page)).toHaveCount(0);

  await row(first).getByRole("button", { name: `Roll back to generation ${first}` }).click();
  await expect(dialog(page)).toContainText("High risk");
  const go = dialog(page).getByRole("button", { name: `Roll back to ${first}` });
  await expect(go).toBeDisabled();
  await dialog(page).getByLabel("I have read this and agree to it").check();
  await go.click();
  await expect(toast(page, `The files are those of generation ${first} again.`)).toBeVisible();
  expect(await gateway.text()).toBe(good);
});

test("a rollback that was overtaken changes nothing and asks anew", async ({ page, gateway }) => {
  await signIn(page, "/config?tab=history");
  const { generation } = await config(page);
  await gateway.edit((text) => text.replace("[routing]", "[routing]\nmax_cooldown = \"3m\""));
  const now = await until(async () => ((await config(page)).generation > generation ? (await config(page)).generation : 0), "it is in force");
  await page.goto(`/config?tab=history&back=${generation}`);
  await expect(dialog(page)).toContainText("max_cooldown");
  await gateway.edit((text) => text.replace('max_cooldown = "3m"', 'max_cooldown = "4m"'));
  await until(async () => (await config(page)).generation > now, "the second edit is in force");
  await dialog(page).getByRole("button", { name: `Roll back to ${generation}` }).click();
  await expect(dialog(page).getByRole("alert")).toBeVisible();
  expect(await gateway.text()).toContain('max_cooldown = "4m"');
  await dialog(page).getByRole("button", { name: "Look at it anew" }).click();
  await dialog(page).getByRole("button", { name: `Roll back to ${generation}` }).click();
  await expect(dialog(page)).toHaveCount(0);
  expect(await gateway.text()).not.toContain("max_cooldown");
});

test("upstreams: looked at, changed with a secret that is never shown, added, and removed", async ({ page, gateway }) => {
  await signIn(page, "/config?tab=upstreams");
  const card = (name: string) => page.getByRole("region", { name });
  await expect(card("sim")).toContainText(gateway.sim.url);
  await expect(card("sim")).toContainText("Show its accounts");
  await expect(card("spare")).toContainText("http://127.0.0.1:9");

  await page.getByRole("button", { name: "Edit spare" }).click();
  await expect(page).toHaveURL(/upstream=spare/);
  await setting(page, "upstreams.spare.idle_timeout").getByRole("textbox").fill("45s");
  const secret = setting(page, "upstreams.spare.oauth.client_secret");
  await expect(secret).toContainText("From the variable HOME");
  await secret.getByRole("button", { name: /^Replace/ }).click();
  await secret.getByPlaceholder("Sealed before it is written").fill("planted-in-the-panel");
  await axe(page);
  await dialog(page).getByRole("button", { name: "Preview changes" }).click();
  const preview = page.getByRole("dialog", { name: "Check the change" });
  await expect(preview).toContainText('idle_timeout = "45s"');
  await expect(preview).not.toContainText("planted-in-the-panel");
  await preview.getByRole("button", { name: "Save" }).click();
  await expect(toast(page, /^Saved\./)).toBeVisible();
  expect(await gateway.text()).not.toContain("planted-in-the-panel");
  expect(await gateway.text()).toMatch(/client_secret = \{ sealed = "agp1:/);
  await expect(card("spare")).toContainText("idle 45s");

  await page.getByRole("button", { name: "Add an upstream" }).click();
  await dialog(page).getByRole("button", { name: "Preview changes" }).click();
  await expect(dialog(page).getByLabel("Name", { exact: true })).toHaveAccessibleDescription(/Give the upstream a name/);
  await dialog(page).getByLabel("Name", { exact: true }).fill("third");
  await dialog(page).getByRole("radio", { name: "antigravity" }).click();
  await dialog(page).getByRole("button", { name: "Preview changes" }).click();
  await expect(setting(page, "upstreams.new.oauth.client_id")).toContainText("is missing");
  for (const key of ["client_id", "client_secret"]) {
    const own = setting(page, `upstreams.new.oauth.${key}`);
    await own.getByRole("button", { name: /^Enter/ }).click();
    await own.getByLabel("Where the secret is").selectOption("env");
    await own.getByRole("textbox").fill("HOME");
  }
  await dialog(page).getByRole("button", { name: "Preview changes" }).click();
  await page.getByRole("dialog", { name: "Check the change" }).getByRole("button", { name: "Save" }).click();
  await expect(card("third")).toBeVisible();
  expect(await gateway.text()).toContain("[upstreams.third]");

  // What is used can't go.
  await page.getByRole("button", { name: "Remove sim" }).click();
  await expect(dialog(page).getByRole("alert")).toBeVisible();
  await dialog(page).getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Remove third" }).click();
  await expect(dialog(page)).toContainText("[upstreams.third]");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await expect(card("third")).toHaveCount(0);
});

test("P72 P73 P74 addresses with copy, a health check that counts usable accounts, and examples", async ({ page, gateway, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await signIn(page, "/config?tab=addresses");
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  for (const [name, path] of [["OpenAI chat", "/v1/chat/completions"], ["Anthropic messages", "/v1/messages"], ["Models", "/v1/models"], ["Health", "/healthz"]] as const) {
    await page.getByRole("button", { name: `Copy: ${name}` }).click();
    expect(await copied()).toBe(`${gateway.url}${path}`);
  }
  await page.getByRole("button", { name: "Check now" }).click();
  await expect(page.getByTestId("health")).toContainText("The gateway answers. 2 of 2 accounts are usable.");
  await expect(page.getByRole("region", { name: "curl, OpenAI dialect" })).toContainText(`${gateway.url}/v1/chat/completions`);
  await page.getByLabel("Client").selectOption("curl_messages");
  await page.getByRole("button", { name: "Copy: curl, Anthropic dialect" }).click();
  // It is no sketch: it runs as it is.
  const { stdout } = await promisify(execFile)("bash", ["-c", (await copied()).replace('AGP_KEY="sk-…"', `AGP_KEY="${KEY}"`).replace("curl ", "curl -sS ")]);
  expect((JSON.parse(stdout) as { type: string }).type).toBe("message");
});

test("fields that the environment holds are locked, and say by what", async ({ page, guard }) => {
  process.env["AGP__ROUTING__MAX_ATTEMPTS"] = "6";
  let other: Gateway;
  try {
    other = await startGateway();
  } finally {
    delete process.env["AGP__ROUTING__MAX_ATTEMPTS"];
  }
  try {
    guard.allow(new RegExp(`^request: ${other.url}`));
    await signIn(page, `${other.url}/config`);
    const attempts = setting(page, "routing.max_attempts");
    await expect(attempts.getByRole("spinbutton")).toBeDisabled();
    await expect(attempts.getByRole("spinbutton")).toHaveValue("6");
    await expect(attempts.getByRole("spinbutton")).toHaveAccessibleDescription(/AGP__ROUTING__MAX_ATTEMPTS/);
    await page.getByLabel("Show", { exact: true }).selectOption("locked");
    await expect(page.locator("[data-setting]")).toHaveCount(1);
    await page.getByLabel("Show", { exact: true }).selectOption("all");
    await expect(setting(page, "state.path")).toContainText("takes effect after a restart");
    await setting(page, "state.path").getByRole("textbox").fill("elsewhere");
    await page.getByRole("button", { name: "Preview changes" }).click();
    await expect(dialog(page)).toContainText("Takes effect after a restart");
  } finally {
    await other.stop();
  }
});

test("GitOps: a banner, and every editor ends in a patch that git applies", async ({ page, guard }) => {
  const other = await startGateway({ admin: "write_back = false" });
  const folder = await mkdtemp(join(tmpdir(), "agp-gitops-"));
  try {
    guard.allow(new RegExp(`^request: (blob:)?${other.url}`));
    await signIn(page, `${other.url}/config?q=routing.strategy`);
    await expect(page.getByTestId("gitops")).toBeVisible();
    const before = await other.text();
    await setting(page, "routing.strategy").getByRole("radio", { name: "random" }).click();
    await page.getByRole("button", { name: "Preview changes" }).click();
    await expect(dialog(page)).toContainText("git apply agp.patch");
    await expect(dialog(page).getByRole("button", { name: "Save" })).toHaveCount(0);
    await axe(page);
    const [download] = await Promise.all([page.waitForEvent("download"), dialog(page).getByRole("button", { name: "Download patch" }).click()]);
    expect(download.suggestedFilename()).toBe("agp.patch");
    await download.saveAs(join(folder, "agp.patch"));
    await writeFile(join(folder, "agp.toml"), before);
    await promisify(execFile)("git", ["apply", "agp.patch"], { cwd: folder });
    const after = (await readFile(join(folder, "agp.toml"), "utf8")).split("\n");
    expect(after.filter((line) => !before.split("\n").includes(line))).toEqual(['strategy = "random"']);
    expect(await other.text()).toBe(before);
    // What was not saved is still there to be changed.
    await dialog(page).getByRole("button", { name: "Close" }).first().click();
    await expect(page.getByText("1 setting changed")).toBeVisible();
  } finally {
    await other.stop();
    await rm(folder, { recursive: true, force: true });
  }
});

test("every tab can be used on a phone, and in Chinese", async ({ page }) => {
  await signIn(page, "/config");
  await expect(setting(page, "routing.strategy")).toBeVisible();
  await page.setViewportSize(PHONE);
  for (const name of ["settings", "files", "history", "upstreams", "addresses"]) {
    await page.goto(`/config?tab=${name}`);
    await expect(page.getByRole("tabpanel").locator("h2, [role=row], [data-setting]").first()).toBeVisible();
    await fits(page);
    await expect(page.getByRole("tab", { selected: true })).toBeInViewport({ ratio: 0.95 });
  }
  await page.evaluate(() => localStorage.setItem("agp-language", "zh"));
  await page.goto("/config");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("配置");
  await expect(setting(page, "routing.strategy")).toContainText("按权重和剩余配额。");
  await fits(page);
});

test("an error can be tried again, and what is old says so", async ({ page }) => {
  await page.route("**/admin/api/v1/config/settings*", (route) => route.fulfill({ status: 503, json: { error: "the gateway is stopping", fields: [] } }));
  await signIn(page, "/config");
  await expect(page.getByRole("alert")).toContainText("the gateway is stopping");
  await page.unroute("**/admin/api/v1/config/settings*");
  await page.getByRole("alert").getByRole("button", { name: "Try again" }).click();
  await expect(setting(page, "routing.strategy")).toBeVisible();
});

async function config(page: Page): Promise<{ generation: number }> {
  return (await (await page.request.get("/admin/api/v1/config")).json()) as { generation: number };
}
