import base from "./playwright.config";

// `make screenshots`: pictures of the scenes in tests/scenes.ts for docs/img/panel. A scene that waits in vain says so soon.
export default { ...base, testMatch: "**/screenshots.ts", fullyParallel: true, timeout: 20_000, retries: 1 };
