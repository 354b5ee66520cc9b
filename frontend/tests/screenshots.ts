// Both themes of a scene on one page: whatever is behind it is done once.
import { fileURLToPath } from "node:url";

import { dress } from "./fixture";
import { SCENES } from "./scenes";
import { test } from "./stage";

const FOLDER = fileURLToPath(new URL("../../docs/img/panel/", import.meta.url));

for (const scene of SCENES) {
  test(scene.name, async ({ page, stage }) => {
    await stage(scene);
    for (const theme of ["light", "dark"] as const) {
      await dress(page, theme);
      await page.screenshot({ path: `${FOLDER}${scene.name}-${theme}.png`, caret: "hide", animations: "disabled" });
    }
  });
}
