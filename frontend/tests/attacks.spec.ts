// What strangers and upstreams can make the panel show is text, wherever it is shown.
import { expect, signIn, test } from "./fixture";
import { KEY } from "./gateway";

const EVIL = `<img src=x onerror="document.title='owned'">`;
const ACCOUNT = `${EVIL}acc`;
const MODEL = `${EVIL}mod`;
const quoted = (text: string) => JSON.stringify(text);

test.use({
  setup: {
    state: 'log_bodies = "all"',
    models: `[models.${quoted(MODEL)}]\nroute = ["sim/gemini-2.5-flash"]\ndisplay_name = ${quoted(EVIL)}\n`,
    extra: `
[accounts.${quoted(ACCOUNT)}]
upstream = "sim"
email = "mallory@example.com"
refresh_token = "sim-refresh-mallory"
tags = [${quoted(EVIL)}]

[keys.evil]
name = ${quoted(EVIL)}
key = "sk-another-key-of-tests-0123456789abcdef"
`,
  },
});

test("names, labels and bodies with markup are shown as text in every view", async ({ page, gateway }) => {
  await gateway.chat({ model: MODEL, messages: [{ role: "user", content: EVIL }] });
  // A model that a client invents is told back to the log.
  await gateway.chat({ model: EVIL }, KEY);
  const rows = async () => {
    const answer = await page.request.get("/admin/api/v1/requests");
    return ((await answer.json()) as { rows: { id: string; status: number }[] }).rows;
  };
  await signIn(page, "/accounts");
  await expect.poll(async () => (await rows()).length).toBe(2);
  const served = (await rows()).find((row) => row.status === 200);
  const ids = (await rows()).map((row) => row.id);
  const views = [
    "/", "/accounts", `/accounts/${encodeURIComponent(ACCOUNT)}`, "/keys", "/models", "/logs", ...ids.map((id) => `/logs/${id}`), "/playground",
    "/config?tab=files", "/config?tab=history", "/config?tab=upstreams",
    // What stands in the address is a stranger's word too.
    `/accounts?q=${encodeURIComponent(EVIL)}`, `/logs?id=${encodeURIComponent(EVIL)}`, `/oauth/${encodeURIComponent(EVIL)}`,
    `/oauth-callback?state=${encodeURIComponent(EVIL)}&code=${encodeURIComponent(EVIL)}`, `/${encodeURIComponent(EVIL)}`,
  ];
  for (const view of views) {
    await page.goto(view);
    await expect(page.locator("h1").first()).toBeVisible();
    await expect(page.locator("[aria-busy=true]")).toHaveCount(0);
    expect(await page.locator("img[src=x]").count(), view).toBe(0);
    expect(await page.title(), view).not.toBe("owned");
  }
  expect(served).toBeDefined();
  await page.goto("/accounts");
  await expect(page.getByText(ACCOUNT).first()).toBeVisible();
  await page.goto("/models");
  await expect(page.getByText(MODEL).first()).toBeVisible();
});
