// The panel's forms, for forms.spec.ts: how each is opened and filled, and where the gateway's refusals of it belong.
import type { Locator, Page } from "@playwright/test";

export interface Form {
  name: string;
  path: string;
  /** What it takes beside the path until the form is there. */
  open?: (page: Page) => Promise<void>;
  scope?: (page: Page) => Locator;
  /** The button that sends it; none where it is sent while it is filled. */
  send?: string;
  /** Good values, by label. */
  typed?: Record<string, string>;
  /** Bad values, each with what the gateway says at the field; `at` where that is another field. */
  wrong?: Record<string, RegExp>[];
  values?: Record<string, string>;
  /** Refusals that the form would not provoke: what the gateway may name, and the field where that is shown. */
  named?: Record<string, string>;
  url?: string | RegExp;
}

/** More than the file's numbers can be, and within what the body may hold: refused by its place among the changes. */
const HUGE = "10000000000000000000";
const LONG = "x".repeat(129);

export const dialog = (page: Page): Locator => page.getByRole("dialog").last();
const main = (page: Page): Locator => page.locator("main");
const EDIT = "**/admin/api/v1/config/edit*";
const LIMITS = { rpm: "Requests per minute", tokens_per_minute: "Tokens per minute", tokens_per_day: "Tokens per day", max_concurrent: "Requests at a time" };
const below = (table: string, fields: Record<string, string>) => Object.fromEntries(Object.entries(fields).map(([key, label]) => [`${table}.${key}`, label]));
const MODEL = {
  route: "A new step",
  display_name: "Display name",
  strategy: "Strategy",
  "aliases[0]": "Aliases",
  thinking: "Thinking",
  family: "Family",
  context: "Context",
  max_output: "Most output",
  "price.input": "Input",
  "price.output": "Output",
  "price.cached_input": "Input from the cache",
};

async function addStep(page: Page, step: string): Promise<void> {
  await dialog(page).getByRole("combobox", { name: "A new step" }).fill(step);
  await page.keyboard.press("Tab");
  await dialog(page).getByRole("button", { name: "Add", exact: true }).click();
}

async function menu(page: Page, name: string, item: string): Promise<void> {
  await page.getByRole("button", { name: `Actions for ${name}`, exact: true }).click();
  await page.getByRole("menuitem", { name: item, exact: true }).click();
}

/** A sign-in that the provider has answered. */
async function consented(page: Page): Promise<void> {
  const { csrf } = (await (await page.request.get("/admin/api/v1/session")).json()) as { csrf: string };
  const post = async (path: string, data: unknown) => (await (await page.request.post(`/admin/api/v1${path}`, { data, headers: { "X-AGP-CSRF": csrf } })).json()) as { url: string; state: string };
  const { url, state } = await post("/oauth", { origin: new URL(page.url()).origin, upstream: "sim" });
  const back = await page.request.get(`${url}&sim_account=zed@example.com`, { maxRedirects: 0 });
  await post("/oauth/paste", { address: back.headers()["location"] });
  await page.goto(`/oauth/${state}`);
}

export const FORMS: Form[] = [
  {
    name: "signing in",
    path: "/login",
    scope: main,
    send: "Sign in",
    values: { Password: "x".repeat(1025) },
    wrong: [{ Password: /longer than 1024 bytes/ }],
    named: { password: "Password" },
    url: "**/admin/api/v1/login",
    typed: { Password: "something" },
  },
  {
    name: "an account by hand",
    path: "/accounts?add=hand",
    send: "Continue",
    typed: { "E-mail": "heidi@example.com", "Refresh token": "sim-refresh-heidi", Name: "heidi", Weight: "2" },
    values: { "E-mail": "no address", "Refresh token": "two words", Name: "tag:x", Weight: "-1", Tags: LONG, Project: LONG },
    wrong: [
      { "E-mail": /expected an e-mail address/, "Refresh token": /white space/, Name: /can't be named so/, Weight: /0 or more/, Tags: /longer than 128/, Project: /a project's id/ },
    ],
    named: { upstream: "Upstream", name: "Name", email: "E-mail", refresh_token: "Refresh token", project: "Project", weight: "Weight", "tags[1]": "Tags" },
    url: "**/admin/api/v1/accounts?*",
  },
  {
    name: "several accounts",
    path: "/accounts?add=batch",
    send: "Check",
    typed: { "Accounts as JSON or CSV": "email,refresh_token\nheidi@example.com,sim-refresh-heidi" },
    values: { "Accounts as JSON or CSV": '[{"email": "only"' },
    wrong: [{ "Accounts as JSON or CSV": /\S/ }],
    named: { upstream: "Upstream", text: "Accounts as JSON or CSV" },
    url: "**/admin/api/v1/pool/import*",
  },
  {
    name: "an account's settings",
    path: "/accounts/bob?edit=true",
    scope: main,
    send: "Check the change",
    typed: { Weight: "3", Tags: "team-a" },
    values: { Weight: "-3", "Tier in the file": HUGE },
    wrong: [{ "Tier in the file": /up to 9223372036854775807/ }, { Weight: /0 or more/ }],
    named: below("accounts.bob", {
      enabled: "Enabled",
      email: "E-mail",
      weight: "Weight",
      tier: "Tier in the file",
      max_concurrent: "Calls at once",
      project: "Project",
      "models[0]": "Models",
      "tags[0]": "Tags",
      credits: "Go on past the quota",
    }),
    url: EDIT,
  },
  {
    name: "an OAuth client",
    path: "/accounts",
    open: async (page) => {
      await page.route("**/admin/api/v1/oauth", (route) => route.fulfill({ status: 409, json: { error: "no upstream has an OAuth client", fields: [] } }));
      await page.goto("/accounts?add=oauth");
    },
    send: "Continue",
    typed: { "Client ID": "my-client", "Client secret": "my-secret" },
    values: { "Client ID": "agp1:sealed", "Client secret": "agp1:sealed" },
    wrong: [{ "Client ID": /sealed already/, "Client secret": /sealed already/ }],
    named: below("upstreams.sim.oauth", { client_id: "Client ID", client_secret: "Client secret" }),
    url: EDIT,
  },
  {
    name: "the upstream of a sign-in",
    path: "/accounts?add=oauth",
    send: "Continue",
    typed: { Upstream: "spare" },
    named: { upstream: "Upstream" },
    url: "**/admin/api/v1/oauth",
  },
  {
    name: "a pasted address",
    path: "/accounts?add=oauth",
    open: async (page) => {
      await dialog(page).getByLabel("Upstream").selectOption("sim");
      await dialog(page).getByRole("button", { name: "Continue" }).click();
    },
    send: "Take the address",
    values: { "Address of that window": "http://localhost/oauth-callback?nothing=1" },
    wrong: [{ "Address of that window": /\S/ }],
    typed: { "Address of that window": "http://localhost/oauth-callback?state=x&code=y" },
    named: { address: "Address of that window" },
    url: "**/admin/api/v1/oauth/paste",
  },
  {
    name: "a sign-in's account",
    path: "/accounts",
    open: consented,
    scope: main,
    send: "Add account",
    values: { Name: "alice", Tags: LONG },
    wrong: [{ Tags: /longer than 128/ }],
    typed: { Name: "zed" },
    named: { name: "Name", "tags[0]": "Tags" },
    url: /\/oauth\/[^/]+\/confirm/,
  },
  {
    name: "a new key",
    path: "/keys?new=true",
    send: "Create",
    typed: { Name: "Laptop", Models: "gemini-*", "Requests per minute": "5", Expires: "2030-01-01" },
    values: { "Requests per minute": "0", "Name in agp.toml": "tests", Accounts: "tag:" },
    wrong: [{ "Requests per minute": /\S/ }, { "Name in agp.toml": /already/ }],
    named: {
      label: "Name",
      name: "Name in agp.toml",
      group: "Group",
      "models[0]": "Models",
      "accounts[1]": "Accounts",
      expires: "Expires",
      ...below("limits", { ...LIMITS, "budget.usd": "Budget in US dollars", "budget.per": "Budget per" }),
    },
    url: "**/admin/api/v1/keys*",
  },
  {
    name: "a key's drawer",
    path: "/keys?key=narrow",
    open: (page) => dialog(page).getByRole("tab", { name: "Settings" }).click(),
    send: "Review change",
    typed: { "Requests per minute": "5", Models: "gemini-*" },
    values: { "Requests per minute": "0", "Tokens per day": HUGE },
    wrong: [{ "Tokens per day": /up to 9223372036854775807/ }, { "Requests per minute": /\S/ }],
    named: below("keys.narrow", {
      name: "Name",
      group: "Group",
      "models[0]": "Models",
      "accounts[0]": "Accounts",
      expires: "Expires",
      ...LIMITS,
      budget: "Budget in US dollars",
      "budget.per": "Budget per",
    }),
    url: EDIT,
  },
  {
    name: "a new group",
    path: "/keys?tab=groups",
    open: (page) => page.getByRole("button", { name: "Create a group" }).click(),
    send: "Review change",
    typed: { Name: "guests", "Requests per minute": "5" },
    values: { Name: "team", "Requests per minute": HUGE },
    wrong: [{ "Requests per minute": /up to 9223372036854775807/ }, { Name: /already/ }],
    named: { "changes[0].name": "Name", ...below("changes[0].values", { ...LIMITS, "budget.usd": "Budget in US dollars", "budget.per": "Budget per" }) },
    url: EDIT,
  },
  {
    name: "a group's limits",
    path: "/keys?tab=groups",
    open: (page) => page.getByRole("button", { name: "Edit the group team" }).click(),
    send: "Review change",
    typed: { "Requests per minute": "5" },
    values: { "Requests per minute": "0" },
    wrong: [{ "Requests per minute": /\S/ }],
    named: below("groups.team", { ...LIMITS, "budget.usd": "Budget in US dollars", "budget.per": "Budget per" }),
    url: EDIT,
  },
  {
    name: "a key's new name",
    path: "/keys",
    open: (page) => menu(page, "narrow", "Rename"),
    send: "Review change",
    values: { "New name in agp.toml": "tests" },
    wrong: [{ "New name in agp.toml": /already/ }],
    typed: { "New name in agp.toml": "wide" },
    named: { "changes[0].to": "New name in agp.toml" },
    url: EDIT,
  },
  {
    name: "a model's new name",
    path: "/models",
    open: (page) => menu(page, "fast", "Rename"),
    send: "Review change",
    values: { "New name in agp.toml": "claude" },
    wrong: [{ "New name in agp.toml": /already/ }],
    typed: { "New name in agp.toml": "faster" },
    named: { "models.faster": "New name in agp.toml" },
    url: EDIT,
  },
  {
    name: "a new model",
    path: "/models",
    open: async (page) => {
      await page.getByRole("button", { name: "Add a model" }).click();
      await addStep(page, "sim/gemini-2.5-pro");
    },
    send: "Review change",
    typed: { Name: "pro", Aliases: "best", Thinking: "off", "Most output": "100" },
    values: { Name: "fast", Input: "-1", Context: HUGE },
    wrong: [{ Context: /up to 9223372036854775807/ }, { Name: /already/ }, { Input: /\S/ }],
    named: { "changes[0].name": "Name", ...below("models.pro", MODEL) },
    url: EDIT,
  },
  {
    name: "a model of an upstream's offers",
    path: "/models?tab=offers",
    open: (page) => page.getByRole("button", { name: "Add gemini-2.5-pro", exact: true }).click(),
    send: "Review change",
    values: { Name: "fast" },
    wrong: [{ Name: /already/ }],
    typed: { Name: "pro" },
    named: { "models.pro": "Name" },
    url: EDIT,
  },
  {
    name: "a model's settings",
    path: "/models?model=fast&view=settings",
    send: "Review change",
    typed: { Output: "3", Aliases: "rapid", "Tokens for thinking": "1024" },
    values: { Output: "-3", "Tokens for thinking": HUGE },
    wrong: [{ "Tokens for thinking": /up to 9223372036854775807/ }, { Output: /0 or more/ }],
    named: below("models.fast", { ...MODEL, "thinking.budget": "Tokens for thinking" }),
    url: EDIT,
  },
  {
    name: "a model's route",
    path: "/models?model=fast&view=settings",
    open: (page) => addStep(page, "nowhere/gemini-2.5-pro"),
    send: "Review change",
    wrong: [{ "A new step": /nowhere/ }],
  },
  {
    name: "the default model",
    path: "/models",
    scope: main,
    send: "Review change",
    typed: { "Default model": "claude" },
    named: { "routing.default_model": "Default model" },
    url: EDIT,
  },
  {
    name: "a new upstream",
    path: "/config?tab=upstreams",
    open: (page) => page.getByRole("button", { name: "Add an upstream" }).first().click(),
    send: "Preview changes",
    typed: { Name: "third", "upstreams.new.idle_timeout": "45s", "upstreams.new.base_urls": "http://127.0.0.1:9" },
    values: { Name: "sim", "upstreams.new.base_urls": "no address" },
    wrong: [{ Name: /already/ }],
    named: {
      "changes[0].name": "Name",
      ...Object.fromEntries(["kind", "base_urls[0]", "connect_timeout", "idle_timeout", "proxy"].map((key) => [`upstreams.third.${key}`, `upstreams.new.${key.replace("[0]", "")}`])),
      "changes[0].values.first_byte_timeout": "upstreams.new.first_byte_timeout",
    },
    url: EDIT,
  },
  {
    name: "an upstream's settings",
    path: "/config?tab=upstreams&upstream=spare",
    send: "Preview changes",
    typed: { "upstreams.spare.idle_timeout": "45s" },
    values: { "upstreams.spare.idle_timeout": "0s", "upstreams.spare.base_urls": "no address" },
    wrong: [{ "upstreams.spare.idle_timeout": /\S/ }, { "upstreams.spare.base_urls": /\S/ }],
    named: Object.fromEntries(["kind", "base_urls[0]", "connect_timeout", "idle_timeout", "proxy", "ca_file"].map((key) => [`upstreams.spare.${key}`, `upstreams.spare.${key.replace("[0]", "")}`])),
    url: EDIT,
  },
  {
    name: "settings",
    path: "/config",
    scope: main,
    send: "Preview changes",
    typed: { "routing.max_queue": "12" },
    values: { "server.public_url": "no address", "server.trusted_proxies": "nobody", "routing.max_queue": HUGE },
    wrong: [{ "routing.max_queue": /\S/ }, { "server.public_url": /expected/, "server.trusted_proxies": /\S/ }],
    named: {
      "routing.strategy": "routing.strategy",
      "changes[0].value": "routing.max_queue",
      "routing.queue_timeout": "routing.queue_timeout",
      "server.trusted_proxies[0]": "server.trusted_proxies",
      "admin.enabled": "admin.enabled",
      "admin.tokens.script.role": "admin.tokens",
    },
    url: EDIT,
  },
  {
    name: "the playground",
    path: "/playground?key=tests",
    scope: main,
    send: "Send",
    typed: { Message: "Hello" },
    values: { Message: "Hello", Temperature: "9", Model: "no-such-model" },
    wrong: [{ Model: /no-such-model/ }, { Temperature: /\S/ }],
    named: { key: "Key", dialect: "Dialect" },
    url: "**/admin/api/v1/playground",
  },
  {
    name: "a model's test",
    path: "/models?model=fast&view=test",
    send: "Send a request",
    named: { key: "With the rights of" },
    url: "**/admin/api/v1/models/fast/test",
  },
  {
    name: "the log's filters",
    path: "/logs",
    scope: main,
    values: { State: "nonsense", "Request id": "!!" },
    wrong: [{ State: /expected a status/ }, { "Request id": /expected a request id/ }],
  },
];
