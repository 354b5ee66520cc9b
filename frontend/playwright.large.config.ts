import config from "./playwright.config";

// `npm run large`: tells how fluid the panel is on a large state. Nothing is tried again: each run is a figure.
export default { ...config, testMatch: "large.ts", workers: 1, retries: 0, timeout: 120_000 };
