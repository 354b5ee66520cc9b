import { type QueryKey, useQueryClient } from "@tanstack/vue-query";
import { onScopeDispose } from "vue";

import { useEvents } from "./useEvents";

/**
 * Asks for what sums up requests anew while requests come: only on a sign of the event stream, at most once in `every`
 * milliseconds, and not while nobody looks.
 */
export function useLiveRefresh(keys: QueryKey[], every = 10_000): void {
  const queries = useQueryClient();
  let last = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let due = false;

  function refresh(): void {
    timer = undefined;
    due = document.hidden;
    if (due) return;
    last = Date.now();
    for (const queryKey of keys) void queries.invalidateQueries({ queryKey });
  }

  function seen(): void {
    if (due) refresh();
  }

  // The moment is for the log to be written.
  useEvents({ live: () => (timer ??= setTimeout(refresh, Math.max(1000, last + every - Date.now()))) });
  document.addEventListener("visibilitychange", seen);
  onScopeDispose(() => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  });
}
