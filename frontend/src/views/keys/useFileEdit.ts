import { ref } from "vue";

import { useApi } from "@/composables/useApi";
import { useEdit } from "@/composables/useEdit";
import { useToast } from "@/composables/useToast";
import { t } from "@/i18n";

import type { Wanted } from "./limits";

/** An edit made of changes to the file's tables; says so when it was saved. */
export function useFileEdit(options: { saved?: (sent: readonly Wanted[]) => void } = {}) {
  const { api, call } = useApi();
  const toast = useToast();
  /** What was sent last: complaints may name its changes by number. */
  const sent = ref<Wanted[]>([]);
  const edit = useEdit<Wanted[]>({
    run: (changes, query) => {
      sent.value = changes;
      return call(api.POST("/config/edit", { params: { query }, body: { changes } }));
    },
    invalidates: [["keys"], ["models"]],
    saved: (_, changes) => {
      toast.good(t("keys.saved"));
      options.saved?.(changes);
    },
  });
  return { edit, sent };
}
