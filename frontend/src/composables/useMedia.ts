import { onScopeDispose, readonly, ref } from "vue";

/** Whether a media query is true of the window. */
export function useMedia(query: string) {
  const list = matchMedia(query);
  const matches = ref(list.matches);
  const note = () => (matches.value = list.matches);
  list.addEventListener("change", note);
  onScopeDispose(() => list.removeEventListener("change", note), true);
  return readonly(matches);
}
