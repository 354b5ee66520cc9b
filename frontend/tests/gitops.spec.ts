// Who must not write: the gateway in front of files that a repository holds, and whoever may only read.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import type { Locator, Page } from "@playwright/test";

import { expect, signIn, test } from "./fixture";
import { type Gateway, KEY, until } from "./gateway";

const TOKEN = "sk-read-only-token-0123456789abcdef";
test.use({
  setup: {
    accounts: ["alice", "bob"],
    admin: "write_back = false",
    extra: `[admin.tokens.reader]\nsha256 = "${createHash("sha256").update(TOKEN).digest("hex")}"\nrole = "read"\n[groups.team]\nrpm = 1000\n`,
  },
});
test.describe.configure({ timeout: 60_000 });

const dialog = (page: Page): Locator => page.getByRole("dialog").last();
const row = (page: Page, name: string): Locator => page.locator(".row-line").filter({ has: page.getByRole("link", { name, exact: true }) });

/** As the operator's pipeline does it; the lines that come and go. */
async function merge(gateway: Gateway, patch: string): Promise<{ come: string[]; gone: string[] }> {
  const folder = await mkdtemp(join(tmpdir(), "agp-gitops-"));
  try {
    const before = await gateway.text();
    await writeFile(join(folder, "agp.toml"), before);
    await writeFile(join(folder, "agp.patch"), patch.endsWith("\n") ? patch : `${patch}\n`);
    await promisify(execFile)("git", ["apply", "agp.patch"], { cwd: folder });
    const after = await readFile(join(folder, "agp.toml"), "utf8");
    await gateway.edit(() => after);
    const without = (text: string, other: string) => text.split("\n").filter((line) => line !== "" && !other.split("\n").includes(line));
    return { come: without(after, before), gone: without(before, after) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("GitOps: accounts are added and disabled by patches, and nothing is written before", async ({ page, gateway }) => {
  await signIn(page, "/accounts?add=hand");
  const before = await gateway.text();
  await dialog(page).getByLabel("E-mail").fill("heidi@example.com");
  await dialog(page).getByLabel("Refresh token").fill("sim-refresh-heidi");
  await dialog(page).getByRole("button", { name: "Continue" }).click();
  const patch = dialog(page).getByRole("region", { name: "Patch" });
  await expect(patch).toContainText("[accounts.heidi]");
  await expect(patch).not.toContainText("sim-refresh-heidi");
  await expect(dialog(page).getByRole("button", { name: /^(Save|Add account)$/ })).toHaveCount(0);
  expect(await gateway.text()).toBe(before);
  const { come, gone } = await merge(gateway, await patch.innerText());
  expect(gone).toEqual([]);
  expect(come).toEqual(["[accounts.heidi]", 'email = "heidi@example.com"', expect.stringMatching(/^refresh_token = \{ sealed = "agp1:/)]);
  // What the patch holds is the account: it is signed in.
  await page.goto("/accounts");
  await expect(row(page, "heidi")).toContainText("Active");

  const merged = await gateway.text();
  await page.getByRole("button", { name: "Actions for bob" }).click();
  await page.getByRole("menuitem", { name: "Disable", exact: true }).click();
  await expect(patch).toContainText("+enabled = false");
  await expect(dialog(page).getByRole("button", { name: "Disable", exact: true })).toHaveCount(0);
  expect(await gateway.text()).toBe(merged);
  const text = await patch.innerText();
  await dialog(page).getByRole("button", { name: "Close" }).last().click();
  await expect(row(page, "bob")).toContainText("Active");
  expect(await merge(gateway, text)).toEqual({ come: ["enabled = false"], gone: [] });
  await expect(row(page, "bob")).toContainText("Switched off in the file");
});

test("a token that may only read, sent by a proxy in front, opens the panel without its editors", async ({ page, gateway }) => {
  // Somebody's request, so that there is one to look at.
  expect((await gateway.chat({}, KEY)).status).toBe(200);
  const id = await until(async () => {
    const answer = await fetch(`${gateway.url}/admin/api/v1/requests`, { headers: { Authorization: `Bearer ${TOKEN}` } });
    return ((await answer.json()) as { rows: { id: string }[] }).rows[0]?.id;
  }, "the request is in the log");
  await page.setExtraHTTPHeaders({ Authorization: `Bearer ${TOKEN}` });
  const editors =
    /^(Add|Create|Edit|Delete|Remove|Disable|Enable|Pause|Resume|Rename|Save|Preview changes|Review change|Roll back|Reload|Refresh all|Actions for|Sign in|Send|Make default|Discard|Replace|Enter|Use the default|Expire)\b/;
  for (const [path, there] of [
    ["/", "Success rate"],
    ["/accounts/alice", "alice@example.com|Active"],
    ["/accounts?add=hand", "alice"],
    ["/keys?new=true", "tests"],
    ["/keys?key=tests", "Limits"],
    ["/keys?tab=groups", "team"],
    ["/models?model=gemini-2.5-flash&view=settings", "Aliases"],
    ["/models?tab=offers", "gemini-2.5-pro"],
    [`/logs/${id}`, "gemini-2.5-flash"],
    ["/playground", "read-only access"],
    ["/config", "routing.strategy"],
    ["/config?tab=files", "agp.toml"],
    ["/config?tab=history", "Generation|running"],
    ["/config?tab=upstreams", "sim"],
  ] as const) {
    await page.goto(path);
    await expect(page.getByRole("button", { name: "Signed in: Token reader", includeHidden: true })).toBeVisible();
    await expect(page.locator("main, [role=dialog]").getByText(new RegExp(there)).filter({ visible: true }).first(), path).toBeVisible();
    const shown = page.locator("main, [role=dialog]");
    await expect(shown.getByRole("button", { name: editors, disabled: false }), path).toHaveCount(0);
    await expect(shown.getByRole("link", { name: /^(Add|Create|Make a key|Sign in)/ }).and(page.locator("[href*='add='], [href*='new='], [href*='signin=']")), path).toHaveCount(0);
    await expect(shown.locator("form:not([role=search]) :is(input, select, textarea):not(:disabled)"), path).toHaveCount(0);
  }
});
