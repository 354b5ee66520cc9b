// What `make screenshots` pictures, and axe.spec.ts judges, in both themes: each view's states (states.ts), and below what can be
// opened in it. Authors of views add theirs.
import type { Locator, Page } from "@playwright/test";

import { PHONE } from "./fixture";
import { changed, type Scene } from "./stage";
import { found, OVERVIEW, STATE_SCENES } from "./states";

const dialog = (page: Page): Locator => page.getByRole("dialog").last();
const question = (page: Page): Locator => page.getByRole("alertdialog");
const row = (page: Page, text: string): Locator => page.locator("main .row-line").filter({ hasText: text });
const rows = (page: Page): Locator => page.locator("main .row-line");
const card = (page: Page, name: string): Locator => page.getByRole("listitem").filter({ has: page.getByRole("heading", { name, exact: true }) });
const press = (within: Page | Locator, name: string | RegExp): Promise<void> => within.getByRole("button", { name, exact: typeof name === "string" }).first().click();

/** From a row's menu. */
async function choose(page: Page, name: string, item: string): Promise<void> {
  await press(page, `Actions for ${name}`);
  await page.getByRole("menuitem", { name: item, exact: true }).click();
}

/** Sends a message in the playground. */
async function say(page: Page, text: string): Promise<void> {
  await page.getByRole("textbox", { name: "Message" }).fill(text);
  await press(page, "Send");
}

/** Changes a setting. */
async function strategy(page: Page): Promise<void> {
  await page.locator("[data-setting='routing.strategy']").getByRole("radio", { name: "round_robin" }).click();
  await page.evaluate(() => scrollTo(0, 0));
}

/** A view whose look is as it is loaded. */
const plain = (name: string, path: string, shows: Scene["shows"], more: Partial<Scene> = {}): Scene[] => [
  { name, path, shows, ...more },
  { name: `${name}-phone`, path, shows, ...more, viewport: PHONE },
];

const FRAME: Scene[] = [
  { name: "sign-in", path: "/login", open: true, shows: (page) => page.getByLabel("Password", { exact: true }) },
  { name: "sign-in-phone", path: "/login", open: true, viewport: PHONE, shows: (page) => page.getByLabel("Password", { exact: true }) },
  {
    name: "sign-in-wrong",
    path: "/login",
    open: true,
    // Not a true attempt: too many of them close the gate for a while.
    early: (page) =>
      page.route("**/api/v1/login", (route) =>
        route.request().method() === "POST" ? route.fulfill({ status: 401, json: { error: "wrong", fields: [] } }) : route.fallback(),
      ),
    act: async (page) => {
      await page.getByLabel("Password", { exact: true }).fill("not this one, surely");
      await page.keyboard.press("Enter");
    },
    shows: (page) => page.getByText("This password is wrong."),
  },
  { name: "menu-theme", path: "/keys", act: (page) => press(page, "Theme"), shows: (page) => page.getByRole("menuitemradio", { name: "Dark" }) },
  { name: "menu-language", path: "/keys", act: (page) => press(page, "Language"), shows: (page) => page.getByRole("menuitemradio").first() },
  { name: "menu-user", path: "/keys", act: (page) => press(page, /^Signed in/), shows: (page) => page.getByRole("menuitem", { name: "Sign out" }) },
  { name: "menu-more-phone", path: "/keys", viewport: PHONE, act: (page) => press(page, "More"), shows: (page) => page.getByRole("menuitem", { name: "Models" }) },
  { name: "missing", path: "/nothing/here", shows: (page) => page.getByRole("heading", { name: "There is nothing here" }) },
  { name: "toast", path: "/config?tab=files", act: (page) => press(page, "Reload"), shows: (page) => page.locator(".toast") },
];

const OVERVIEW_SCENES: Scene[] = [
  ...plain("overview", "/", (page) => page.getByTestId("chart-requests").locator("svg, canvas")),
  {
    name: "overview-figures",
    path: "/",
    act: (page) => press(page.getByTestId("chart-requests"), /Show figures/),
    shows: (page) => page.getByTestId("chart-requests").getByRole("row"),
  },
  { name: "overview-week", path: "/?range=7d", shows: (page) => page.getByTestId("chart-requests").getByText(/by the day/) },
  {
    name: "overview-calm",
    path: "/",
    early: (page) => changed(page, OVERVIEW, () => ({ attention: [] })),
    shows: (page) => page.getByTestId("card-requests"),
  },
];

const ACCOUNTS: Scene[] = [
  ...plain("accounts", "/accounts", rows),
  { name: "accounts-none-found", path: "/accounts?q=nobody", shows: (page) => page.getByText("No account matches") },
  { name: "accounts-add", path: "/accounts", act: (page) => press(page, "Add account"), shows: (page) => page.getByRole("menuitem", { name: /By hand/ }) },
  { name: "accounts-menu", path: "/accounts", act: (page) => press(page, "Actions for alice"), shows: (page) => page.getByRole("menuitem", { name: "Delete" }) },
  { name: "accounts-export", path: "/accounts", act: (page) => press(page, "Export"), shows: (page) => page.getByRole("menuitem", { name: "CSV" }) },
  {
    name: "accounts-selection",
    path: "/accounts",
    act: async (page) => {
      for (const name of ["alice", "dave"]) await page.getByRole("checkbox", { name: `Select ${name}` }).click();
    },
    shows: (page) => page.getByTestId("selection"),
  },
  {
    name: "accounts-hand",
    path: "/accounts?add=hand",
    act: (page) => press(dialog(page), "Continue"),
    shows: (page) => page.getByText("Enter the refresh token."),
  },
  {
    name: "accounts-batch",
    path: "/accounts?add=batch",
    act: async (page) => {
      await dialog(page).getByLabel("Accounts as JSON or CSV").fill("email,refresh_token,tags\nivan@example.com,sim-refresh-ivan,team-b\njudy@example.com,,\nalice@example.com,sim-refresh-alice,\n");
      await press(dialog(page), "Check");
    },
    shows: (page) => page.getByText("1 new, 1 renewed, 1 refused"),
  },
  { name: "accounts-oauth", path: "/accounts?add=oauth", shows: (page) => dialog(page).getByRole("link", { name: "Open the consent page" }) },
  { name: "accounts-sign-in-again", path: "/accounts?signin=dave", shows: (page) => dialog(page).getByRole("link", { name: "Open the consent page" }) },
  { name: "accounts-quota", path: "/accounts?quota=alice", shows: (page) => dialog(page).getByText("Up to date") },
  { name: "accounts-quota-refused", path: "/accounts?quota=dave", shows: (page) => dialog(page).getByRole("alert") },
  { name: "accounts-disable", path: "/accounts", act: (page) => choose(page, "bob", "Disable"), shows: (page) => dialog(page).getByText("enabled = false") },
  { name: "accounts-delete", path: "/accounts", act: (page) => choose(page, "bob", "Delete"), shows: (page) => dialog(page).getByText(/its refresh token/) },
  { name: "accounts-refresh", path: "/accounts", act: (page) => press(page, "Refresh all"), shows: (page) => dialog(page).getByRole("heading", { name: "Refresh finished" }) },
  ...plain("account", "/accounts/alice", (page) => page.getByRole("heading", { name: "Settings in the file" })),
  { name: "account-needs-sign-in", path: "/accounts/dave", shows: (page) => page.getByRole("button", { name: "Sign in again" }) },
  { name: "account-edit", path: "/accounts/bob?edit=true", shows: (page) => page.getByLabel("Weight") },
  { name: "oauth", path: "/oauth/a-sign-in", early: found, shows: (page) => page.getByTestId("oauth-email") },
  { name: "oauth-callback", path: "/oauth-callback?code=4/abc&state=elsewhere", open: true, shows: (page) => page.getByRole("region", { name: "Address of this window" }) },
];

const KEYS: Scene[] = [
  ...plain("keys", "/keys", rows),
  { name: "keys-none-found", path: "/keys?q=nobody", shows: (page) => page.getByRole("heading", { name: "No key matches" }) },
  { name: "keys-menu", path: "/keys", act: (page) => press(page, "Actions for tests"), shows: (page) => page.getByRole("menuitem", { name: "Delete" }) },
  { name: "keys-new", path: "/keys?new=true", shows: (page) => dialog(page).getByLabel("Name", { exact: true }) },
  { name: "keys-disable", path: "/keys", act: (page) => choose(page, "tests", "Disable"), shows: (page) => dialog(page).getByText("enabled = false") },
  { name: "keys-rename", path: "/keys", act: (page) => choose(page, "tests", "Rename"), shows: (page) => dialog(page).getByLabel("New name in agp.toml") },
  { name: "keys-delete", path: "/keys", act: (page) => choose(page, "tests", "Delete"), shows: (page) => question(page).getByText("Clients that use it are refused at once.") },
  ...plain("key", "/keys?key=laptop", (page) => dialog(page).getByRole("meter")),
  { name: "key-settings", path: "/keys?key=laptop", act: (page) => dialog(page).getByRole("tab", { name: "Settings" }).click(), shows: (page) => dialog(page).getByLabel("Requests per minute") },
  { name: "key-commands", path: "/keys?key=laptop", act: (page) => dialog(page).getByRole("tab", { name: "Commands" }).click(), shows: (page) => dialog(page).getByRole("region", { name: "curl" }) },
  { name: "key-gone", path: "/keys?key=nobody", shows: (page) => dialog(page).getByText("There is no key “nobody”") },
  ...plain("groups", "/keys?tab=groups", (page) => card(page, "team")),
  { name: "groups-new", path: "/keys?tab=groups", act: (page) => press(page, "Create a group"), shows: (page) => dialog(page).getByLabel("Name", { exact: true }) },
  { name: "groups-rename", path: "/keys?tab=groups", act: (page) => press(card(page, "team"), "Rename team"), shows: (page) => dialog(page).getByLabel("New name in agp.toml") },
  { name: "groups-delete", path: "/keys?tab=groups", act: (page) => press(card(page, "team"), "Delete the group team"), shows: (page) => question(page).getByText(/leaves the group/) },
];

const MODEL = "/models?model=gemini-2.5-flash";
const MODELS: Scene[] = [
  ...plain("models", "/models", rows),
  { name: "models-none-found", path: "/models?q=nothing", shows: (page) => page.getByRole("heading", { name: "No model matches" }) },
  { name: "models-menu", path: "/models", act: (page) => press(page, "Actions for gemini-2.5-flash"), shows: (page) => page.getByRole("menuitem", { name: "Delete" }) },
  { name: "models-rename", path: MODEL, act: (page) => press(dialog(page), "Rename"), shows: (page) => page.getByLabel("New name in agp.toml") },
  { name: "models-delete", path: MODEL, act: (page) => press(dialog(page), "Delete"), shows: (page) => question(page).getByText(/Clients that ask for it/) },
  { name: "models-add", path: "/models", act: (page) => press(page, "Add a model"), shows: (page) => dialog(page).getByLabel("Name", { exact: true }) },
  ...plain("model", MODEL, (page) => dialog(page).getByRole("heading", { name: "Route" })),
  { name: "model-settings", path: `${MODEL}&view=settings`, shows: (page) => dialog(page).getByRole("group", { name: "Route" }) },
  { name: "model-test", path: `${MODEL}&view=test`, act: (page) => press(dialog(page), "Send a request"), shows: (page) => dialog(page).getByText("Answered", { exact: true }) },
  { name: "model-pick", path: `${MODEL}&view=pick`, shows: (page) => dialog(page).getByText(/draws, strategy/) },
  { name: "model-gone", path: "/models?model=nothing", shows: (page) => dialog(page).getByText("There is no model “nothing”") },
  ...plain("offers", "/models?tab=offers", rows),
];

const LOGS: Scene[] = [
  ...plain("logs", "/logs", rows),
  { name: "logs-none-found", path: "/logs?id=01AAAAAA", shows: (page) => page.getByRole("heading", { name: "No request fits these filters" }) },
  { name: "logs-live", path: "/logs?live=true", shows: (page) => page.getByText("New requests appear as they end") },
  { name: "logs-export", path: "/logs", act: (page) => press(page, "Export"), shows: (page) => page.getByRole("menuitem", { name: "CSV" }) },
  { name: "logs-filters-phone", path: "/logs", viewport: PHONE, act: (page) => press(page, /^Filters/), shows: (page) => page.getByLabel("Request id") },
  {
    name: "logs-hint",
    path: "/logs",
    act: async (page) => {
      await row(page, "400").first().getByRole("button").focus();
    },
    shows: (page) => page.getByRole("tooltip"),
  },
  ...plain("logs-request", "/logs/{request}", (page) => page.getByTestId("waterfall")),
  {
    name: "logs-bodies",
    path: "/logs/{request}",
    act: (page) => press(page, "Look at the bodies"),
    shows: (page) => page.getByRole("region", { name: "Sent to the client" }),
  },
];

const PLAY = "/playground?key=tests&model=gemini-2.5-flash";
const PLAYGROUND: Scene[] = [
  ...plain("playground", PLAY, (page) => page.getByRole("heading", { name: "Say something" })),
  { name: "playground-settings-phone", path: PLAY, viewport: PHONE, act: (page) => page.locator("summary").first().click(), shows: (page) => page.getByLabel("Thinking budget") },
  {
    name: "playground-answer",
    path: PLAY,
    act: async (page) => {
      await page.getByLabel("Thinking budget").fill("1024");
      await say(page, "What is a gateway good for?");
    },
    shows: (page) => page.getByTestId("served"),
  },
  {
    name: "playground-raw",
    path: PLAY,
    act: async (page) => {
      await say(page, "What is a gateway good for?");
      await page.getByTestId("served").waitFor();
      await press(page, "Raw");
    },
    shows: (page) => page.getByRole("region", { name: "Answer", exact: true }),
  },
  {
    name: "playground-tool",
    path: `${PLAY}&dialect=anthropic`,
    act: async (page) => {
      await press(page, "Example");
      await say(page, "Please call get_time");
    },
    shows: (page) => page.getByRole("textbox", { name: "Result of get_time" }),
  },
  { name: "playground-refused", path: "/playground?key=laptop&model=claude-sonnet-4-5", act: (page) => say(page, "May I?"), shows: (page) => page.getByRole("alert").filter({ hasText: /HTTP 40/ }) },
];

const CONFIG: Scene[] = [
  ...plain("config", "/config", (page) => page.locator("[data-setting]")),
  { name: "config-changed", path: "/config", act: strategy, shows: (page) => page.getByText("1 setting changed") },
  {
    name: "config-preview",
    path: "/config",
    act: async (page) => {
      await strategy(page);
      await press(page, "Preview changes");
    },
    shows: (page) => dialog(page).getByText(/strategy = "round_robin"/),
  },
  {
    name: "config-leave",
    path: "/config",
    act: async (page) => {
      await strategy(page);
      await page.getByRole("link", { name: "API keys" }).click();
    },
    shows: question,
  },
  ...plain("config-files", "/config?tab=files", (page) => page.getByRole("region", { name: "agp.toml" })),
  ...plain("config-history", "/config?tab=history", rows),
  { name: "config-diff", path: "/config?tab=history&a=1&b=2", shows: (page) => dialog(page).getByText("[groups.guests]") },
  { name: "config-rollback", path: "/config?tab=history&back=1", shows: (page) => dialog(page).getByRole("button", { name: "Roll back to 1" }) },
  ...plain("config-upstreams", "/config?tab=upstreams", (page) => page.getByRole("region", { name: "sim" })),
  { name: "config-upstream", path: "/config?tab=upstreams&upstream=sim", shows: (page) => dialog(page).locator("[data-setting]") },
  {
    name: "config-upstream-new",
    path: "/config?tab=upstreams&add=true",
    act: (page) => press(dialog(page), "Preview changes"),
    shows: (page) => dialog(page).getByText("Give the upstream a name."),
  },
  { name: "config-upstream-kept", path: "/config?tab=upstreams", act: (page) => press(page, "Remove sim"), shows: (page) => dialog(page).getByRole("alert") },
  ...plain("config-addresses", "/config?tab=addresses", (page) => page.getByTestId("address-base")),
  {
    name: "config-gitops",
    path: "/config",
    early: (page) => changed(page, /\/api\/v1\/config$/, () => ({ write_back: false })),
    shows: (page) => page.getByTestId("gitops"),
  },
  {
    name: "config-refused",
    path: "/config?tab=files",
    early: (page) =>
      changed(page, /\/api\/v1\/config$/, () => ({
        errors: ["agp.toml:12: keys.wrong.no_such_key: unknown key"],
        differs: "refused",
        drift: "--- agp.toml\n+++ agp.toml\n@@ -11,1 +11,2 @@\n [keys.wrong]\n+no_such_key = 1\n",
      })),
    shows: (page) => page.getByTestId("drift"),
  },
];


export const SCENES: Scene[] = [...FRAME, ...STATE_SCENES, ...OVERVIEW_SCENES, ...ACCOUNTS, ...KEYS, ...MODELS, ...LOGS, ...PLAYGROUND, ...CONFIG];

