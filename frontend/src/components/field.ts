import { type ComputedRef, inject, type InjectionKey, nextTick } from "vue";

/** What a `FormField` tells the input inside of it. */
export interface Field {
  id: string;
  describedBy: ComputedRef<string | undefined>;
  invalid: ComputedRef<boolean>;
  required: ComputedRef<boolean>;
  /** The input's own complaint, shown where the gateway has none. */
  complain: (message: string | null) => void;
}

export const FIELD: InjectionKey<Field> = Symbol("field");

/** The attributes that join an input to its `FormField`; usable outside of one too. */
export function useField(): Field | null {
  return inject(FIELD, null);
}

let shown = false;

/** Of several fields that a refusal names at once the first one comes into sight: the button that was pressed may be far below. */
export function intoSight(element: HTMLElement | null): void {
  if (shown || element === null) return;
  shown = true;
  void nextTick(() => {
    shown = false;
    element.scrollIntoView({ block: "nearest" });
  });
}
