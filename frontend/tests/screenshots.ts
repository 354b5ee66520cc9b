import { fileURLToPath } from "node:url";

import { signIn, test } from "./fixture";
import { SCENES } from "./scenes";

const FOLDER = fileURLToPath(new URL("../../docs/img/panel/", import.meta.url));

for (const scene of SCENES) {
  for (const theme of ["light", "dark"] as const) {
    test(`${scene.name} ${theme}`, async ({ page, gateway, guard }) => {
      guard.allow(/./);
      await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
      if (scene.viewport) await page.setViewportSize(scene.viewport);
      await scene.before?.(gateway);
      await scene.early?.(page);
      if (scene.open) await page.goto(scene.path);
      else await signIn(page, scene.path);
      await page.waitForLoadState("load");
      await scene.act?.(page);
      await page.evaluate(() => document.fonts.ready);
      await page.screenshot({ path: `${FOLDER}${scene.name}-${theme}.png`, caret: "hide" });
    });
  }
}
