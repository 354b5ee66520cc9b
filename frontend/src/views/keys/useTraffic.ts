import { type QueryKey, useQueryClient } from "@tanstack/vue-query";
import { onScopeDispose } from "vue";

import { useEvents } from "@/composables/useEvents";

/** Requests change counters by the second; a table that moves as fast can't be read. */
const PAUSE = 5000;

/** Makes queries old while requests go through the gateway, and where `accounts` says so when accounts change. */
export function useTraffic(keys: readonly QueryKey[], accounts = false): void {
  const queries = useQueryClient();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const soon = () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      for (const queryKey of keys) void queries.invalidateQueries({ queryKey });
    }, PAUSE);
  };
  let first = true;
  useEvents({
    live: () => {
      // The stream begins with one; nothing has happened then.
      if (!first) soon();
      first = false;
    },
    ...(accounts ? { accounts: soon } : {}),
  });
  onScopeDispose(() => clearTimeout(timer));
}
