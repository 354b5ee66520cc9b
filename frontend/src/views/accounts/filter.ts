// What the list of accounts is filtered and sorted by, as in the address, and what the gateway is asked for it. Pure.
import type { Sort } from "@/components/table";

import type { AccountFilter } from "./useAccountList";

export const NO_FILTER = { q: "", state: "", upstream: "", tag: "", tier: "" };
/** Empty where nothing is chosen. */
export type Filter = typeof NO_FILTER;

const SORTS = ["name", "state", "last_used", "remaining", "errors", "in_flight", "requests", "tier"] as const;

export const filtered = (filter: Filter) => Object.values(chosen(filter)).length > 0;

function chosen({ q, state, upstream, tag, tier }: Filter): Partial<Filter> {
  return Object.fromEntries(Object.entries({ q, state, upstream, tag, tier }).filter(([, text]) => text !== ""));
}

export function asked(filter: Filter, sort: Sort): AccountFilter {
  return { ...chosen(filter), sort: SORTS.find((name) => name === sort.key) ?? "name", ...(sort.descending ? { desc: true } : {}) };
}
