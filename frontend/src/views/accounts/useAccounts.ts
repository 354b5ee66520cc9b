import { useQueryClient } from "@tanstack/vue-query";
import { computed, ref } from "vue";

import { errorText, useApi } from "@/composables/useApi";
import { useEdit } from "@/composables/useEdit";
import { useToast } from "@/composables/useToast";
import type { Schema } from "@/api/types";
import { t } from "@/i18n";

type Action = Schema["Action"];
export interface FileAction {
  kind: "enable" | "disable" | "delete";
  names: string[];
}

/**
 * What can be done to accounts, one or many: without touching the file (`act`, `refresh`), or by an edit of it (`write`), which
 * `<AccountEdit>` shows before it is saved.
 */
export function useAccounts(on: { done?: (action: FileAction) => void; job?: (id: string) => void } = {}) {
  const { api, call } = useApi();
  const queries = useQueryClient();
  const toast = useToast();
  const busy = ref(false);

  const fresh = () => queries.invalidateQueries({ queryKey: ["accounts"] });

  async function attempt(run: () => Promise<void>): Promise<void> {
    if (busy.value) return;
    busy.value = true;
    try {
      await run();
    } catch (error) {
      toast.bad(errorText(error));
    } finally {
      busy.value = false;
    }
  }

  /** Pause, resume, release. */
  function act(names: readonly string[], action: Action): Promise<void> {
    return attempt(async () => {
      const { changed, refused } = await call(api.POST("/pool/act", { body: { names: [...names], action } }));
      await fresh();
      const [first] = refused;
      if (first !== undefined) {
        toast.warn(t("accounts.act.refused", { n: refused.length, name: first.name, error: first.error }, refused.length));
      } else if (names.length === 1) {
        toast.good(t(`accounts.act.${action}_one`, { name: names[0] ?? "" }));
      } else {
        toast.good(t(`accounts.act.${action}`, { n: changed }, changed));
      }
    });
  }

  /** Asks the upstreams of some, or of all that are enabled; `job` is told of the work that this is. */
  function refresh(names?: readonly string[]): Promise<void> {
    return attempt(async () => {
      const { job } = await call(api.POST("/pool/refresh", { body: { names: names ? [...names] : null } }));
      await queries.invalidateQueries({ queryKey: ["jobs"] });
      on.job?.(job);
    });
  }

  const asked = ref<FileAction>({ kind: "enable", names: [] });
  const edit = useEdit<FileAction>({
    run: ({ kind, names }, query) =>
      call(
        api.POST("/config/edit", {
          params: { query },
          body: {
            changes: names.map((name) =>
              kind === "delete"
                ? { do: "delete" as const, section: "accounts", name, mentions: true }
                : { do: "set" as const, path: ["accounts", name, "enabled"], value: kind === "enable" },
            ),
          },
        }),
      ),
    invalidates: [["accounts"]],
    saved: (_, action) => {
      toast.good(t(`accounts.act.${action.kind}`, { n: action.names.length }, action.names.length));
      on.done?.(action);
    },
  });

  /** Enable, disable, delete: shows what that changes in the file. */
  async function write(kind: FileAction["kind"], names: readonly string[]): Promise<void> {
    asked.value = { kind, names: [...names] };
    edit.begin();
    const shown = await edit.preview(asked.value);
    // Errors that name a field close the preview; here is no form that could show them.
    const [first] = edit.error.value?.fields ?? [];
    if (!shown && first !== undefined) toast.bad(`${first.field}: ${first.message}`);
  }

  return { busy: computed(() => busy.value), act, refresh, edit, asked, write };
}

export type Accounts = ReturnType<typeof useAccounts>;
