import { computed, ref } from "vue";

export type Theme = "system" | "light" | "dark";

const dark = matchMedia("(prefers-color-scheme: dark)");
const systemDark = ref(dark.matches);
const theme = ref<Theme>(stored());

function stored(): Theme {
  try {
    const value = localStorage.getItem("agp-theme");
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}

const shown = computed<"light" | "dark">(() =>
  theme.value === "system" ? (systemDark.value ? "dark" : "light") : theme.value,
);

function apply(): void {
  document.documentElement.classList.toggle("dark", shown.value === "dark");
  document.documentElement.classList.toggle("light", shown.value === "light");
}

dark.addEventListener("change", (event) => {
  systemDark.value = event.matches;
  apply();
});

function set(next: Theme): void {
  theme.value = next;
  apply();
  try {
    if (next === "system") localStorage.removeItem("agp-theme");
    else localStorage.setItem("agp-theme", next);
  } catch {
    // Storage may be forbidden.
  }
}

/** `theme` is what was chosen, `shown` what is seen. `early.js` does the same before the first paint. */
export function useTheme() {
  return { theme, shown, set };
}
