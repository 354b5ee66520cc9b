// The accounts that a filter lets through, a page at a time as they are scrolled to. Pages far from what is seen aren't asked
// anew when accounts change: with ten thousand of them that happens all the time.
import { keepPreviousData, useQueries } from "@tanstack/vue-query";
import { computed, ref, shallowRef, type Ref, watch } from "vue";

import { useApi } from "@/composables/useApi";
import type { Schema } from "@/api/types";

import type { Account } from "./accounts";

const SIZE = 100;

type Sort = "name" | "state" | "last_used" | "remaining" | "errors" | "in_flight" | "requests" | "tier";

export interface AccountFilter {
  q?: string;
  state?: string;
  upstream?: string;
  tag?: string;
  tier?: string;
  sort?: Sort;
  desc?: boolean;
}

export function useAccountList(filter: Readonly<Ref<AccountFilter>>) {
  const { api, call } = useApi();
  const asked = ref(1);
  const seen = ref<readonly [number, number]>([0, 0]);

  const ask = (query: AccountFilter & { offset?: number; limit?: number }, signal?: AbortSignal) =>
    call(api.GET("/accounts", { params: { query }, ...(signal ? { signal } : {}) }));

  // Before the queries see the new filter: it begins with its first page.
  watch(
    filter,
    () => {
      asked.value = 1;
      seen.value = [0, 0];
    },
    { flush: "sync" },
  );

  const near = (page: number) => {
    const [first, last] = seen.value;
    return page >= Math.floor(first / SIZE) && page <= Math.floor(last / SIZE);
  };
  const pages = useQueries({
    queries: computed(() =>
      Array.from({ length: asked.value }, (_, page) => ({
        queryKey: ["accounts", "list", filter.value, page],
        queryFn: ({ signal }: { signal: AbortSignal }) => ask({ ...filter.value, offset: page * SIZE, limit: SIZE }, signal),
        // The last one is asked for because the table's end is near.
        enabled: page === 0 || page === asked.value - 1 || near(page),
        placeholderData: keepPreviousData,
      })),
    ),
  });
  const first = computed(() => pages.value[0]);

  // While a new filter's first page is on its way, the last rows stay.
  const kept = shallowRef<{ rows: Account[]; page: Schema["AccountPage"]; at: number } | null>(null);
  watch(
    pages,
    (now) => {
      const [head] = now;
      if (head?.data === undefined) return;
      const byName = new Map<string, Account>();
      // Between two answers a row may have moved to another page.
      for (const { data } of now) for (const account of data?.accounts ?? []) if (!byName.has(account.name)) byName.set(account.name, account);
      kept.value = { rows: [...byName.values()], page: head.data, at: head.dataUpdatedAt };
    },
    { immediate: true },
  );

  const rows = computed(() => kept.value?.rows ?? []);
  const page = computed(() => kept.value?.page ?? null);
  const matched = computed(() => page.value?.matched ?? 0);

  return {
    rows,
    /** Of all accounts: counts by state, and what can be filtered by. */
    page,
    matched,
    hasMore: computed(() => rows.value.length < matched.value && asked.value * SIZE < matched.value),
    more: () => {
      if (pages.value.every(({ isFetching, data }) => !isFetching || data !== undefined)) asked.value += 1;
    },
    range: (from: number, to: number) => (seen.value = [from, to]),
    /** For `StateView`. */
    query: computed(() => ({
      isPending: kept.value === null,
      isFetching: pages.value.some(({ isFetching }) => isFetching),
      error: pages.value.find(({ error }) => error !== null)?.error ?? null,
      dataUpdatedAt: kept.value?.at ?? 0,
      refetch: () => void Promise.all(pages.value.filter(({ error }, i) => error !== null || i === 0).map((one) => one.refetch())),
    })),
    first,
    /** All that the filter lets through, however many. */
    everything: async () => (await ask(filter.value)).accounts,
  };
}
