// What the configuration's tabs ask the gateway for.
import { useQuery } from "@tanstack/vue-query";

import { useApi } from "@/composables/useApi";

import type { JsonSchema } from "./schema";

export function useSettings() {
  const { api, call } = useApi();
  // Of accounts and keys there may be thousands; they have views of their own.
  return useQuery({
    queryKey: ["config", "settings"],
    queryFn: ({ signal }) => call(api.GET("/config/settings", { signal, params: { query: { without: "accounts,keys" } } })),
  });
}

/** Changes only with the gateway's version. */
export function useSchema() {
  const { api, call } = useApi();
  return useQuery({ queryKey: ["config", "schema"], queryFn: async () => (await call(api.GET("/config/schema"))) as JsonSchema });
}

export function useFiles() {
  const { api, call } = useApi();
  return useQuery({ queryKey: ["config", "files"], queryFn: () => call(api.GET("/config")) });
}
