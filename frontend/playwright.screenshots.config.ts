import base from "./playwright.config";

// `make screenshots`: pictures of the scenes in tests/scenes.ts for docs/img/panel.
export default { ...base, testMatch: "**/screenshots.ts", workers: 1, timeout: 120_000 };
