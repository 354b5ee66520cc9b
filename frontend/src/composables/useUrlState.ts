import { computed, reactive, type Reactive } from "vue";
import { type LocationQuery, useRoute, useRouter } from "vue-router";

type Value = string | number | boolean | string[];

function read(query: LocationQuery, key: string, fallback: Value): Value {
  const raw = query[key];
  if (raw === undefined) return fallback;
  if (Array.isArray(fallback)) return (Array.isArray(raw) ? raw : [raw]).filter((item): item is string => item !== null);
  const text = (Array.isArray(raw) ? raw[0] : raw) ?? "";
  if (typeof fallback === "number") {
    const number = Number(text);
    return text !== "" && Number.isFinite(number) ? number : fallback;
  }
  if (typeof fallback === "boolean") return text === "true" || text === "1";
  return text;
}

function same(a: Value, b: Value): boolean {
  return Array.isArray(a) && Array.isArray(b) ? a.length === b.length && a.every((item, i) => item === b[i]) : a === b;
}

/**
 * Filters, sort and page of a view, kept in the query string: links can be passed on and the back button works. What has its
 * default is left out. `state.x = …` makes an entry in the history; `set({x}, {replace: true})` does not (typing).
 */
export function useUrlState<S extends Record<string, Value>>(defaults: S) {
  const route = useRoute();
  const router = useRouter();
  let waiting: Partial<Record<string, Value>> | null = null;
  let replacing = true;

  function set(patch: Partial<Wide<S>>, options: { replace?: boolean } = {}): void {
    replacing = (waiting === null || replacing) && options.replace === true;
    if (waiting !== null) {
      Object.assign(waiting, patch);
      return;
    }
    waiting = { ...patch };
    // Changes of one tick are one step of the history.
    queueMicrotask(() => {
      const query: Record<string, string | string[]> = {};
      for (const [key, value] of Object.entries(route.query)) {
        if (!(key in defaults) && value !== null) query[key] = value as string | string[];
      }
      for (const [key, fallback] of Object.entries(defaults)) {
        const value = waiting?.[key] ?? read(route.query, key, fallback);
        if (!same(value, fallback)) query[key] = Array.isArray(value) ? value : String(value);
      }
      waiting = null;
      void (replacing ? router.replace({ query, hash: route.hash }) : router.push({ query, hash: route.hash }));
    });
  }

  const fields = Object.fromEntries(
    Object.entries(defaults).map(([key, fallback]) => [
      key,
      computed({
        get: () => read(route.query, key, fallback),
        set: (value: Value) => set({ [key]: value } as Partial<Wide<S>>),
      }),
    ]),
  );
  return {
    state: reactive(fields) as unknown as Reactive<Wide<S>>,
    set,
    reset: () => set({ ...defaults } as unknown as Partial<Wide<S>>),
    /** Whether anything differs from the defaults. */
    changed: computed(() => Object.entries(defaults).some(([key, value]) => !same(read(route.query, key, value), value))),
  };
}

type Widen<T> = T extends string[] ? string[] : T extends string ? string : T extends number ? number : boolean;

type Wide<S extends Record<string, Value>> = { [K in keyof S]: Widen<S[K]> };
