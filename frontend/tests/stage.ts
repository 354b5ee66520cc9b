// Brings a scene of scenes.ts onto a page, for the pictures and for axe. One gateway serves all scenes of a worker, so none of them
// may change it: what a scene needs to be otherwise is put into the answers that its page gets.
import type { BrowserContext, Locator, Page } from "@playwright/test";

import { test as base, PASSWORD } from "./fixture";
import { type Gateway, type Setup, until } from "./gateway";

export interface Scene {
  name: string;
  /** What is opened; `{request}` stands for the request that failed over. */
  path: string;
  /** Before anybody is signed in. */
  open?: boolean;
  viewport?: { width: number; height: number };
  /** What the page's questions are answered with, before it opens. */
  early?: (page: Page) => Promise<unknown>;
  /** What is done in the page. */
  act?: (page: Page) => Promise<unknown>;
  /** What the scene is about: it is waited for. */
  shows: (page: Page) => Locator;
  /** Something is asked for ever, so nobody waits until all is there. */
  waits?: boolean;
}

function account(name: string, more = ""): string {
  return `[accounts.${name}]\nupstream = "sim"\nemail = "${name}@example.com"\nrefresh_token = "sim-refresh-${name}"\n${more}`;
}

/** Something of everything: accounts of each state, a group and its keys, requests that failed over, failed, and went well. */
export const SETUP: Setup = {
  accounts: [],
  state: 'log_bodies = "all"',
  extra: [
    account("alice", 'tags = ["team-a"]\n'),
    account("bob", "weight = 2\n"),
    account("carol"),
    account("dave"),
    account("frank", "enabled = false\n"),
    '[keys.laptop]\nname = "Laptop of Åsa"\nkey = "sk-browser-tests-laptop-0123456789abcdef"\ngroup = "team"\nmodels = ["gemini-*"]\nrpm = 50\n',
    '[keys.off]\nname = "Switched off"\nkey = "sk-browser-tests-off-0123456789abcdef"\nenabled = false\n',
    '[keys.old]\nkey = "sk-browser-tests-old-0123456789abcdef"\nexpires = 2020-01-01\n',
    "[groups.team]\ntokens_per_day = 100000\n",
  ].join(""),
  script: {
    rules: [
      { account: "carol@example.com", model: "claude-*", do: { status: 429, form: "retry_info", delay: "600s" } },
      { model: "gemini-3-pro-low", do: { status: 400, message: "this request is odd" } },
      { model: "gemini-3-flash", times: 1, do: { status: 503, form: "capacity" } },
    ],
    accounts: {
      "alice@example.com": {
        paid_tier: "g1-pro-tier",
        quota: { "gemini-*": { remaining: 0.4, reset: "3h" }, "claude-*": { remaining: 0.07, reset: "40m" } },
      },
      "bob@example.com": { quota: { "claude-*": 0 } },
      "dave@example.com": { revoked: true },
    },
  },
};

/** What is the same for all scenes of a worker. */
interface Ready {
  cookies: Parameters<BrowserContext["addCookies"]>[0];
  /** The request that failed over. */
  request: string;
}

/** A signed-in administrator, without a browser. */
async function admin(gateway: Gateway) {
  const url = `${gateway.url}/admin/api/v1`;
  const login = await fetch(`${url}/login`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ password: PASSWORD, remember: false }),
  });
  const cookie = (login.headers.getSetCookie()[0] ?? "").split(";")[0] ?? "";
  const { session } = (await login.json()) as { session: { csrf: string } };
  const headers = { Cookie: cookie, "X-AGP-CSRF": session.csrf, "Content-Type": "application/json" };
  return {
    cookie,
    ask: async <T>(path: string, body?: object) =>
      (await (await fetch(`${url}${path}`, { headers, ...(body ? { method: "POST", body: JSON.stringify(body) } : {}) })).json()) as T,
  };
}

async function prepare(gateway: Gateway): Promise<Ready> {
  const { cookie, ask } = await admin(gateway);
  const models = ["gemini-2.5-flash", "gemini-3-pro-high", "claude-sonnet-4-5", "gemini-2.5-flash", "gemini-3-pro-low", "gemini-2.5-flash", "gemini-2.5-pro"];
  for (const model of models) await (await gateway.chat({ model })).text();
  await (await gateway.chat({ messages: [] })).text();
  const last = await gateway.chat({ model: "gemini-3-flash" });
  await last.text();
  // A row is there once it is committed, a moment after the answer.
  await until(async () => (await ask<{ rows: unknown[] }>("/requests?limit=20")).rows.length === models.length + 2, "the log has all requests");
  await ask("/pool/refresh", { names: null });
  await until(async () => (await ask<{ jobs: { ended: string | null }[] }>("/jobs")).jobs.every(({ ended }) => ended !== null), "all accounts are refreshed");
  // A generation to go back to.
  await gateway.edit((text) => `${text}\n[groups.guests]\nrpm = 30\n`);
  await until(async () => (await ask<{ running: number }>("/history?limit=2")).running > 1, "the edit is in force");
  const [name = "", value = ""] = cookie.split("=");
  return { cookies: [{ name, value, url: gateway.url }], request: last.headers.get("x-request-id") ?? "" };
}

/** `test` with a gateway that has something to show; `stage(scene)` opens a scene in the light theme. */
export const test = base.extend<{ stage: (scene: Scene) => Promise<void> }, { ready: Ready }>({
  setup: [SETUP, { scope: "worker" }],
  ready: [async ({ gateway }, use) => use(await prepare(gateway)), { scope: "worker", timeout: 60_000 }],
  stage: async ({ page, context, ready, guard }, use) => {
    // Answers that were made to fail are told to the console.
    guard.allow(/Failed to load resource/);
    page.setDefaultTimeout(15_000);
    await use(async (scene) => {
      await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
      if (scene.viewport) await page.setViewportSize(scene.viewport);
      if (!scene.open) await context.addCookies(ready.cookies);
      await scene.early?.(page);
      await page.goto(scene.path.replace("{request}", ready.request));
      await scene.act?.(page);
      await scene.shows(page).first().waitFor();
      if (!scene.waits) await base.expect(page.locator(".state > .loading, .state[aria-busy=true]")).toHaveCount(0, { timeout: 10_000 });
      await page.evaluate(() => document.fonts.ready);
    });
  },
});

/** An answer that does not come. */
export async function held(page: Page, path: RegExp): Promise<void> {
  await page.route(path, () => new Promise(() => undefined));
}

export async function answered(page: Page, path: RegExp, json: unknown, status = 200): Promise<void> {
  await page.route(path, (route) => route.fulfill({ status, json }));
}

/** A refusal that is not asked again for. */
export const refused = (page: Page, path: RegExp): Promise<void> => answered(page, path, { error: "the store can't be read", fields: [] }, 400);

/** Of some answers, what scenes change. */
interface Answer {
  attention: unknown[];
  groups: unknown[];
  models: unknown[];
  today: { requests: number };
  yesterday: { requests: number };
  series: { requests: number }[];
  settings: { path: string[] }[];
  write_back: boolean;
  errors: string[];
  differs: string;
  drift: string;
}

/** The true answer, with some of it replaced. */
export async function changed(page: Page, path: RegExp, change: (answer: Answer) => Partial<Answer>): Promise<void> {
  await page.route(path, async (route) => {
    const response = await route.fetch();
    const answer = (await response.json()) as Answer;
    await route.fulfill({ response, json: { ...answer, ...change(answer) } });
  });
}
