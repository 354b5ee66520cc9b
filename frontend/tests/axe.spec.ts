// No scene keeps anybody out, in either theme. Other files judge by axe() only what no scene shows, such as a key that was just made.
import { axe } from "./fixture";
import { SCENES } from "./scenes";
import { test } from "./stage";

test.describe.configure({ mode: "parallel" });

/** Looks the same in every view: `StateView` draws it. */
const SAME = /-(loading|error|stale)$/;
const JUDGED = /^(sign-in|overview|keys)-/;
const OPEN = "[role=dialog], [role=alertdialog]";

for (const scene of SCENES.filter(({ name }) => !SAME.test(name) || JUDGED.test(name))) {
  test(scene.name, async ({ page, stage }) => {
    await stage(scene);
    // What is behind a dialog has a scene of its own.
    await axe(page, (await page.locator(OPEN).count()) > 0 ? OPEN : "html");
  });
}
