import config from "./playwright.config";

export default { ...config, testMatch: "large.ts", workers: 1, timeout: 120_000 };
