import { onScopeDispose, readonly, ref } from "vue";

const now = ref(Date.now());
let users = 0;
let timer: ReturnType<typeof setInterval> | undefined;

/** The time in milliseconds, moved on every second while somebody looks. One clock for the page. */
export function useNow() {
  users += 1;
  now.value = Date.now();
  timer ??= setInterval(() => {
    if (!document.hidden) now.value = Date.now();
  }, 1000);
  onScopeDispose(() => {
    users -= 1;
    if (users === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  });
  return readonly(now);
}
