// The rows that a filter lets through, a page at a time as they are scrolled to. Pages far from what is seen aren't asked anew
// when rows change: with ten thousand of them that happens all the time.
import { type QueryKey, useQueries } from "@tanstack/vue-query";
import { computed, ref, shallowRef, watch } from "vue";

const SIZE = 100;

interface Source<Filter, Page, Row> {
  /** The begin of the queries' keys. */
  key: QueryKey;
  /** What is asked for. Another object that reads the same asks nothing anew. */
  filter: () => Filter;
  ask: (query: Filter & { offset?: number; limit?: number }, signal?: AbortSignal) => Promise<Page>;
  rows: (page: Page) => Row[];
  name: (row: Row) => string;
}

export function usePages<Filter extends object, Page extends { matched: number }, Row>({ key, filter: wanted, ask, rows: of, name }: Source<Filter, Page, Row>) {
  const filter = computed<Filter>((before) => {
    const next = wanted();
    return before !== undefined && JSON.stringify(before) === JSON.stringify(next) ? before : next;
  });
  const asked = ref(1);
  const seen = ref<readonly [number, number]>([0, 0]);

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
        queryKey: [...key, filter.value, page],
        queryFn: ({ signal }: { signal: AbortSignal }) => ask({ ...filter.value, offset: page * SIZE, limit: SIZE }, signal),
        // The last one is asked for because the table's end is near.
        enabled: page === 0 || page === asked.value - 1 || near(page),
      })),
    ),
  });
  const first = computed(() => pages.value[0]);

  // While a new filter's first page is on its way, the last rows stay.
  const kept = shallowRef<{ rows: Row[]; page: Page; at: number } | null>(null);
  watch(
    pages,
    (now) => {
      const [head] = now;
      if (head?.data === undefined) return;
      const byName = new Map<string, Row>();
      // Between two answers a row may have moved to another page.
      for (const { data } of now) for (const row of data ? of(data) : []) if (!byName.has(name(row))) byName.set(name(row), row);
      kept.value = { rows: [...byName.values()], page: head.data, at: head.dataUpdatedAt };
    },
    { immediate: true },
  );

  const rows = computed(() => kept.value?.rows ?? []);
  const page = computed(() => kept.value?.page ?? null);
  const matched = computed(() => page.value?.matched ?? 0);

  return {
    rows,
    /** The first page, with what it tells of all rows. */
    page,
    matched,
    hasMore: computed(() => rows.value.length < matched.value && asked.value * SIZE < matched.value),
    // One after the other: the table asks again as long as its end is in sight, which it is until a page has come.
    more: () => {
      if (pages.value.every(({ data }) => data !== undefined)) asked.value += 1;
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
    everything: async () => of(await ask(filter.value)),
  };
}
