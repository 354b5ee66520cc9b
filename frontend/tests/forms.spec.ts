// What the gateway refuses stands at the field that it names, in every form, and what was typed is still there.
import type { Locator } from "@playwright/test";

import { errorsByKey, faultsOf } from "../src/lib/faults";
import { expect, signIn, test } from "./fixture";
import { dialog, type Form, FORMS } from "./forms";

const MODELS = `[models.fast]
route = ["sim/gemini-2.5-flash"]
aliases = ["quick"]
price = { input = 0.30, output = 2.50 }
thinking = { budget = 512 }

[models.claude]
route = ["sim/claude-sonnet-4-5"]
`;
test.use({
  setup: {
    models: MODELS,
    extra: [
      '[groups.team]\nrpm = 100\n[keys.narrow]\nkey = "sk-narrow-key-0123456789abcdef012345"\ngroup = "team"\n',
      '[upstreams.spare]\nkind = "antigravity"\nbase_urls = ["http://127.0.0.1:9"]\noauth = { client_id = "other", client_secret = { env = "HOME" } }\n',
    ].join(""),
  },
});
// Nothing is saved here, so that the forms are in nobody's way.
test.describe.configure({ mode: "parallel", timeout: 60_000 });

/** A field by its label, or a setting by its key. */
function control(scope: Locator, name: string): Locator {
  if (!/^[a-z_]+(\.\w+)+$/.test(name)) return scope.getByLabel(name, { exact: true });
  const box = scope.locator(`[data-setting="${name}"] .control`);
  return box.locator("input:not([type=hidden], [aria-hidden]), [role=radiogroup], [role=switch]").first();
}

const isList = (field: Locator) => field.evaluate((element) => element.classList.contains("entry"));

async function fill(field: Locator, value: string): Promise<void> {
  if ((await field.evaluate((element) => element.tagName)) === "SELECT") {
    await field.selectOption(value);
    return;
  }
  await field.fill(value);
  if (await isList(field)) await field.press("Enter");
  else if ((await field.getAttribute("role")) === "combobox") await field.press("Tab");
}

async function kept(field: Locator, value: string): Promise<void> {
  if (await isList(field)) await expect(field.locator("..").locator(".tag").last()).toHaveText(value);
  else await expect(field).toHaveValue(value);
}

/** Exactly these fields are wrong, each with what was said of it. */
async function told(scope: Locator, says: [string, RegExp | string][]): Promise<void> {
  for (const [name, text] of says) {
    const field = control(scope, name);
    await expect(field, name).toHaveAttribute("aria-invalid", "true");
    await expect(field, name).toHaveAccessibleDescription(typeof text === "string" ? new RegExp(text.replace(/[.[\]]/g, "\\$&")) : text);
  }
  await expect(scope.locator("[aria-invalid=true]")).toHaveCount(says.length);
}

async function send(scope: Locator, form: Form): Promise<void> {
  if (form.send !== undefined) await scope.getByRole("button", { name: form.send, exact: true }).click();
}

for (const form of FORMS) {
  test(`what is wrong is told at its field: ${form.name}`, async ({ page }) => {
    if (form.path === "/login") await page.goto("/login");
    else await signIn(page, form.path);
    await form.open?.(page);
    const scope = (form.scope ?? dialog)(page);
    const { url, wrong = [], values = {}, typed = {}, named = {} } = form;

    for (const [name, value] of Object.entries(typed)) await fill(control(scope, name), value);
    for (const says of wrong) {
      const before = new Map<string, string>();
      for (const name of Object.keys(says)) {
        const field = control(scope, name);
        await expect(field, name).toBeVisible();
        before.set(name, await field.inputValue());
        const value = values[name];
        if (value !== undefined) await fill(field, value);
      }
      await send(scope, form);
      await told(scope, Object.entries(says));
      for (const name of Object.keys(says)) {
        const value = values[name];
        if (value === undefined) continue;
        await kept(control(scope, name), value);
        // The next refusal is to be about the next fields alone.
        if (await isList(control(scope, name))) await control(scope, name).press("Backspace");
        if (await isList(control(scope, name))) await control(scope, name).press("Backspace");
        else await fill(control(scope, name), before.get(name) ?? "");
      }
    }
    if (url === undefined) return;

    let fields: { field: string; message: string }[] = [];
    await page.route(url, async (route) => {
      if (route.request().method() === "GET") return route.fallback();
      return route.fulfill({ status: 422, json: { error: "the gateway refuses this", fields } });
    });
    fields = Object.keys(named).map((field) => ({ field, message: `${field} is refused` }));
    await send(scope, form);
    await told(scope, Object.entries(named).map(([field, name]) => [name, `${field} is refused`]));
    for (const [name, value] of Object.entries(typed)) await kept(control(scope, name), value);
    await expect(page.getByRole("dialog")).toHaveCount(form.scope === undefined ? 1 : 0);
    // What has no field here is seen all the same.
    fields = [{ field: "nowhere.at_all", message: "something else is wrong" }];
    await send(scope, form);
    await expect(scope.getByText(/something else is wrong|the gateway refuses this/).first()).toBeVisible();
  });
}

test("places in the changes are keys of the file, and the closest field counts", () => {
  const sent = [
    { do: "set" as const, path: ["models", "a.b", "price"], value: {} },
    { do: "add" as const, section: "groups", name: "new", values: {} },
  ];
  const errors = { "changes[0].value.output": "dear", "changes[1].name": "taken", "changes[1].values.rpm": "low", 'models."a.b".route[2]': "gone", "routing.strategy": "odd" };
  const keys = errorsByKey(errors, sent);
  expect(keys).toEqual({ 'models."a.b".price.output': "dear", "groups.new": "taken", "groups.new.rpm": "low", 'models."a.b".route[2]': "gone", "routing.strategy": "odd" });
  const model = faultsOf(keys, ["route", "price", "price.output"], ["models", "a.b"]);
  expect([model.at("price"), model.at("price.output"), model.at("route")]).toEqual([undefined, "dear", "gone"]);
  expect(model.others).toEqual(["groups.new: taken", "groups.new.rpm: low", "routing.strategy: odd"]);
  expect(faultsOf(keys, ["", "rpm"], ["groups", "new"]).at("")).toBe("taken");
});
