// The keys that a filter lets through, and keys to choose from.
import { keepPreviousData, useQuery } from "@tanstack/vue-query";
import { computed, ref } from "vue";

import { useApi } from "@/composables/useApi";
import { usePages } from "@/composables/usePages";

import type { Key } from "./limits";

export const SORTS = ["name", "label", "state", "uses", "requests", "tokens", "cost", "last_used"] as const;

export interface KeyFilter {
  q?: string;
  state?: Key["state"];
  sort?: (typeof SORTS)[number];
  desc?: boolean;
}

export function useKeyList(filter: () => KeyFilter) {
  const { api, call } = useApi();
  return usePages({
    key: ["keys", "list"],
    filter,
    ask: (query: KeyFilter & { offset?: number; limit?: number }, signal) => call(api.GET("/keys", { params: { query }, ...(signal ? { signal } : {}) })),
    rows: ({ keys }) => keys,
    name: (key) => key.name,
  });
}

/** For a `ComboInput`: the first keys that have what was typed, which is given to `search`. */
export function useKeyChoice(state?: Key["state"]) {
  const { api, call } = useApi();
  const typed = ref("");
  const list = useQuery({
    queryKey: computed(() => ["keys", "choice", state, typed.value]),
    queryFn: ({ signal }) =>
      call(api.GET("/keys", { signal, params: { query: { limit: 200, ...(state ? { state } : {}), ...(typed.value ? { q: typed.value } : {}) } } })),
    placeholderData: keepPreviousData,
  });
  return {
    list,
    options: computed(() => (list.data.value?.keys ?? []).map(({ name, label }) => ({ value: name, label, ...(label === name ? {} : { hint: name }) }))),
    search: (text: string) => (typed.value = text.trim()),
  };
}
