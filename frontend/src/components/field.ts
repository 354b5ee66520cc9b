import { type ComputedRef, inject, type InjectionKey } from "vue";

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
