import { computed } from "vue";
import { createI18n } from "vue-i18n";

export type Language = "en" | "zh";
export const LANGUAGES: { code: Language; name: string }[] = [
  { code: "en", name: "English" },
  { code: "zh", name: "简体中文" },
];

type Messages = Record<string, Record<string, unknown>>;

// One chunk for each language, made of its areas' files.
const LOADERS: Record<Language, () => Promise<{ default: Messages }>> = {
  en: () => import("./locales/en"),
  zh: () => import("./locales/zh"),
};

export const i18n = createI18n({
  legacy: false,
  locale: "en",
  // A key that is missing is a mistake which `npm run check` finds; no other language stands in.
  fallbackLocale: false as unknown as string,
  missingWarn: import.meta.env.DEV,
});

function wanted(): Language {
  return document.documentElement.lang === "zh" ? "zh" : "en";
}

/** Loads a language, shows it, and keeps it for the next visit. */
export async function setLanguage(language: Language, keep = true): Promise<void> {
  const { global } = i18n;
  if (!global.availableLocales.includes(language) || Object.keys(global.getLocaleMessage(language)).length === 0) {
    global.setLocaleMessage(language, (await LOADERS[language]()).default as never);
  }
  global.locale.value = language;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  if (!keep) return;
  try {
    localStorage.setItem("agp-language", language);
  } catch {
    // Storage may be forbidden.
  }
}

/** The language of last time, else the browser's. */
export function firstLanguage(): Promise<void> {
  return setLanguage(wanted(), false);
}

/** For Intl. */
export const locale = computed(() => (i18n.global.locale.value === "zh" ? "zh-CN" : "en"));

export const t = i18n.global.t;

/** The message of a code of the gateway's; the code itself where there is none. */
export function called(key: string, code: string): string {
  return i18n.global.te(key) ? t(key) : code;
}

/** What kind of refusal of an upstream it was. */
export const className = (name: string | null | undefined) => (name ? called(`common.class.${name}`, name) : "");
