import { useQuery } from "@tanstack/vue-query";

import { useApi } from "@/composables/useApi";

/** `GET /status`, made old by the event stream. */
export function useStatus() {
  const { api, call } = useApi();
  const { data, isError } = useQuery({ queryKey: ["status"], queryFn: ({ signal }) => call(api.GET("/status", { signal })) });
  return { status: data, failed: isError };
}
