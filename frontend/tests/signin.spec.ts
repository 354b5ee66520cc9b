import { expect, fits, PASSWORD, PHONE, signIn, test } from "./fixture";
import { startGateway } from "./gateway";

test("P1 P4 an empty and a wrong password are told at the field", async ({ page }) => {
  await page.goto("/");
  await expect(page).toHaveURL(/\/login$/);
  await expect(page).toHaveTitle("Sign in · agp");
  const field = page.getByLabel("Password", { exact: true });
  await expect(field).toBeFocused();

  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(field).toHaveAccessibleDescription("Enter the password.");
  await expect(field).toHaveAttribute("aria-invalid", "true");

  await field.fill("not this one, surely");
  await field.press("Enter");
  await expect(field).toHaveAccessibleDescription("This password is wrong.");
  await expect(field).toBeFocused();
  await expect(page).toHaveURL(/\/login$/);
});

test("P1 P2 P3 P8 P9 the eye shows the password, Enter signs in, and signing out ends it", async ({ page }) => {
  await page.goto("/login");
  const field = page.getByLabel("Password", { exact: true });
  await field.fill(PASSWORD);
  await expect(field).toHaveAttribute("type", "password");
  await page.getByRole("button", { name: "Show" }).click();
  await expect(field).toHaveAttribute("type", "text");
  await page.getByLabel("Stay signed in for 7 days").check();
  await field.press("Enter");
  await expect(page).toHaveURL(/\/$/);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Overview");
  const cookie = (await page.context().cookies()).find(({ name }) => name === "agp_session");
  expect(cookie?.httpOnly).toBe(true);
  expect(cookie?.sameSite).toBe("Strict");
  expect(cookie?.expires ?? 0).toBeGreaterThan(Date.now() / 1000 + 6 * 86_400);

  const user = page.getByRole("button", { name: "Signed in: Administrator" });
  await user.click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/login/);
  expect((await page.request.get("/admin/api/v1/session")).status()).toBe(401);
});

test("P11 a deep link leads through the sign-in to its view", async ({ page }) => {
  await page.goto("/logs?model=gemini-2.5-pro");
  await expect(page).toHaveURL(/\/login\?next=/);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/logs\?model=gemini-2\.5-pro$/);
  await expect(page).toHaveTitle("Logs · agp");
  await page.reload();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Logs");
});

test("a link that leads elsewhere after the sign-in is not followed", async ({ page, gateway }) => {
  await page.goto("/login?next=//example.com/");
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Overview");
  expect(page.url()).toBe(`${gateway.url}/`);
});

test("P5 a session that ended elsewhere leads back here, and then back to the view", async ({ page }) => {
  await signIn(page, "/keys");
  await page.context().clearCookies();
  await page.goto("/models");
  await expect(page).toHaveURL(/\/login\?next=\/models$/);
});

test("P5 a session that is good after all is asked for unseen", async ({ page }) => {
  let refused = 0;
  await page.route("**/admin/api/v1/models*", (route) => {
    refused += 1;
    return route.fulfill({ status: 401, json: { error: "not signed in", fields: [] } });
  }, { times: 1 });
  await signIn(page, "/models");
  await expect(page.locator(".row-line").first()).toBeVisible();
  await expect(page).toHaveURL(/\/models$/);
  expect(refused).toBe(1);
});

test("too many attempts are told with the time that is left", async ({ page }) => {
  await page.route("**/admin/api/v1/login", (route) =>
    route.request().method() === "POST"
      ? route.fulfill({ status: 429, headers: { "Retry-After": "3" }, json: { error: "too many attempts", fields: [] } })
      : route.fallback(),
  );
  await page.goto("/login");
  await page.getByLabel("Password", { exact: true }).fill("not this one, surely");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toHaveText("Too many attempts. Wait a moment, then try again.");
  await expect(page.getByRole("button", { name: /Try again in \d s/ })).toBeDisabled();
  await expect(page.getByRole("button", { name: "Sign in" })).toBeEnabled();
});

test("without a password in the file the page says how to set one, and nothing else", async ({ page, guard }) => {
  const bare = await startGateway({ password: false });
  try {
    guard.allow(new RegExp(`^request: ${bare.url}`));
    await page.goto(`${bare.url}/accounts`);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("No password is set");
    await expect(page.getByText("agp hash-password")).toBeVisible();
    await expect(page.getByText("password_hash =")).toBeVisible();
    // Each step has its number.
    for (const step of await page.getByRole("listitem").all()) await expect(step).toHaveCSS("display", "list-item");
    await expect(page.getByLabel("Password", { exact: true })).toHaveCount(0);
  } finally {
    await bare.stop();
  }
});

test("it fits a phone", async ({ page }) => {
  await page.goto("/login");
  await expect(page.getByLabel("Password", { exact: true })).toBeVisible();
  await page.setViewportSize(PHONE);
  await fits(page);
});
