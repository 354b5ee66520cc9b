// The four states of each view, as scenes. Whoever adds a view or a tab adds it here: lib.spec.ts looks for it.
import type { Locator, Page } from "@playwright/test";

import { answered, changed, held, refused, type Scene } from "./stage";

export const STATES = ["loading", "empty", "error", "stale"] as const;

interface View {
  name: string;
  /** In src/router.ts. */
  route: string;
  /** What is opened, if not the route. */
  path?: string;
  open?: boolean;
  /** The answer that is waited for, held back, and refused. */
  asks: RegExp;
  /** Stands there once it is loaded. */
  there: (page: Page) => Locator;
  /** How nothing comes to be there, and what then shows; or why this can't be. */
  empty: (Partial<Scene> & Pick<Scene, "shows">) | string;
  /** By default the connection is lost. */
  stale?: Partial<Scene>;
}

const line = (page: Page) => page.locator("main .row-line");
const heading = (name: string) => (page: Page) => page.getByRole("heading", { name, exact: true });
const KEYS = /\/api\/v1\/keys(\?|$)/;
const SETTINGS = /\/api\/v1\/config\/settings\?without/;
const NO_KEYS = { keys: [], groups: [], total: 0, matched: 0 };

/** Asked anew by its button, and refused. */
const renewed = (there: (page: Page) => Locator, asks: RegExp): Partial<Scene> => ({
  act: async (page) => {
    await there(page).first().waitFor();
    await refused(page, asks);
    await page.getByRole("button", { name: "Refresh", exact: true }).click();
  },
});

export const OVERVIEW = /\/api\/v1\/overview$/;

/** As if no request had ever come. */
export async function unused(page: Page): Promise<void> {
  await answered(page, /\/requests\?limit=1$/, { rows: [], next: null });
  await changed(page, OVERVIEW, (now) => ({
    today: { ...now.today, requests: 0 },
    yesterday: { ...now.yesterday, requests: 0 },
    series: now.series.map((point) => ({ ...point, requests: 0 })),
    models: [],
    attention: [],
  }));
}

const LOGIN = /\/api\/v1\/login$/;
const NO_PASSWORD = { password: false, remember_seconds: null, version: "0.0.0" };

export const VIEWS: View[] = [
  {
    name: "sign-in",
    route: "/login",
    open: true,
    asks: LOGIN,
    there: heading("Sign in"),
    empty: { early: (page) => answered(page, LOGIN, NO_PASSWORD), shows: heading("No password is set") },
    // Only who waits for a password to be set asks again.
    stale: {
      early: (page) => answered(page, LOGIN, NO_PASSWORD),
      act: async (page) => {
        const again = page.getByRole("button", { name: "Check again" });
        await again.waitFor();
        await refused(page, LOGIN);
        await again.click();
      },
    },
  },
  { name: "overview", route: "/", asks: OVERVIEW, there: (page) => page.getByTestId("card-requests"), empty: { early: unused, shows: (page) => page.getByTestId("first-steps") } },
  {
    name: "accounts",
    route: "/accounts",
    asks: /\/api\/v1\/accounts\?/,
    there: line,
    empty: {
      early: (page) => answered(page, /\/api\/v1\/accounts\?/, { accounts: [], total: 0, matched: 0, states: {}, upstreams: [], tags: [], tiers: [] }),
      shows: heading("No accounts yet"),
    },
  },
  {
    name: "account",
    route: "/accounts/:name",
    path: "/accounts/alice",
    asks: /\/api\/v1\/accounts\/alice$/,
    there: heading("Last 24 hours"),
    empty: { path: "/accounts/nobody", shows: heading("There is no such account") },
  },
  {
    name: "keys",
    route: "/keys",
    asks: KEYS,
    there: line,
    empty: { early: (page) => answered(page, KEYS, NO_KEYS), shows: heading("No API keys yet") },
    stale: renewed(line, KEYS),
  },
  {
    name: "groups",
    route: "/keys",
    path: "/keys?tab=groups",
    asks: KEYS,
    there: heading("team"),
    empty: { early: (page) => changed(page, KEYS, () => ({ groups: [] })), shows: heading("No groups yet") },
  },
  {
    name: "models",
    route: "/models",
    asks: /\/api\/v1\/models(\?|$)/,
    there: line,
    empty: { early: (page) => answered(page, /\/api\/v1\/models(\?|$)/, { models: [], default_model: null, strategies: [] }), shows: heading("No models yet") },
  },
  {
    name: "offers",
    route: "/models",
    path: "/models?tab=offers",
    asks: /\/api\/v1\/offers$/,
    there: line,
    empty: { early: (page) => answered(page, /\/api\/v1\/offers$/, { upstreams: [] }), shows: (page) => page.getByRole("tabpanel").getByRole("heading") },
  },
  {
    name: "logs",
    route: "/logs/:id?",
    path: "/logs",
    asks: /\/api\/v1\/requests\?/,
    there: line,
    empty: { early: (page) => answered(page, /\/api\/v1\/requests\?/, { rows: [], next: null }), shows: heading("No requests yet") },
    stale: renewed(line, /\/api\/v1\/requests\?/),
  },
  {
    name: "request",
    route: "/logs/:id?",
    path: "/logs/{request}",
    asks: /\/api\/v1\/requests\/\w+$/,
    there: (page) => page.getByTestId("waterfall"),
    empty: "a request that is not in the log is an error",
  },
  {
    name: "playground",
    route: "/playground",
    asks: KEYS,
    there: (page) => page.getByRole("textbox", { name: "Message" }),
    empty: { early: (page) => answered(page, KEYS, NO_KEYS), shows: heading("No key opens") },
  },
  {
    name: "config-settings",
    route: "/config",
    asks: SETTINGS,
    there: (page) => page.locator("[data-setting]"),
    empty: { path: "/config?q=nothing+is+called+so", shows: heading("No setting fits") },
  },
  {
    name: "config-files",
    route: "/config",
    path: "/config?tab=files",
    asks: /\/api\/v1\/config$/,
    there: (page) => page.getByRole("region", { name: "agp.toml" }),
    empty: "the gateway does not start without a file",
  },
  {
    name: "config-history",
    route: "/config",
    path: "/config?tab=history",
    asks: /\/api\/v1\/history\?/,
    there: line,
    empty: { early: (page) => answered(page, /\/api\/v1\/history\?/, { running: 1, generations: [] }), shows: (page) => page.locator("main .state > .center") },
  },
  {
    name: "config-upstreams",
    route: "/config",
    path: "/config?tab=upstreams",
    asks: SETTINGS,
    there: (page) => page.getByRole("region", { name: "sim" }),
    empty: {
      early: (page) => changed(page, SETTINGS, ({ settings }) => ({ settings: settings.filter(({ path }) => path[0] !== "upstreams") })),
      shows: (page) => page.locator("main .state > .center"),
    },
  },
  {
    name: "config-addresses",
    route: "/config",
    path: "/config?tab=addresses",
    asks: OVERVIEW,
    there: (page) => page.getByTestId("address-base"),
    empty: "the page was reached by one of them",
  },
  {
    name: "oauth",
    route: "/oauth/:state",
    path: "/oauth/a-sign-in",
    asks: /\/api\/v1\/oauth\/a-sign-in$/,
    there: (page) => page.getByTestId("oauth-email"),
    empty: { path: "/oauth/nothing", shows: heading("Nothing to confirm") },
    stale: { early: found },
  },
];

/** Routes that ask for nothing, and have no states therefore. */
export const STILL = ["/oauth-callback", "/:path(.*)*"];

/** What the provider's window ends with. */
export async function found(page: Page): Promise<void> {
  await answered(page, /\/api\/v1\/oauth\/a-sign-in$/, {
    state: "a-sign-in",
    upstream: "sim",
    step: "found",
    email: "kim@example.com",
    account: null,
    name: "kim",
    error: null,
    expires: new Date(Date.now() + 600_000).toISOString(),
  });
}

function states(view: View): Scene[] {
  const { name, route, path = route, open = false, asks, there, empty, stale } = view;
  const scene = { path, open };
  return [
    { ...scene, name: `${name}-loading`, early: (page) => held(page, asks), shows: (page) => page.locator("main .state > .loading, .panel .state > .loading"), waits: true },
    ...(typeof empty === "string" ? [] : [{ ...scene, name: `${name}-empty`, ...empty }]),
    { ...scene, name: `${name}-error`, early: (page) => refused(page, asks), shows: (page) => page.getByRole("alert").filter({ hasText: "This could not be loaded" }) },
    {
      ...scene,
      name: `${name}-stale`,
      act: (page) => there(page).first().waitFor(),
      shows: (page) => page.getByRole("status").filter({ hasText: /may be out of date/ }).filter({ has: page.getByRole("button", { name: "Try again" }) }),
      ...stale,
      early: async (page) => {
        if (!stale?.act) await page.route(/\/api\/v1\/events(\?|$)/, (events) => events.abort());
        await stale?.early?.(page);
      },
    },
  ];
}

export const STATE_SCENES: Scene[] = VIEWS.flatMap(states);
