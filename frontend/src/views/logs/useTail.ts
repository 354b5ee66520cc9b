import { computed, effectScope, type EffectScope, onScopeDispose, ref, type Ref, shallowRef, watch } from "vue";

import { useEvents } from "@/composables/useEvents";

import { type Filter, passes, type Row } from "./filter";

/** Rows kept at most, shown and held back alike. */
export const TAIL = 500;

/**
 * Requests as they end, newest first, as far as the filter lets them through. While `paused` they are held back and only
 * counted; `release` shows them. `reread` is called whenever rows may have been missed.
 */
export function useTail(options: { on: Ref<boolean>; paused: Ref<boolean>; filter: Ref<Filter>; reread: () => void }) {
  const shown = shallowRef<readonly Row[]>([]);
  const held = shallowRef<readonly Row[]>([]);
  /** Also those that were dropped for room. */
  const waiting = ref(0);
  let scope: EffectScope | undefined;

  function clear(): void {
    shown.value = [];
    held.value = [];
    waiting.value = 0;
  }

  function release(): void {
    if (held.value.length > 0) shown.value = [...held.value, ...shown.value].slice(0, TAIL);
    held.value = [];
    waiting.value = 0;
  }

  function take(rows: readonly Row[], missed: number): void {
    const fit = rows.filter((row) => passes(row, options.filter.value)).reverse();
    if (fit.length > 0 && options.paused.value) {
      held.value = [...fit, ...held.value].slice(0, TAIL);
      waiting.value += fit.length;
    } else if (fit.length > 0) {
      shown.value = [...fit, ...shown.value].slice(0, TAIL);
    }
    if (missed > 0) options.reread();
  }

  function stop(): void {
    scope?.stop();
    scope = undefined;
    clear();
  }

  watch(
    options.on,
    (on) => {
      stop();
      if (!on) return;
      scope = effectScope();
      scope.run(() =>
        useEvents({
          // A stream that begins doesn't tell what ended before.
          hello: () => options.reread(),
          requests: ({ rows, missed }) => take(rows, missed),
        }),
      );
      options.reread();
    },
    { immediate: true },
  );
  watch(options.filter, clear);
  watch(options.paused, (paused) => {
    if (!paused) release();
  });
  onScopeDispose(stop);
  return { rows: shown, waiting: computed(() => waiting.value), release };
}
