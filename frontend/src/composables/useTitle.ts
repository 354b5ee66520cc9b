import { onScopeDispose, ref, toValue, watch, type MaybeRefOrGetter } from "vue";

/** What a view calls itself beyond its route's title, such as an account's name. */
export const detail = ref<string | null>(null);

/** Puts a name before the route's title in the window's title, while the view lives. */
export function useTitle(text: MaybeRefOrGetter<string | null | undefined>): void {
  watch(
    () => toValue(text),
    (now) => (detail.value = now ?? null),
    { immediate: true },
  );
  onScopeDispose(() => (detail.value = null));
}
