// The accounts, on the real binary in front of the simulator.
import { readFile } from "node:fs/promises";

import type { Locator, Page } from "@playwright/test";

import { axe, expect, fits, PHONE, signIn, test, toast } from "./fixture";
import { MODELS, startGateway, until } from "./gateway";

const SIM_MODELS = MODELS.replaceAll('"antigravity/', '"sim/');

/** An account's table. */
function account(name: string, more = ""): string {
  return `[accounts.${name}]\nupstream = "sim"\nemail = "${name}@example.com"\nrefresh_token = "sim-refresh-${name}"\n${more}`;
}

test.use({
  setup: {
    accounts: [],
    models: SIM_MODELS,
    extra: [
      account("alice", 'tags = ["team-a"]\n'),
      account("bob", "weight = 2 # the bigger plan\n"),
      account("carol"),
      account("dave"),
      account("frank", "enabled = false\n"),
      '[keys.narrow]\nkey = "sk-narrow-key-0123456789abcdef012345"\naccounts = ["bob", "carol"]\n',
    ].join(""),
    script: {
      rules: [
        { account: "dave@example.com", method: "token", do: { oauth_error: "invalid_grant" } },
        { account: "carol@example.com", model: "claude-*", do: { status: 429, form: "retry_info", delay: "600s" } },
      ],
      accounts: {
        "alice@example.com": {
          paid_tier: "g1-pro-tier",
          quota: { "gemini-*": { remaining: 0.4, reset: "3h" }, "claude-*": { remaining: 0.07, reset: "40m" } },
        },
        "bob@example.com": { quota: { "claude-*": 0 } },
      },
    },
  },
});
test.describe.configure({ mode: "default", timeout: 120_000 });
test.use({ viewport: { width: 1440, height: 900 } });

const row = (page: Page, name: string): Locator => page.locator(".row-line").filter({ has: page.getByRole("link", { name, exact: true }) });
const preview = (page: Page): Locator => page.getByRole("dialog").last();

async function menu(page: Page, name: string, item: string): Promise<void> {
  await page.getByRole("button", { name: `Actions for ${name}` }).click();
  await page.getByRole("menuitem", { name: item, exact: true }).click();
}

test("P29 P30 P31 P32 P33 P34 P35 P36 P40 the table tells how each account is, and refreshing one or all shows how it goes", async ({ page, gateway }) => {
  await signIn(page, "/accounts");
  // P29: all, with progress and each account's result.
  await page.getByRole("button", { name: "Refresh all" }).click();
  const job = page.getByRole("dialog");
  await expect(job.getByTestId("job-progress")).toContainText("4 of 4");
  await expect(job.getByRole("heading", { name: "Refresh finished" })).toBeVisible();
  await expect(job.locator(".row-line").filter({ hasText: "dave" })).toContainText("failed");
  await expect(job.locator(".row-line").filter({ hasText: "alice" })).toContainText("done");
  await job.getByRole("button", { name: "Close" }).last().click();

  const alice = row(page, "alice");
  await expect(alice).toContainText("alice@example.com");
  await expect(alice).toContainText("Active");
  await expect(alice).toContainText("g1-pro-tier");
  await expect(alice).toContainText("valid");
  // P33: red under a fifth, and the worst model first.
  const worst = alice.getByRole("button", { name: /^Quotas of alice: least is 7%, claude/ });
  await expect(worst.locator(".fill").first()).toHaveClass(/bad/);
  await expect(row(page, "bob")).toContainText("2 models can't serve at present");
  const dave = row(page, "dave");
  await expect(dave).toContainText("The provider no longer accepts its sign-in");
  await expect(dave.getByRole("button", { name: "Sign in again: dave" })).toBeVisible();
  await expect(row(page, "frank")).toContainText("Switched off in the file");

  // P35 P40: what served is told without anybody asking.
  await expect(row(page, "bob")).toContainText("never");
  for (let i = 0; i < 6; i += 1) expect((await gateway.chat({ messages: [{ role: "user", content: `Hello ${i}` }] })).status).toBe(200);
  await expect(page.locator(".row-line").filter({ hasText: /now|second/ }).first()).toBeVisible();

  // P36: one.
  await page.getByRole("button", { name: "Refresh alice" }).click();
  await expect(page.getByRole("dialog").getByTestId("job-progress")).toContainText("1 of 1");
  await page.keyboard.press("Escape");
  await expect(page).toHaveURL(/\/accounts$/);
  await page.setViewportSize(PHONE);
  await fits(page);
  await expect(row(page, "alice")).toBeVisible();
});

test("P75 P77 cards count the states and filter; search, sort and filters are in the address", async ({ page }) => {
  await signIn(page, "/accounts");
  await expect(page.getByTestId("stat-active")).toContainText(/[34]of 5/);
  await page.getByTestId("stat-waiting").click();
  await expect(page.locator(".row-line")).toHaveCount(1);
  await expect(row(page, "dave")).toBeVisible();
  await expect(page).toHaveURL(/state=needs_login/);
  await page.goBack();
  await expect(page.locator(".row-line")).toHaveCount(5);

  await page.getByRole("searchbox").fill("ALI");
  await expect(page.locator(".row-line")).toHaveCount(1);
  await expect(page).toHaveURL(/q=ALI/);
  await page.getByRole("searchbox").fill("nobody at all");
  await expect(page.getByText("No account matches")).toBeVisible();
  await page.getByRole("button", { name: "Clear filters" }).first().click();
  await page.getByRole("button", { name: "Only with tag team-a" }).click();
  await expect(page.locator(".row-line")).toHaveCount(1);
  await expect(page).toHaveURL(/tag=team-a/);
  await page.goto("/accounts?sort=remaining");
  await expect(page.locator(".row-line").first()).toContainText("bob");
  await page.getByRole("button", { name: "Account", exact: true }).click();
  await page.getByRole("button", { name: "Account", exact: true }).click();
  await expect(page.locator(".row-line").first()).toContainText("frank");
});

test("P44 P45 P46 the quota dialog lists each model, least first, with its reset, and asks the upstream", async ({ page }) => {
  await signIn(page, "/accounts");
  const asked = page.waitForRequest((request) => request.url().endsWith("/accounts/alice/refresh"));
  await row(page, "alice").getByRole("button", { name: /Quotas of alice/ }).click();
  await asked;
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByText("Up to date")).toBeVisible();
  await expect(dialog).toContainText("alice@example.com");
  await expect(dialog.getByTestId("quota-overall").getByRole("meter")).toHaveAttribute("aria-valuenow", "7");
  const models = dialog.getByTestId("quota-model");
  await expect(models.first()).toContainText("claude");
  await expect(models.first()).toContainText(/full again in \d+ minutes/);
  await expect(models.last().getByRole("meter")).toHaveAttribute("aria-valuenow", "100");
  // P45: an hour later.
  await page.clock.setFixedTime(Date.now() + 3_600_000);
  await page.reload();
  await expect(page.getByTestId("quota-model").first()).toContainText("already reset");
  await expect(page.getByTestId("quota-model").filter({ hasText: "gemini-2.5-pro" })).not.toContainText("already reset");
  await page.keyboard.press("Escape");
  await expect(page).toHaveURL(/\/accounts$/);
  // P46: whom the provider refuses.
  await row(page, "dave").getByRole("button", { name: /Quotas of dave/ }).click();
  await expect(page.getByRole("dialog").getByRole("alert")).toContainText("no longer accepts its sign-in");
});

test("a cooling account is released, one is paused and resumed, and both are seen in another window", async ({ page, context, gateway }) => {
  await signIn(page, "/accounts");
  const key = "sk-narrow-key-0123456789abcdef012345";
  // Claude through carol: bob has no quota of it.
  await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ model: "claude-sonnet-4-5", messages: [{ role: "user", content: "Hello" }] }),
  });
  const rests = row(page, "carol").getByRole("button", { name: "End 1 cooldown of carol" });
  await expect(rests).toBeVisible();
  await rests.click();
  await expect(rests).toBeHidden();

  const other = await context.newPage();
  await other.goto("/accounts/bob");
  await menu(page, "bob", "Pause");
  await expect(row(page, "bob")).toContainText("Paused by a person");
  await expect(other.getByText("Paused by a person")).toBeVisible();
  await other.getByRole("button", { name: "Resume" }).click();
  await expect(other.getByText("Paused by a person")).toBeHidden();
  await expect(row(page, "bob")).not.toContainText("Paused");
  await other.close();
});

test("P37 P38 enabling and deleting show the file's change first, and the file keeps its comments", async ({ page, gateway }) => {
  await signIn(page, "/accounts");
  await row(page, "frank").getByRole("button", { name: "Enable: frank" }).click();
  await expect(preview(page).getByRole("heading", { name: "Enable frank?" })).toBeVisible();
  await expect(preview(page)).toContainText("enabled = true");
  await preview(page).getByRole("button", { name: "Enable", exact: true }).click();
  await expect(row(page, "frank")).toContainText("Active");
  expect(await gateway.text()).toContain("enabled = true");
  await menu(page, "frank", "Disable");
  await preview(page).getByRole("button", { name: "Disable", exact: true }).click();
  await expect(row(page, "frank")).toContainText("Switched off in the file");

  await menu(page, "carol", "Delete");
  await expect(preview(page).getByRole("heading", { name: "Delete carol?" })).toBeVisible();
  await expect(preview(page)).toContainText("the account is lost");
  await expect(preview(page)).toContainText("its refresh token");
  await preview(page).getByRole("button", { name: "Cancel" }).click();
  expect(await gateway.text()).toContain("[accounts.carol]");
  await menu(page, "carol", "Delete");
  await preview(page).getByRole("button", { name: "Delete", exact: true }).click();
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect(row(page, "carol")).toBeHidden();
  const text = await gateway.text();
  expect(text).not.toContain("accounts.carol");
  expect(text).toContain('accounts = ["bob"]');
  expect(text).toContain("# The comments of this file outlive every edit.");
});

test("settings are edited on the account's page: errors at the field, a conflict, one changed line", async ({ page, gateway }) => {
  await signIn(page, "/accounts/bob");
  await expect(page).toHaveTitle(/^bob/);
  await page.getByRole("button", { name: "Edit" }).click();
  await expect(page).toHaveURL(/edit=true/);
  await page.getByLabel("Weight").fill("-3");
  await page.getByRole("button", { name: "Check the change" }).click();
  await expect(page.getByText(/expected a number, 0 or more, found -3/)).toBeVisible();
  await expect(page.getByLabel("Weight")).toHaveAttribute("aria-invalid", "true");

  // Somebody else's change meanwhile.
  await page.getByLabel("Weight").fill("5");
  const before = await gateway.text();
  await gateway.edit((text) => text.replace("# The comments", "# Indeed, the comments"));
  await page.getByRole("button", { name: "Check the change" }).click();
  await expect(preview(page).getByRole("alert")).toContainText("changed by somebody else");
  await preview(page).getByRole("button", { name: "Go on from the new state" }).click();
  await expect(preview(page)).toContainText("weight = 5");
  await preview(page).getByRole("button", { name: "Save" }).click();
  await expect(toast(page, "bob is saved.")).toBeVisible();
  expect(await gateway.text()).toBe(before.replace("# The comments", "# Indeed, the comments").replace("weight = 2 #", "weight = 5.0 #"));
  await page.setViewportSize(PHONE);
  await fits(page);
});

test("P76 P78 many are chosen with Shift, paused, disabled in one edit, and exported without secrets", async ({ page, gateway }) => {
  await signIn(page, "/accounts");
  await page.getByRole("checkbox", { name: "Select alice" }).click();
  await page.getByRole("checkbox", { name: "Select dave" }).click({ modifiers: ["Shift"] });
  const bar = page.getByTestId("selection");
  await expect(bar).toContainText(/[34] selected/);
  await bar.getByRole("button", { name: /^Select all \d that match$/ }).click();
  await expect(page.getByRole("checkbox", { name: "Select frank" })).toBeChecked();
  await bar.getByRole("button", { name: "Clear the selection" }).click();
  await expect(bar).toBeHidden();
  await page.getByRole("checkbox", { name: "Select alice" }).click();
  await page.getByRole("checkbox", { name: "Select bob" }).click();
  await bar.getByRole("button", { name: "Pause" }).click();
  await expect(row(page, "alice")).toContainText("Paused");
  await bar.getByRole("button", { name: "Resume" }).click();
  await expect(row(page, "alice")).toContainText("Active");

  await page.getByRole("button", { name: "Export" }).click();
  const [csv] = await Promise.all([page.waitForEvent("download"), page.getByRole("menuitem", { name: "CSV" }).click()]);
  const text = await readFile(await csv.path(), "utf8");
  expect(text.split("\r\n")[0]).toBe("name,upstream,email,enabled,weight,rank,max_concurrent,allowed,project,tags,credits");
  expect(text).toContain("alice,sim,alice@example.com,true");
  expect(text).not.toContain("frank");
  expect(text).not.toContain("sim-refresh");
  await page.getByRole("button", { name: "Export" }).click();
  const [json] = await Promise.all([page.waitForEvent("download"), page.getByRole("menuitem", { name: "JSON" }).click()]);
  const all = JSON.parse(await readFile(await json.path(), "utf8")) as { name: string }[];
  expect(all.map(({ name }) => name)).toEqual(["alice", "bob"]);

  await bar.getByRole("button", { name: "Disable" }).click();
  await expect(preview(page).getByRole("heading", { name: "Disable 2 accounts?" })).toBeVisible();
  await preview(page).getByRole("button", { name: "Disable", exact: true }).click();
  await expect(row(page, "alice")).toContainText("Switched off in the file");
  await expect(row(page, "bob")).toContainText("Switched off in the file");
  await bar.getByRole("button", { name: "Enable" }).click();
  await preview(page).getByRole("button", { name: "Enable", exact: true }).click();
  await expect(row(page, "alice")).toContainText("Active");
  expect((await gateway.text()).match(/enabled = true/g)?.length).toBeGreaterThanOrEqual(2);
});

test("P27 P41 an account is added by hand: both fields are required, its token is sealed, its start is shown", async ({ page, gateway }) => {
  await signIn(page, "/accounts");
  await page.getByRole("button", { name: "Add account" }).click();
  await page.getByRole("menuitem", { name: /By hand/ }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByLabel("E-mail")).toBeFocused();
  await dialog.getByRole("button", { name: "Continue" }).click();
  await expect(dialog.getByText("Enter the e-mail.")).toBeVisible();
  await expect(dialog.getByText("Enter the refresh token.")).toBeVisible();
  await dialog.getByLabel("E-mail").fill("heidi@example.com");
  await dialog.getByLabel("Refresh token").fill("sim-refresh-heidi");
  await dialog.getByLabel("Weight").fill("-1");
  await dialog.getByRole("button", { name: "Continue" }).click();
  await expect(dialog.getByText(/expected a number/)).toBeVisible();
  await dialog.getByLabel("Weight").fill("1.5");
  await dialog.getByRole("button", { name: "Continue" }).click();
  await expect(preview(page)).toContainText("heidi@example.com");
  await expect(preview(page)).not.toContainText("sim-refresh-heidi");
  await preview(page).getByRole("button", { name: "Add account" }).click();
  await expect(page.getByTestId("job-progress")).toContainText("1 of 1");
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).last().click();
  await expect(row(page, "heidi")).toContainText("valid");
  const text = await gateway.text();
  expect(text).toContain("sealed = ");
  expect(text).not.toContain("sim-refresh-heidi");
});

test("P43 P79 several are added from CSV or JSON, with a result for each line", async ({ page, gateway }) => {
  await signIn(page, "/accounts?add=batch");
  const dialog = page.getByRole("dialog");
  const field = dialog.getByLabel("Accounts as JSON or CSV");
  await expect(field).toHaveAttribute("placeholder", /"email".*"refresh_token"/s);
  await dialog.getByRole("button", { name: "Check" }).click();
  await expect(dialog.getByText("Paste the accounts or choose a file.")).toBeVisible();
  await field.fill('[{"email": "only"');
  await dialog.getByRole("button", { name: "Check" }).click();
  await expect(field).toHaveAttribute("aria-invalid", "true");
  await dialog.locator("input[type=file]").setInputFiles({
    name: "accounts.csv",
    mimeType: "text/csv",
    buffer: Buffer.from("email,refresh_token,tags\nivan@example.com,sim-refresh-ivan,team-b\njudy@example.com,,\nalice@example.com,sim-refresh-alice,\n"),
  });
  await expect(field).toHaveValue(/ivan@example.com/);
  await dialog.getByRole("button", { name: "Check" }).click();
  await expect(preview(page)).toContainText("1 new, 1 renewed, 1 refused");
  await expect(preview(page).locator(".row-line").filter({ hasText: "judy@example.com" })).toContainText("refused");
  await preview(page).getByRole("button", { name: "Add 2 accounts" }).click();
  await expect(page.getByTestId("batch-done")).toContainText("2 of 3 imported");
  await page.getByRole("button", { name: "Show progress" }).click();
  await expect(page.getByTestId("job-progress")).toContainText("2 of 2");
  await page.keyboard.press("Escape");
  await expect(row(page, "ivan")).toContainText("valid");
  expect(await gateway.text()).not.toContain("sim-refresh-ivan");
});

test.describe("P28 P42 signing in with the provider", () => {
  // The port is known only now: the provider leads back to localhost, where the panel goes first.
  test.beforeAll(async ({ gateway }) => {
    const back = gateway.url.replace("127.0.0.1", "localhost");
    const before = gateway.log().split("configuration applied").length;
    await gateway.edit((text) => text.replace(/^(oauth = \{.*) \}$/m, `$1, redirect_url = "${back}/oauth-callback" }`));
    await until(() => Promise.resolve(gateway.log().split("configuration applied").length > before), "the file is in force");
  });

  async function begin(page: Page, path = "/accounts?add=oauth"): Promise<{ url: string; local: string }> {
    const local = page.url().replace("127.0.0.1", "localhost").replace(/(:\d+).*/, "$1");
    await signIn(page, `${local}${path}`);
    const link = page.getByRole("link", { name: "Open the consent page" });
    await expect(link).toHaveAttribute("target", "_blank");
    return { url: (await link.getAttribute("href")) ?? "", local };
  }

  test("the panel moves to the name that the provider leads back to", async ({ page, guard, baseURL }) => {
    guard.allow(/localhost/);
    await signIn(page, "/accounts?add=oauth");
    const local = (baseURL ?? "").replace("127.0.0.1", "localhost");
    await expect(page.getByRole("dialog")).toContainText("comes back to localhost");
    await axe(page);
    await page.getByRole("button", { name: "Go on there" }).click();
    await expect(page).toHaveURL(new RegExp(`^${local}/login\\?next=`));
  });

  test("it lands on the gateway, is confirmed there, and the dialog knows", async ({ page, context, gateway, guard }) => {
    guard.allow(/localhost/);
    await page.goto("/login");
    const { url } = await begin(page);
    const other = await context.newPage();
    await other.goto(`${url}&sim_account=kim@example.com`);
    await expect(other.getByTestId("oauth-email")).toHaveText("kim@example.com");
    await expect(other).toHaveURL(/localhost:\d+\/oauth\//);
    await other.setViewportSize(PHONE);
    await fits(other);
    expect(await gateway.text()).not.toContain("kim@example.com");
    await other.getByLabel("Name").fill("kim");
    await other.getByRole("button", { name: "Add account" }).click();
    await expect(other.getByText("kim is added")).toBeVisible();
    await expect(page.getByRole("dialog")).toContainText("kim is added");
    await page.getByRole("dialog").getByRole("button", { name: "Close" }).last().click();
    await expect(row(page, "kim")).toBeVisible();
    const text = await gateway.text();
    expect(text).toContain("[accounts.kim]");
    expect(text).toMatch(/sealed = "agp1:/);
  });

  test("the address is pasted: errors at the field, an existing e-mail is renewed", async ({ page, context, gateway, guard }) => {
    guard.allow(/localhost/);
    await page.goto("/login");
    const { url } = await begin(page);
    const dialog = page.getByRole("dialog");
    await dialog.getByText("The window ended with an error?").click();
    await dialog.getByRole("button", { name: "Take the address" }).click();
    await expect(dialog.getByText("Paste the address first.")).toBeVisible();
    await dialog.getByLabel("Address of that window").fill("http://localhost/oauth-callback?nothing=1");
    await dialog.getByRole("button", { name: "Take the address" }).click();
    await expect(dialog.getByLabel("Address of that window")).toHaveAttribute("aria-invalid", "true");
    // A browser that didn't begin it: the page shows its own address.
    const elsewhere = await context.browser()?.newContext();
    const other = await elsewhere?.newPage();
    if (other === undefined) throw new Error("no browser");
    await other.goto(`${url}&sim_account=alice@example.com`);
    await expect(other.getByRole("heading", { name: "One more step" })).toBeVisible();
    const address = other.url();
    await expect(other.getByRole("region", { name: "Address of this window" })).toContainText("code=");
    await elsewhere?.close();
    await dialog.getByLabel("Address of that window").fill(address);
    await dialog.getByRole("button", { name: "Take the address" }).click();
    await expect(dialog.getByTestId("oauth-email")).toHaveText("alice@example.com");
    await expect(dialog).toContainText("renews the existing account alice");
    await axe(page);
    const before = (await gateway.text()).match(/\[accounts\.alice\][^[]*/)?.[0];
    await dialog.getByRole("button", { name: "Renew account" }).click();
    await expect(dialog).toContainText("alice is renewed");
    expect((await gateway.text()).match(/\[accounts\.alice\][^[]*/)?.[0]).not.toBe(before);
  });

  test("an account is signed in again from its row, and a refusal is told", async ({ page, context, guard }) => {
    guard.allow(/localhost/);
    await page.goto("/login");
    const { url } = await begin(page, "/accounts?signin=dave");
    await expect(page.getByRole("heading", { name: "Sign in dave again" })).toBeVisible();
    const other = await context.newPage();
    await other.goto(`${url}&sim_deny=1`);
    await expect(other.getByText("The provider refused")).toBeVisible();
    await page.bringToFront();
    await page.evaluate(() => window.dispatchEvent(new Event("focus")));
    await expect(page.getByRole("dialog").getByRole("alert")).toContainText("The provider refused");
    await expect(page.getByRole("button", { name: "Begin again" })).toBeVisible();
  });
});

test("without an OAuth client the dialog tells how to get one and puts it into the file, sealed; P39 empty", async ({ browser }) => {
  const gateway = await startGateway({ accounts: [], models: "" });
  const before = gateway.log().split("configuration applied").length;
  await gateway.edit((text) => text.replace(/^\[upstreams\.sim\]\n(?:(?!\[).*\n)*/m, ""));
  await until(() => Promise.resolve(gateway.log().split("configuration applied").length > before), "the file is in force");
  const context = await browser.newContext();
  const page = await context.newPage();
  try {
    await signIn(page, `${gateway.url}/accounts`);
    await expect(page.getByRole("heading", { name: "No accounts yet" })).toBeVisible();
    await page.getByRole("button", { name: "Sign in with the provider" }).click();
    await expect(page.getByText("There is no upstream yet. This adds antigravity")).toBeVisible();
    await page.getByRole("button", { name: "Continue" }).click();
    await expect(page.getByText("Enter the client ID.")).toBeVisible();
    await axe(page);
    await page.getByLabel("Client ID").fill("my-client");
    await page.getByLabel("Client secret").fill("my-own-client-secret");
    await page.getByRole("button", { name: "Continue" }).click();
    await preview(page).getByRole("button", { name: "Save" }).click();
    await expect(page.getByRole("button", { name: "Go on there" }).or(page.getByRole("link", { name: "Open the consent page" }))).toBeVisible();
    const text = await gateway.text();
    expect(text).toContain("[upstreams.antigravity]");
    expect(text).not.toContain("my-own-client-secret");
  } finally {
    await context.close();
    await gateway.stop();
  }
});

test("many accounts: rows are virtual, and pages come from the gateway as they are scrolled to", async ({ browser }) => {
  const gateway = await startGateway({
    accounts: Array.from({ length: 350 }, (_, i) => `pool-${String(i).padStart(4, "0")}`),
    models: SIM_MODELS,
  });
  const context = await browser.newContext();
  const page = await context.newPage();
  try {
    await signIn(page, `${gateway.url}/accounts`);
    await expect(page.getByText("100 of 350 rows")).toBeVisible();
    expect(await page.locator(".row-line").count()).toBeLessThan(60);
    const asked: string[] = [];
    page.on("request", (request) => {
      const offset = new URL(request.url()).searchParams.get("offset");
      if (offset !== null && offset !== "0") asked.push(offset);
    });
    // One page after the other, each once its end is near: never all that there are.
    const pages = ["100", "200", "300"];
    for (const [i, count] of ["200 of 350 rows", "300 of 350 rows", "350 rows"].entries()) {
      await page.locator(".scroller").evaluate((element) => element.scrollTo(0, element.scrollHeight));
      await expect(page.getByText(count, { exact: true })).toBeVisible();
      expect(await page.locator(".row-line").count()).toBeLessThan(60);
      expect([...new Set(asked)]).toEqual(pages.slice(0, i + 1));
    }
  } finally {
    await context.close();
    await gateway.stop();
  }
});
