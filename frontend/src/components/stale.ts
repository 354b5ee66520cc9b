import type { InjectionKey, Ref } from "vue";

/** What a `StateView` further out tells already about what is out of date. */
export const STALE: InjectionKey<Ref<string | null>> = Symbol("stale");
