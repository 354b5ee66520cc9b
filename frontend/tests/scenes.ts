// What `make screenshots` pictures, in both themes, as docs/img/panel/NAME-THEME.png. Authors of views add theirs.
import type { Page } from "@playwright/test";

import { PHONE } from "./fixture";
import type { Gateway } from "./gateway";

export interface Scene {
  name: string;
  path: string;
  /** Before anybody is signed in. */
  open?: boolean;
  viewport?: { width: number; height: number };
  /** What must have happened before: requests, a script for the simulator. */
  before?: (gateway: Gateway) => Promise<void>;
  /** What is done in the page: dialogs opened, answers held back (`page.route`) for the loading and error states. */
  act?: (page: Page) => Promise<void>;
  /** The same, before the view opens. */
  early?: (page: Page) => Promise<void>;
}

export const SCENES: Scene[] = [
  { name: "sign-in", path: "/login", open: true },
  {
    name: "sign-in-wrong",
    path: "/login",
    open: true,
    act: async (page) => {
      await page.getByLabel("Password", { exact: true }).fill("not this one, surely");
      await page.keyboard.press("Enter");
      await page.getByText("This password is wrong.").waitFor();
    },
  },
  { name: "overview", path: "/" },
  { name: "overview-phone", path: "/", viewport: PHONE },
];
