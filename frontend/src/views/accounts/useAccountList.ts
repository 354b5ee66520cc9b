// The accounts that a filter lets through.
import { useApi } from "@/composables/useApi";
import { usePages } from "@/composables/usePages";

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

export function useAccountList(filter: () => AccountFilter) {
  const { api, call } = useApi();
  return usePages({
    key: ["accounts", "list"],
    filter,
    ask: (query: AccountFilter & { offset?: number; limit?: number }, signal) =>
      call(api.GET("/accounts", { params: { query }, ...(signal ? { signal } : {}) })),
    rows: ({ accounts }) => accounts,
    name: (account) => account.name,
  });
}
