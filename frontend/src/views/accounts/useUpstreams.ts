import { useQuery } from "@tanstack/vue-query";
import { computed, type MaybeRefOrGetter, toValue } from "vue";

import { useApi } from "@/composables/useApi";

/** The names of the upstreams in effect, asked for once a dialog needs them. */
export function useUpstreams(enabled: MaybeRefOrGetter<boolean>) {
  const { api, call } = useApi();
  const query = useQuery({
    queryKey: ["upstreams"],
    queryFn: ({ signal }) => call(api.GET("/status", { signal })),
    select: (status) => status.upstreams.map(({ name }) => name),
    enabled: () => toValue(enabled),
  });
  return { query, names: computed(() => query.data.value ?? []) };
}
