// `test` with a gateway for each worker, and a page that may not do what the panel must never do: write an error to the
// console, break the page's policy, or ask another origin.
import { test as base, expect, type Locator, type Page } from "@playwright/test";
import axeCore from "axe-core";

import { type Gateway, PASSWORD, type Setup, startGateway } from "./gateway";

export { expect, PASSWORD };

interface Guard {
  /** Lets messages pass that a test provokes. */
  allow: (pattern: RegExp) => void;
}

/**
 * A file that needs another gateway says so at its top: `test.use({ setup: { password: false } })`. A test that changes more
 * than others bear starts one for itself by `startGateway`.
 */
export const test = base.extend<{ guard: Guard }, { setup: Setup; gateway: Gateway }>({
  setup: [{}, { option: true, scope: "worker" }],
  gateway: [
    async ({ setup }, use) => {
      const gateway = await startGateway(setup);
      await use(gateway);
      await gateway.stop();
    },
    { scope: "worker" },
  ],
  baseURL: async ({ gateway }, use) => use(gateway.url),
  guard: [
    async ({ page, baseURL }, use) => {
      const faults: string[] = [];
      const allowed: RegExp[] = [];
      await page.addInitScript(() => {
        document.addEventListener("securitypolicyviolation", (event) => {
          console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
        });
      });
      page.on("console", (message) => {
        // Refusals of the API are answers, which tests look at by themselves.
        const answer = message.text().startsWith("Failed to load resource") && message.location().url.includes("/admin/api/");
        if (message.type() === "error" && !answer) faults.push(`console: ${message.text()}`);
        if (message.type() === "warning" && /vue|intlify/i.test(message.text())) faults.push(`console: ${message.text()}`);
      });
      page.on("pageerror", (error) => faults.push(`error: ${error.stack ?? error.message}`));
      page.on("request", (request) => {
        const url = request.url();
        if (baseURL !== undefined && !url.startsWith(baseURL) && !/^(data|blob|about):/.test(url)) faults.push(`request: ${url}`);
      });
      await use({ allow: (pattern) => allowed.push(pattern) });
      // A question that the page still asks when its test ends has nobody to answer it.
      await page.unrouteAll({ behavior: "ignoreErrors" });
      expect(faults.filter((fault) => !allowed.some((pattern) => pattern.test(fault)))).toEqual([]);
    },
    { auto: true },
  ],
});

/** Signs in without the form, and opens a view: a path, or an address of another gateway. */
export async function signIn(page: Page, path = "/"): Promise<void> {
  const origin = path.startsWith("http") ? new URL(path).origin : "";
  const answer = await page.request.post(`${origin}/admin/api/v1/login`, { data: { password: PASSWORD, remember: false } });
  expect(answer.status(), await answer.text()).toBe(200);
  await page.goto(path);
  await expect(page.locator("main h1")).toBeVisible();
}

/** Once colours and charts have followed; nothing is half faded in then. */
export async function dress(page: Page, theme: "light" | "dark"): Promise<void> {
  await page.emulateMedia({ reducedMotion: "reduce", colorScheme: theme });
  await expect(page.locator("html")).toHaveClass(theme);
  await page.evaluate(async () => {
    const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    await drawn();
    for (const change of document.getAnimations()) if (change instanceof CSSTransition) change.finish();
    await drawn();
  });
}

/**
 * No serious or critical fault for people who use a screen reader or a keyboard, in either theme. `within` is a selector: what is
 * outside of it is not judged. For axe.spec.ts, and for what no scene of scenes.ts shows.
 */
export async function axe(page: Page, within = "html"): Promise<void> {
  // Its script is put there once for both themes, by the debugger: the page's policy lets no script of others in.
  await page.evaluate(`window.axe ?? (() => { ${axeCore.source} })()`);
  for (const theme of ["dark", "light"] as const) {
    await dress(page, theme);
    const grave = await page.evaluate(async (selector) => {
      const { violations } = await (window as unknown as { axe: typeof axeCore }).axe.run(selector, { resultTypes: ["violations"] });
      return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary ?? ""}`).join("; ")}`);
    }, within);
    expect(grave, theme).toEqual([]);
  }
}

/** The page is not wider than the window, once charts have followed it. */
export async function fits(page: Page): Promise<void> {
  const wide = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  await expect.poll(wide).toBeLessThanOrEqual(0);
}

/** The message at the page's corner. Its text stands in the page twice for a second: what is read out is a copy. */
export function toast(page: Page, text: string | RegExp): Locator {
  return page.locator(".toast").filter({ hasText: text }).last();
}

export const PHONE = { width: 390, height: 844 };
