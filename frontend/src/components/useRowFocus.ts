// The keyboard in a table: one row is the stop for Tab, and the arrows move it.
import { computed, nextTick, type Ref, ref } from "vue";

interface Rows {
  scroller: Readonly<Ref<HTMLElement | null>>;
  count: () => number;
  /** The numbers of the rows that are in the page. */
  drawn: () => number[];
  scrollTo: (index: number) => void;
}

export function useRowFocus({ scroller, count, drawn, scrollTo }: Rows) {
  const active = ref(0);

  async function go(index: number): Promise<void> {
    const to = Math.max(0, Math.min(count() - 1, index));
    active.value = to;
    scrollTo(to);
    await nextTick();
    requestAnimationFrame(() => {
      scroller.value?.querySelector<HTMLElement>(`[data-index="${to}"]`)?.focus({ preventScroll: true });
    });
  }

  /** Moves, where that is what the key is for. */
  function moved(event: KeyboardEvent, index: number): boolean {
    const moves: Record<string, number> = {
      ArrowDown: index + 1,
      ArrowUp: index - 1,
      PageDown: index + 10,
      PageUp: index - 10,
      Home: 0,
      End: count() - 1,
    };
    const to = moves[event.key];
    if (to === undefined) return false;
    event.preventDefault();
    void go(to);
    return true;
  }

  return {
    active,
    moved,
    stop: computed(() => {
      const rows = drawn();
      return rows.includes(active.value) ? active.value : (rows[0] ?? 0);
    }),
  };
}
