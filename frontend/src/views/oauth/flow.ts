// A sign-in that is confirmed in one window is known in the others at once.
import { onScopeDispose } from "vue";

import type { Schema } from "@/api/types";

export type Started = Schema["OauthStarted"];
export type Pending = Schema["OauthPending"];
export type { AddedAccount as Added } from "../accounts/accounts";

interface Told {
  state: string;
  name: string;
  renewed: boolean;
  job: string | null;
}

const NAME = "agp-oauth";

/** Tells the other windows of this browser. */
export function tell(told: Told): void {
  if (typeof BroadcastChannel === "undefined") return;
  const channel = new BroadcastChannel(NAME);
  channel.postMessage(told);
  channel.close();
}

/** Hears them, for as long as the caller lives. */
export function onTold(hear: (told: Told) => void): void {
  if (typeof BroadcastChannel === "undefined") return;
  const channel = new BroadcastChannel(NAME);
  channel.addEventListener("message", (event: MessageEvent<Told>) => hear(event.data));
  onScopeDispose(() => channel.close());
}
