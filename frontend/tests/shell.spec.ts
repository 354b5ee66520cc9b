import { expect, fits, PHONE, signIn, test } from "./fixture";
import { startGateway } from "./gateway";

const VIEWS = [
  ["Overview", "/"],
  ["Accounts", "/accounts"],
  ["API keys", "/keys"],
  ["Models", "/models"],
  ["Logs", "/logs"],
  ["Playground", "/playground"],
  ["Configuration", "/config"],
] as const;

test("P6 P11 every entry leads to its view, is marked, and the back button returns", async ({ page }) => {
  await signIn(page);
  const nav = page.getByRole("navigation", { name: "Main" });
  for (const [name, path] of VIEWS) {
    await nav.getByRole("link", { name, exact: true }).click();
    await expect(page).toHaveURL(new RegExp(`${path}$`));
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(name);
    await expect(page).toHaveTitle(`${name} · agp`);
    await expect(nav.locator("[aria-current=page]")).toHaveText(name);
  }
  await page.goBack();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Playground");
});

test("badge and banners tell what is so: running, files refused, mended, gone", async ({ page, guard }) => {
  const own = await startGateway();
  guard.allow(new RegExp(`^request: ${own.url}`));
  try {
    await signIn(page, `${own.url}/`);
    const badge = page.getByTestId("gateway");
    await expect(badge).toHaveText("Running");
    await own.edit((text) => `${text}\nno_such_key = 1\n`);
    await expect(badge).toHaveText("Configuration refused");
    await expect(page.getByTestId("reload-error")).toContainText("no_such_key");
    await own.edit((text) => text.replace("\nno_such_key = 1\n", ""));
    await expect(badge).toHaveText("Running");
  } finally {
    await own.stop();
  }
  await expect(page.getByTestId("gateway")).toHaveText("No connection");
  await expect(page.getByTestId("lost")).toBeVisible();
});

test("an address without a view says so", async ({ page }) => {
  await signIn(page, "/nothing/here");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("There is nothing here");
});

test("the language is chosen, kept, and the document says which it is", async ({ page }) => {
  await signIn(page);
  await page.getByRole("button", { name: "Language" }).click();
  await page.getByRole("menuitemradio", { name: "简体中文" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("概览");
  await expect(page).toHaveTitle("概览 · agp");
  await expect(page.locator("html")).toHaveAttribute("lang", "zh-CN");
  await page.reload();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("概览");
});

test.describe("a Chinese browser", () => {
  test.use({ locale: "zh-CN" });
  test("is greeted in Chinese", async ({ page }) => {
    await page.goto("/login");
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("登录");
  });
});

test("P83 the theme follows the system until it is chosen, and is there before the first paint", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "dark" });
  await signIn(page);
  await expect(page.locator("html")).toHaveClass("dark");
  await page.getByRole("button", { name: "Theme" }).click();
  await page.getByRole("menuitemradio", { name: "Light" }).click();
  await expect(page.locator("html")).toHaveClass("light");
  // Without the app's own script only the early one can set it.
  await page.route("**/assets/index-*.js", (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
  await page.reload();
  await expect(page.locator("html")).toHaveClass("light");
});

test("the keyboard can skip the navigation", async ({ page }) => {
  await signIn(page);
  await page.locator("body").evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  await page.keyboard.press("Tab");
  const skip = page.getByRole("link", { name: "Skip to the content" });
  await expect(skip).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.locator("main")).toBeFocused();
});

test("P7 on a phone there is a bar at the bottom, and nothing is wider than the window", async ({ page }) => {
  await page.setViewportSize(PHONE);
  await signIn(page);
  const bar = page.getByRole("navigation", { name: "Main" });
  await bar.getByRole("link", { name: "Accounts" }).click();
  await expect(bar.locator("[aria-current=page]")).toHaveText("Accounts");
  await bar.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Configuration" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Configuration");
  await fits(page);
});

test("one edit follows another at once, whether or not an event has told of the first", async ({ page }) => {
  await page.addInitScript(() => {
    const inherited = Object.getPrototypeOf(EventSource.prototype) as EventTarget;
    const deaf = function (this: EventSource, ...given: Parameters<EventTarget["addEventListener"]>): void {
      if (given[0] !== "config") inherited.addEventListener.apply(this, given);
    };
    Object.assign(EventSource.prototype, { addEventListener: deaf });
  });
  await signIn(page, "/keys?tab=groups");
  for (const name of ["first", "second"]) {
    await page.getByRole("button", { name: "Create a group" }).first().click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name", { exact: true }).fill(name);
    await dialog.getByLabel("Requests at a time").fill("3");
    await dialog.getByRole("button", { name: "Review change" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Save", exact: true }).click();
    await expect(page.getByRole("heading", { name, exact: true })).toBeVisible();
    await expect(page.getByRole("dialog")).toHaveCount(0);
  }
});
