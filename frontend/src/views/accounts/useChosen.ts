// The accounts that are ticked, over all pages of the list.
import { computed, type Ref, ref, watch } from "vue";

import { errorText } from "@/composables/useApi";
import { useToast } from "@/composables/useToast";

import type { Account } from "./accounts";

/** `filter`: what, when it changes, would hide some of them; `everything`: all accounts that the list's filter lets through. */
export function useChosen(filter: () => string, everything: () => Promise<Account[]>) {
  const toast = useToast();
  const chosen: Ref<ReadonlySet<string>> = ref(new Set());
  const gathering = ref(false);
  const clear = () => (chosen.value = new Set());
  watch(filter, clear);

  async function gather(): Promise<Account[]> {
    gathering.value = true;
    try {
      return await everything();
    } catch (error) {
      toast.bad(errorText(error));
      return [];
    } finally {
      gathering.value = false;
    }
  }

  return {
    chosen,
    names: computed(() => [...chosen.value]),
    gathering,
    clear,
    forget: (gone: readonly string[]) => (chosen.value = new Set([...chosen.value].filter((name) => !gone.includes(name)))),
    async all(): Promise<void> {
      const found = await gather();
      if (found.length > 0) chosen.value = new Set(found.map(({ name }) => name));
    },
    /** The chosen ones, or all of them where none is chosen. */
    async accounts(): Promise<Account[]> {
      const found = await gather();
      return chosen.value.size > 0 ? found.filter(({ name }) => chosen.value.has(name)) : found;
    },
  };
}

export type Chosen = ReturnType<typeof useChosen>;
