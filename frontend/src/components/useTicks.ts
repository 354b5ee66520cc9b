// Ticks of a table's rows: one, all, or with Shift all between.
import { computed, type Ref } from "vue";

export function useTicks(keys: Readonly<Ref<readonly string[]>>, selected: Ref<ReadonlySet<string>>) {
  let anchor: string | null = null;
  const count = computed(() => keys.value.filter((key) => selected.value.has(key)).length);

  /** Ticks a row; `range`: all from the one that was ticked before. */
  function tick(index: number, on: boolean, range: boolean): void {
    const next = new Set(selected.value);
    const from = anchor === null ? -1 : keys.value.indexOf(anchor);
    const touched = range && from >= 0 ? keys.value.slice(Math.min(from, index), Math.max(from, index) + 1) : keys.value.slice(index, index + 1);
    for (const key of touched) {
      if (on) next.add(key);
      else next.delete(key);
    }
    anchor = keys.value[index] ?? null;
    selected.value = next;
  }

  const all = computed({
    get: () => keys.value.length > 0 && count.value === keys.value.length,
    set: (on) => (selected.value = new Set(on ? keys.value : [])),
  });
  return { count, all, tick };
}
