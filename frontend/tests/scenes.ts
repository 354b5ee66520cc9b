// What `make screenshots` pictures, in both themes, as docs/img/panel/NAME-THEME.png. Authors of views add theirs.
import type { Page } from "@playwright/test";

import { PHONE } from "./fixture";
import type { Gateway } from "./gateway";

export interface Scene {
  name: string;
  path: string;
  /** Before anybody is signed in. */
  open?: boolean;
  viewport?: { width: number; height: number };
  /** What must have happened before: requests, a script for the simulator. */
  before?: (gateway: Gateway) => Promise<void>;
  /** What is done in the page: dialogs opened, answers held back (`page.route`) for the loading and error states. */
  act?: (page: Page) => Promise<void>;
  /** The same, before the view opens. */
  early?: (page: Page) => Promise<void>;
}

/** Some requests: good ones, one that fails over, one that is the client's mistake. */
async function busy(gateway: Gateway): Promise<void> {
  await gateway.sim.script({ rules: [{ skip: 3, times: 1, do: { status: 503, form: "capacity" } }] });
  for (const model of ["gemini-2.5-flash", "gemini-3-pro-high", "claude-sonnet-4-5", "gemini-2.5-flash"]) await (await gateway.chat({ model })).text();
  await gateway.chat({ messages: [] });
}

/** An answer that does not come. */
async function held(page: Page, path: string | RegExp): Promise<void> {
  await page.route(path, () => new Promise(() => undefined));
}

async function answered(page: Page, path: string | RegExp, json: unknown, status = 200): Promise<void> {
  await page.route(path, (route) => route.fulfill({ status, json }));
}

/** The list of keys, whichever page of it. */
const KEYS = /\/admin\/api\/v1\/keys(\?|$)/;

/** A message and its answer. */
async function played(page: Page): Promise<void> {
  await page.getByRole("textbox", { name: "Message" }).fill("What is a gateway good for?");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByTestId("served").waitFor();
}

export const SCENES: Scene[] = [
  { name: "sign-in", path: "/login", open: true },
  {
    name: "sign-in-wrong",
    path: "/login",
    open: true,
    act: async (page) => {
      await page.getByLabel("Password", { exact: true }).fill("not this one, surely");
      await page.keyboard.press("Enter");
      await page.getByText("This password is wrong.").waitFor();
    },
  },
  { name: "overview-first", path: "/", early: (page) => answered(page, "**/requests?limit=1", { rows: [], next: null }) },
  { name: "overview", path: "/", before: busy },
  { name: "overview-phone", path: "/", viewport: PHONE, before: busy },
  { name: "overview-loading", path: "/", early: (page) => held(page, "**/api/v1/overview") },
  { name: "overview-error", path: "/", early: (page) => answered(page, "**/api/v1/overview", { error: "the store can't be read", fields: [] }, 400) },
  { name: "logs", path: "/logs", before: busy },
  { name: "logs-phone", path: "/logs", viewport: PHONE, before: busy },
  {
    name: "logs-request",
    path: "/logs",
    before: busy,
    act: async (page) => {
      await page.locator(".row-line").nth(1).click();
      await page.getByTestId("waterfall").waitFor();
    },
  },
  { name: "logs-live", path: "/logs?live=true", before: busy },
  { name: "logs-empty", path: "/logs?id=01AAAAAA" },
  { name: "logs-loading", path: "/logs", early: (page) => held(page, "**/api/v1/requests?*") },
  { name: "logs-error", path: "/logs?status=nonsense" },
  { name: "accounts", path: "/accounts", before: busy },
  { name: "accounts-phone", path: "/accounts", viewport: PHONE },
  { name: "accounts-quota", path: "/accounts?quota=alice", act: async (page) => page.getByText("Up to date").waitFor() },
  { name: "accounts-batch", path: "/accounts?add=batch" },
  { name: "accounts-oauth", path: "/accounts?add=oauth", act: async (page) => page.getByRole("link", { name: "Open the consent page" }).waitFor() },
  { name: "accounts-one", path: "/accounts/alice", before: busy },
  { name: "accounts-empty", path: "/accounts", early: (page) => answered(page, "**/api/v1/accounts?*", { accounts: [], total: 0, matched: 0, states: {}, upstreams: [], tags: [], tiers: [] }) },
  { name: "accounts-loading", path: "/accounts", early: (page) => held(page, "**/api/v1/accounts?*") },
  { name: "accounts-error", path: "/accounts", early: (page) => answered(page, "**/api/v1/accounts?*", { error: "the gateway is stopping", fields: [] }, 400) },
  { name: "keys", path: "/keys", before: busy, act: async (page) => page.getByRole("row").nth(1).waitFor() },
  { name: "keys-phone", path: "/keys", viewport: PHONE, before: busy },
  {
    name: "keys-new",
    path: "/keys",
    act: async (page) => {
      await page.getByRole("button", { name: "Create a key" }).first().click();
      await page.getByRole("dialog").waitFor();
    },
  },
  { name: "keys-empty", path: "/keys", early: (page) => answered(page, "**/api/v1/keys*", { keys: [], groups: [] }) },
  { name: "keys-loading", path: "/keys", early: (page) => held(page, "**/api/v1/keys*") },
  { name: "keys-error", path: "/keys", early: (page) => answered(page, "**/api/v1/keys*", { error: "the store can't be read", fields: [] }, 400) },
  { name: "models", path: "/models", before: busy, act: async (page) => page.getByRole("row").nth(1).waitFor() },
  { name: "models-phone", path: "/models", viewport: PHONE, before: busy },
  { name: "models-empty", path: "/models", early: (page) => answered(page, "**/api/v1/models*", { models: [], default_model: null, strategies: [] }) },
  { name: "models-loading", path: "/models", early: (page) => held(page, "**/api/v1/models*") },
  { name: "models-error", path: "/models", early: (page) => answered(page, "**/api/v1/models*", { error: "the store can't be read", fields: [] }, 400) },
  {
    name: "playground",
    path: "/playground",
    act: async (page) => {
      await page.getByLabel("Message").fill("Say good morning.");
      await page.getByRole("button", { name: "Send" }).click();
      await page.getByText("Say good morning.").nth(1).waitFor();
    },
  },
  { name: "playground-phone", path: "/playground", viewport: PHONE },
  { name: "playground-loading", path: "/playground", early: (page) => held(page, "**/api/v1/keys*") },
  { name: "playground-error", path: "/playground", early: (page) => answered(page, "**/api/v1/keys*", { error: "the store can't be read", fields: [] }, 400) },
  {
    name: "config",
    path: "/config",
    act: async (page) => {
      await page.locator("[data-setting='routing.strategy']").getByRole("radio", { name: "round_robin" }).click();
      await page.evaluate(() => scrollTo(0, 0));
    },
  },
  {
    name: "config-preview",
    path: "/config",
    act: async (page) => {
      await page.locator("[data-setting='routing.strategy']").getByRole("radio", { name: "round_robin" }).click();
      await page.getByRole("button", { name: "Preview changes" }).click();
      await page.getByRole("dialog").getByText("round_robin").waitFor();
    },
  },
  { name: "config-phone", path: "/config", viewport: PHONE, act: async (page) => page.locator("[data-setting]").first().waitFor() },
  { name: "config-files", path: "/config?tab=files", act: async (page) => page.getByRole("region", { name: "agp.toml" }).waitFor() },
  { name: "config-history", path: "/config?tab=history", act: async (page) => page.getByRole("row").nth(1).waitFor() },
  { name: "config-upstreams", path: "/config?tab=upstreams", act: async (page) => page.getByRole("region", { name: "sim" }).waitFor() },
  { name: "config-addresses", path: "/config?tab=addresses", act: async (page) => page.getByText("/v1/messages").first().waitFor() },
  { name: "config-loading", path: "/config", early: async (page) => { await page.route("**/admin/api/v1/config/settings*", () => {}); }, act: async (page) => page.getByText("Loading…").first().waitFor({ state: "attached" }) },
  {
    name: "config-error",
    path: "/config",
    early: async (page) => {
      await page.route("**/admin/api/v1/config/settings*", (route) => route.fulfill({ status: 400, json: { error: "the gateway is stopping", fields: [] } }));
    },
    act: async (page) => page.getByRole("alert").waitFor(),
  },
  { name: "config-empty", path: "/config?q=nothing+is+called+so", act: async (page) => page.getByText("No setting fits").waitFor() },
  { name: "keys-groups", path: "/keys?tab=groups" },
  { name: "keys-key", path: "/keys?key=tests", before: busy, act: async (page) => page.getByRole("dialog").getByRole("tab").first().waitFor() },
  {
    name: "keys-stale",
    path: "/keys",
    act: async (page) => {
      await page.locator(".row-line").first().waitFor();
      await answered(page, KEYS, { error: "the gateway is stopping", fields: [] }, 503);
      await page.getByRole("button", { name: "Refresh" }).click();
      await page.getByText(/may be out of date/).first().waitFor();
    },
  },
  { name: "models-model", path: "/models?model=gemini-2.5-flash", act: async (page) => page.getByRole("dialog").getByRole("tab").first().waitFor() },
  { name: "models-settings", path: "/models?model=gemini-2.5-flash&view=settings", act: async (page) => page.getByRole("dialog").getByRole("group", { name: "Route" }).waitFor() },
  { name: "models-pick", path: "/models?model=gemini-2.5-flash&view=pick", act: async (page) => page.getByRole("dialog").getByText(/draws, strategy/).waitFor() },
  { name: "models-offers", path: "/models?tab=offers", act: async (page) => page.locator(".row-line").first().waitFor() },
  { name: "playground-answer", path: "/playground?key=tests&model=gemini-2.5-flash", act: played },
];
