// The playground, on the real binary in front of the simulator.
import { expect, fits, PHONE, signIn, test } from "./fixture";

test.use({ setup: { extra: '[keys.narrow]\nkey = "sk-narrow-key-0123456789abcdef012345"\nmodels = ["gemini-*"]\n' } });
test.describe.configure({ timeout: 120_000 });
test.beforeEach(async ({ gateway }) => {
  await gateway.sim.script({});
});

test("streams in OpenAI's dialect with thinking apart, and tells who served it", async ({ page }) => {
  await signIn(page, "/playground?key=tests&model=gemini-2.5-flash");
  await page.getByLabel("Thinking budget").fill("1024");
  await page.getByRole("textbox", { name: "Message" }).fill("Hello <b>there</b>");
  await page.getByRole("textbox", { name: "Message" }).press("Control+Enter");
  await expect(page.getByTestId("answer")).toContainText("Hello <b>there</b>");
  await expect(page.getByTestId("answer").locator("b")).toHaveCount(0);
  await expect(page.getByTestId("thinking")).not.toBeEmpty();
  await page.getByText("Thinking", { exact: true }).click();
  await expect(page.getByTestId("thinking")).toBeHidden();
  await expect(page.getByTestId("served")).toContainText(/alice|bob/);
  await expect(page.getByTestId("usage")).toContainText(/\d+ in, \d+ out/);
  await expect(page.getByText(/first token/)).toBeVisible();
  await page.getByRole("button", { name: "Raw" }).click();
  await expect(page.getByRole("region", { name: "Request", exact: true })).toContainText('"thinking_budget": 1024');
  await expect(page.getByRole("region", { name: "Answer", exact: true })).toContainText("[DONE]");
  // What was said stays while the log is looked at.
  await page.getByRole("link", { name: "In the log" }).click();
  await expect(page).toHaveURL(/\/logs\/.+/);
  await page.goBack();
  await expect(page.getByTestId("answer")).toContainText("Hello");
});

test("shows tool calls of Anthropic's dialect, and takes their results", async ({ page }) => {
  await signIn(page, "/playground?key=tests&model=gemini-2.5-flash&dialect=anthropic");
  await page.getByRole("button", { name: "Example" }).click();
  await page.getByRole("textbox", { name: "Message" }).fill("Please call get_time");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.locator(".call strong")).toHaveText("get_time");
  await expect(page.locator(".call pre")).toContainText("timezone");
  await page.getByRole("textbox", { name: "Result of get_time" }).fill("It is noon.");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.getByTestId("answer")).toContainText("noon");
});

test("answers at once without streaming, and says plainly what was refused", async ({ page }) => {
  await signIn(page, "/playground?key=tests&model=gemini-2.5-flash");
  await page.getByRole("switch", { name: "Stream" }).click();
  await page.getByRole("textbox", { name: "Message" }).fill("Good morning");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.getByTestId("answer")).toContainText("Good morning");
  const model = page.getByRole("combobox", { name: "Model" });
  await model.fill("no-such-model");
  await model.press("Tab");
  await page.getByRole("textbox", { name: "Message" }).fill("Anybody?");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.getByRole("alert").filter({ hasText: "HTTP 404" })).toContainText("no-such-model");
  // It can be mended and sent again.
  await expect(page.getByRole("textbox", { name: "Message" })).toHaveValue("Anybody?");
  await page.getByLabel("Tools (JSON)").fill("{nonsense");
  await expect(page.getByText("This is no JSON list of tools")).toBeVisible();
});

test("a long answer is stopped", async ({ page, gateway }) => {
  await gateway.sim.script({ chunk_delay: "300ms", text: "word ".repeat(400), chunks: 200 });
  await signIn(page, "/playground?key=tests&model=gemini-2.5-flash");
  await page.getByRole("textbox", { name: "Message" }).fill("Tell me everything");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.getByTestId("answer")).toContainText("word");
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.getByText("Stopped by you.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Send" })).toBeVisible();
});

test("a failed-over request tells how often it was tried, and a refusal of the upstream what was wrong", async ({ page, gateway }) => {
  await gateway.sim.script({ rules: [{ times: 1, do: { status: 503, form: "capacity" } }] });
  await signIn(page, "/playground?key=tests&model=gemini-2.5-flash&dialect=anthropic");
  await page.getByLabel("Thinking budget").fill("1024");
  await page.getByRole("textbox", { name: "Message" }).fill("Over and over");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.getByTestId("answer")).toContainText("Over and over");
  await expect(page.getByTestId("thinking")).not.toBeEmpty();
  await expect(page.getByTestId("served")).toContainText(/Served by (alice|bob)/);
  await expect(page.getByText("2 tries")).toBeVisible();
  await gateway.sim.script({ rules: [{ do: { status: 400, message: "an odd request" } }] });
  await page.getByRole("textbox", { name: "Message" }).fill("Again");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.getByRole("alert")).toContainText("HTTP 400");
  await page.getByRole("button", { name: "Start over" }).click();
  await expect(page.getByRole("heading", { name: "Say something" })).toBeVisible();
});

test("P47 a key's rights count: what it may not use is refused", async ({ page }) => {
  await signIn(page, "/playground?key=narrow&model=claude-sonnet-4-5");
  await page.getByRole("textbox", { name: "Message" }).fill("May I?");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.getByRole("alert").filter({ hasText: /HTTP 40[34]/ })).toContainText("claude-sonnet-4-5");
});

test("an empty message, an error with retry, and read-only access are told", async ({ page }) => {
  await page.route("**/admin/api/v1/keys*", (route) => route.fulfill({ status: 503, json: { error: "the gateway is stopping", fields: [] } }));
  await signIn(page, "/playground");
  await expect(page.getByRole("alert").first()).toContainText("the gateway is stopping");
  await page.unroute("**/admin/api/v1/keys*");
  await page.getByRole("alert").first().getByRole("button", { name: "Try again" }).click();
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.getByRole("textbox", { name: "Message" })).toHaveAccessibleDescription(/Write a message first/);
  await page.route("**/api/v1/session", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...((await response.json()) as object), role: "read" } });
  });
  await page.reload();
  await expect(page.getByText("with read-only access it is closed")).toBeVisible();
});

test("a phone and Chinese", async ({ page }) => {
  await page.setViewportSize(PHONE);
  await signIn(page, "/playground?key=tests");
  await fits(page);
  await page.locator("summary").click();
  await fits(page);
  await page.evaluate(() => localStorage.setItem("agp-language", "zh"));
  await page.reload();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("调试台");
  await fits(page);
});
