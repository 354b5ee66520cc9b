import { defineConfig } from "@playwright/test";

const root = process.getuid?.() === 0;

export default defineConfig({
  testDir: "tests",
  testMatch: "**/*.spec.ts",
  // Each worker has a gateway and a browser; two cores carry two of them.
  workers: process.env["AGP_WORKERS"] ? Number(process.env["AGP_WORKERS"]) : 2,
  timeout: 90_000,
  // A machine that is busy with something else may be too slow once; the list tells of it as flaky.
  retries: 2,
  expect: { timeout: 10_000 },
  forbidOnly: Boolean(process.env["CI"]),
  reporter: [["list"]],
  use: {
    browserName: "chromium",
    // Debian's, so that nothing is downloaded. Its sandbox doesn't start as root.
    launchOptions: { executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: root ? ["--no-sandbox"] : [] },
    locale: "en-US",
    timezoneId: "UTC",
    colorScheme: "light",
    viewport: { width: 1280, height: 800 },
    // A trace slows a test by a third; `npm test -- --trace retain-on-failure` makes one.
    screenshot: "only-on-failure",
  },
});
