// What needs a person: each kind of it on the overview, with a way out that leads where it says.
import type { Locator, Page } from "@playwright/test";

import { expect, signIn, test } from "./fixture";
import { startGateway, until } from "./gateway";

const LINK = "https://accounts.example.com/verify?account=alice";
const account = (name: string) => `[accounts.${name}]\nupstream = "sim"\nemail = "${name}@example.com"\nrefresh_token = "sim-refresh-${name}"\n`;
/** A key for each account, so that a request meets it. */
const key = (name: string) => `sk-attention-${name}-0123456789abcdef0123`;

test.use({
  setup: {
    accounts: [],
    extra: ["alice", "bob", "carol"].map((name) => `${account(name)}[keys.${name}]\nkey = "${key(name)}"\naccounts = ["${name}"]\n`).join(""),
    script: {
      rules: [
        { account: "alice@example.com", do: { form: "validation", link: LINK } },
        { account: "bob@example.com", do: { form: "validation", link: "javascript:alert(1)" } },
        { account: "carol@example.com", do: { form: "terms_of_service" } },
      ],
    },
  },
});
test.describe.configure({ timeout: 60_000 });

const entry = (page: Page, kind: string, text = ""): Locator => page.getByTestId("attention").locator(`[data-kind=${kind}]`, { hasText: text });
const row = (page: Page, name: string): Locator => page.locator(".row-line").filter({ has: page.getByRole("link", { name, exact: true }) });

async function opensOutside(link: Locator): Promise<void> {
  await expect(link).toHaveAttribute("href", LINK);
  await expect(link).toHaveAttribute("target", "_blank");
  await expect(link).toHaveAttribute("rel", /\bnoopener\b/);
}

test("an account that must be verified shows its provider's link, and only a link of the web", async ({ page, gateway, context }) => {
  for (const name of ["alice", "bob", "carol"]) {
    expect((await gateway.chat({}, key(name))).status).toBeGreaterThanOrEqual(400);
  }
  await signIn(page);
  await expect(entry(page, "verify", "alice")).toBeVisible();
  await opensOutside(entry(page, "verify", "alice").getByRole("link"));
  await expect(entry(page, "verify", "bob").getByRole("link")).toHaveAttribute("href", "/accounts/bob");
  await expect(entry(page, "account", "carol").getByRole("link", { name: /^Open account/ })).toHaveAttribute("href", "/accounts/carol");

  await page.goto("/accounts");
  await opensOutside(row(page, "alice").getByRole("link", { name: "Verify" }));
  await expect(row(page, "bob").getByRole("link", { name: "Verify" })).toHaveCount(0);
  await page.goto("/accounts/alice");
  await opensOutside(page.getByRole("main").getByRole("link", { name: "Verify" }));
  await page.goto("/accounts/bob");
  await expect(page.getByRole("region", { name: "State" })).toContainText(/verif/i);
  await expect(page.getByRole("link", { name: "Verify" })).toHaveCount(0);
  expect(await page.locator("a[href^='javascript']").count()).toBe(0);

  // Whatever an answer holds, the panel looks at it itself.
  const answers = /\/api\/v1\/(overview|accounts)(\?|\/|$)/;
  await page.route(answers, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: (await response.text()).replaceAll(LINK, "javascript:alert(1)") });
  });
  for (const path of ["/", "/accounts", "/accounts/alice"]) {
    await page.goto(path);
    await expect(page.locator("main").getByText(/verif/i).first()).toBeVisible();
    await expect(page.locator("a[href^='javascript']")).toHaveCount(0);
  }
  await page.unroute(answers);

  // The window doesn't know who opened it.
  await page.goto("/accounts");
  await context.route(LINK, (route) => route.fulfill({ contentType: "text/html", body: "<title>Provider</title>" }));
  const [other] = await Promise.all([context.waitForEvent("page"), row(page, "alice").getByRole("link", { name: "Verify" }).click()]);
  await expect(other).toHaveTitle("Provider");
  expect(await other.evaluate(() => window.opener === null)).toBe(true);
  await other.close();

  // Verified: it serves again.
  await gateway.sim.script({});
  await row(page, "alice").getByRole("button", { name: /verified/i }).click();
  await expect(row(page, "alice")).toContainText("Active");
});

test("settings that wait for a restart lead to the configuration", async ({ page, guard }) => {
  const own = await startGateway();
  guard.allow(new RegExp(`^request: ${own.url}`));
  try {
    await own.edit((text) => text.replace("[state]", '[state]\npath = "elsewhere"'));
    await signIn(page, `${own.url}/`);
    const restart = entry(page, "restart");
    await expect(restart).toContainText("state.path takes effect after a restart");
    await expect(restart).toContainText("Restart the gateway");
    await restart.getByRole("link", { name: /^Show settings/ }).click();
    await expect(page).toHaveURL(/\/config$/);
    await expect(page.locator('[data-setting="state.path"]')).toContainText(/restart/);
  } finally {
    await own.stop();
  }
});

test("files that differ and a store that can't be written have their ways out", async ({ page }) => {
  // Files wait for two seconds at most, and a disk that is full is not to be had here: these are put into the answer.
  const thing = { urgency: "error", step: "see to it", account: null, key: null, group: null, file: null, line: null, link: null };
  await signIn(page);
  const json = (await (await page.request.get("/admin/api/v1/overview")).json()) as { attention: unknown[] };
  json.attention.unshift(
    { ...thing, kind: "drift", message: "the files differ from what runs: not read yet" },
    { ...thing, kind: "store", message: "the log can't be written since noon: no space left" },
    { ...thing, kind: "budget", group: "team", message: "group `team` has used $9 of $10 a month" },
  );
  await page.route("**/api/v1/overview", (route) => route.fulfill({ json }));
  await page.reload();
  await expect(entry(page, "drift").getByRole("link", { name: /^Show the difference/ })).toHaveAttribute("href", "/config?tab=files");
  await expect(entry(page, "budget").getByRole("link")).toHaveAttribute("href", "/keys?tab=groups");
  await expect(entry(page, "store")).toContainText("no space left");
  const asked = page.waitForRequest("**/api/v1/overview");
  await entry(page, "store").getByRole("button", { name: "Check again" }).click();
  await asked;
});

test("the first steps lead to a new key at once", async ({ page, guard }) => {
  const own = await startGateway({ accounts: [] });
  guard.allow(new RegExp(`^request: ${own.url}`));
  try {
    const before = own.log().split("configuration applied").length;
    await own.edit((text) => text.replace(/\[keys\.tests\]\nkey = .*\n/, ""));
    await until(() => Promise.resolve(own.log().split("configuration applied").length > before), "the file is in force");
    await signIn(page, `${own.url}/`);
    await page.getByTestId("first-steps").locator("[data-step=key]").getByRole("link").click();
    await expect(page.getByRole("dialog", { name: "Create a key" })).toBeVisible();
  } finally {
    await own.stop();
  }
});

test("P18 without keys, accounts and models the panel leads to the first of each", async ({ page, guard }) => {
  const own = await startGateway({ accounts: ["alice"], upstream: "discover = false", models: "" });
  guard.allow(new RegExp(`^request: ${own.url}`));
  try {
    // It is in the log, and of no model.
    expect((await own.chat()).status).toBe(404);
    const before = own.log().split("configuration applied").length;
    await own.edit((text) => text.replace(/\[accounts\.alice\][\s\S]*/, ""));
    await until(() => Promise.resolve(own.log().split("configuration applied").length > before), "the file is in force");
    await signIn(page, `${own.url}/`);
    await expect(entry(page, "no_account").getByRole("link")).toHaveAttribute("href", "/accounts?add=oauth");
    // P18: no model was used.
    await expect(page.getByTestId("models")).toContainText("No requests in this time");
    await entry(page, "no_key").getByRole("link").click();
    await expect(page.getByRole("dialog", { name: "Create a key" })).toBeVisible();
    // There is none, and a way to what could be one.
    await page.goto(`${own.url}/models`);
    await expect(page.getByRole("heading", { name: "No models yet" })).toBeVisible();
    await page.getByRole("tabpanel").getByRole("button", { name: "Upstream offers" }).click();
    await expect(page.getByRole("tab", { name: /^Upstream offers/ })).toHaveAttribute("aria-selected", "true");
  } finally {
    await own.stop();
  }
});
