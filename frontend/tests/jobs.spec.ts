// Work on accounts that takes its time, and signing in again, from the row to an account that serves.
import { expect, signIn, test } from "./fixture";
import { until } from "./gateway";

const NAMES = Array.from({ length: 40 }, (_, i) => `pool-${String(i).padStart(2, "0")}`);
// Dave's is an older token than the one that he gets by signing in again.
const DAVE = '[accounts.dave]\nupstream = "sim"\nemail = "dave@example.com"\nrefresh_token = "sim-refresh-stale"\n';
const REVOKED = { accounts: { "stale@example.com": { revoked: true } } };
test.use({ setup: { accounts: NAMES, extra: DAVE, script: REVOKED } });
test.describe.configure({ timeout: 60_000 });

test("a refresh of all is cancelled: what was not begun says so, and nothing more is asked", async ({ page, gateway }) => {
  await signIn(page, "/accounts");
  await gateway.sim.script({ ...REVOKED, rules: [{ method: "fetchAvailableModels", do: { first_byte_delay: "2s" } }] });
  await page.getByRole("button", { name: "Refresh all" }).click();
  const job = page.getByRole("dialog");
  await expect(job.getByRole("heading", { name: "Accounts are being refreshed" })).toBeVisible();
  await job.getByRole("button", { name: "Cancel the rest" }).click();
  await expect(job.getByRole("heading", { name: "Refresh cancelled" })).toBeVisible();
  await expect(job.getByText("not begun").first()).toBeAttached();
  await expect(job.getByRole("button", { name: "Cancel the rest" })).toHaveCount(0);
  await expect(job.locator(".row-line").filter({ hasText: /waiting|running/ })).toHaveCount(0);
  await gateway.sim.script(REVOKED);
});

test("an account whose sign-in ended is signed in again, and serves", async ({ page, context, gateway, guard }) => {
  guard.allow(/localhost/);
  const back = gateway.url.replace("127.0.0.1", "localhost");
  const before = gateway.log().split("configuration applied").length;
  await gateway.edit((text) => text.replace(/^(oauth = \{.*) \}$/m, `$1, redirect_url = "${back}/oauth-callback" }`));
  await until(() => Promise.resolve(gateway.log().split("configuration applied").length > before), "the file is in force");
  await signIn(page, `${back}/accounts?q=dave`);
  const row = page.locator(".row-line").filter({ has: page.getByRole("link", { name: "dave", exact: true }) });
  await expect(row).toContainText("The provider no longer accepts its sign-in");
  await row.getByRole("button", { name: "Sign in again: dave" }).click();
  const url = await page.getByRole("link", { name: "Open the consent page" }).getAttribute("href");
  const other = await context.newPage();
  await other.goto(`${url ?? ""}&sim_account=dave@example.com`);
  await expect(other.getByTestId("oauth-email")).toHaveText("dave@example.com");
  await other.getByRole("button", { name: "Renew account" }).click();
  await expect(other.getByText("dave is renewed")).toBeVisible();
  await other.close();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("dave is renewed");
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await expect(row).toContainText("Active");
  await expect(row).not.toContainText("no longer accepts");
});
