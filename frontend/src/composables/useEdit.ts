import { type QueryKey, useQueryClient } from "@tanstack/vue-query";
import { computed, ref, shallowRef } from "vue";

import { ApiError, asApiError } from "@/api/client";
import type { Edited } from "@/api/types";

import { saved as known, useEvents } from "./useEvents";

export interface EditQuery {
  revision: string;
  dry_run?: boolean;
}

/** Whether a form can show it: of a stale revision, which no form has, only the dialog can tell. */
function atFields(error: ApiError): boolean {
  return error.fields.some(({ field }) => field !== "revision");
}

/**
 * An edit of the file, from the form's values to the saved file: preview (a dry run), save, and what a conflict needs.
 *
 * `run` makes the call. The revision is the one that the page was drawn from: call `begin()` when a form opens; without it, and
 * without `revision`, the one in force at the time of the preview counts. Give the result to `<EditPreview :edit="edit">`.
 * Errors that name fields close the preview and are in `fieldErrors`, for `FormField`.
 */
export function useEdit<V>(options: {
  run: (values: V, query: EditQuery) => Promise<Edited>;
  revision?: () => string | undefined;
  /** Queries to ask anew after saving. */
  invalidates?: QueryKey[];
  /** After saving; not in GitOps mode, where nothing is saved. */
  saved?: (edited: Edited, values: V) => void;
}) {
  const queries = useQueryClient();
  const { config } = useEvents();
  const open = ref(false);
  const pending = ref(false);
  const edited = shallowRef<Edited | null>(null);
  const error = shallowRef<ApiError | null>(null);
  /** Set by a conflict that was taken over. */
  const newer = ref<string | null>(null);
  let values: V | undefined;
  let begun: string | undefined;

  async function ask(dry: boolean): Promise<Edited | null> {
    const revision = newer.value ?? options.revision?.() ?? begun ?? config.value?.revision;
    if (values === undefined || pending.value) return null;
    if (revision === undefined) {
      error.value = new ApiError(0, "no revision");
      return null;
    }
    pending.value = true;
    error.value = null;
    try {
      return await options.run(values, dry ? { revision, dry_run: true } : { revision });
    } catch (thrown) {
      error.value = asApiError(thrown);
      if (atFields(error.value)) open.value = false;
      return null;
    } finally {
      pending.value = false;
    }
  }

  /** A form opens: forgets the last one's errors, and notes the files that it was drawn from. */
  function begin(): void {
    begun = config.value?.revision;
    newer.value = null;
    edited.value = null;
    error.value = null;
  }

  /** Shows what these values would change. True where there is something to show. */
  async function preview(next: V): Promise<boolean> {
    values = next;
    return again();
  }

  async function again(): Promise<boolean> {
    edited.value = null;
    const answer = await ask(true);
    edited.value = answer;
    open.value = answer !== null || (error.value !== null && !atFields(error.value));
    return answer !== null;
  }

  async function finish(answer: Edited): Promise<void> {
    newer.value = null;
    begun = answer.revision;
    known(answer.revision);
    await Promise.all((options.invalidates ?? []).map((queryKey) => queries.invalidateQueries({ queryKey })));
    if (values !== undefined) options.saved?.(answer, values);
  }

  /** Saves what was previewed. */
  async function save(): Promise<boolean> {
    const answer = await ask(false);
    if (answer === null) return false;
    edited.value = answer;
    // In GitOps mode nothing is saved: the dialog stays and shows the patch.
    if (answer.changed && !answer.saved) return false;
    open.value = false;
    await finish(answer);
    return true;
  }

  /** Saves without a preview, for switches whose effect is plain. A conflict opens the dialog. */
  async function direct(next: V): Promise<boolean> {
    values = next;
    edited.value = null;
    const done = await save();
    if (!done) open.value = error.value === null || !atFields(error.value);
    return done;
  }

  /** Of a conflict: the files of now become the ground, and the same values are previewed on them. */
  async function takeOver(): Promise<void> {
    const revision = error.value?.present?.revision;
    if (revision === undefined) return;
    newer.value = revision;
    await again();
  }

  function close(): void {
    open.value = false;
  }

  return {
    open,
    pending,
    edited,
    error,
    /** Message by the key path or field that the gateway named. */
    fieldErrors: computed(() => error.value?.byField ?? {}),
    conflict: computed(() => (error.value?.status === 409 && error.value.present?.revision !== undefined ? error.value : null)),
    begin,
    preview,
    save,
    direct,
    takeOver,
    close,
  };
}

/** What `<EditPreview>` takes. */
export type Edit = Omit<ReturnType<typeof useEdit>, "preview" | "direct" | "begin">;
