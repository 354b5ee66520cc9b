// Numbers, times and sizes as the panel writes them. Pure; the language is an argument.

/** 1234 → "1.2K", 1200000 → "1.2M"; under a thousand as it is. */
export function compact(value: number): string {
  const size = Math.abs(value);
  // What would round to 1000.0K is a million.
  if (size >= 999_950) return `${(value / 1e6).toFixed(1)}M`;
  if (size >= 1000) return `${(value / 1000).toFixed(1)}K`;
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}

/** Every digit, grouped. */
export function whole(value: number, locale: string): string {
  return new Intl.NumberFormat(locale).format(value);
}

/** Dollars; small amounts keep the digits that tell something. */
export function money(dollars: number, locale: string): string {
  const size = Math.abs(dollars);
  const digits = size === 0 || size >= 1 ? 2 : size >= 0.01 ? 3 : size >= 0.0001 ? 5 : 7;
  return new Intl.NumberFormat(locale, {
    style: "currency",
    currency: "USD",
    currencyDisplay: "narrowSymbol",
    minimumFractionDigits: 2,
    maximumFractionDigits: digits,
  }).format(dollars);
}

/** 0.994 → "99.4%". */
export function percent(fraction: number, digits = 1): string {
  return `${trimmed(fraction * 100, digits)}%`;
}

/** 830 → "830 ms", 1234 → "1.2 s", 75000 → "1 m 15 s". */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${trimmed(ms / 1000, 1)} s`;
  const seconds = Math.round(ms / 1000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/** Binary units, as the file writes them. */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${trimmed(value, 1)} ${units[unit] ?? ""}`;
}

function trimmed(value: number, digits: number): string {
  return value.toFixed(digits).replace(/\.0+$/, "");
}

/** "3 minutes ago", "in 2 hours"; of two times in milliseconds. */
export function relative(at: number, now: number, locale: string): string {
  const seconds = Math.round((at - now) / 1000);
  const size = Math.abs(seconds);
  const form = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "long" });
  if (size < 10) return form.format(0, "second");
  if (size < 60) return form.format(seconds, "second");
  if (size < 3600) return form.format(Math.round(seconds / 60), "minute");
  if (size < 86_400) return form.format(Math.round(seconds / 3600), "hour");
  if (size < 30 * 86_400) return form.format(Math.round(seconds / 86_400), "day");
  if (size < 365 * 86_400) return form.format(Math.round(seconds / (30 * 86_400)), "month");
  return form.format(Math.round(seconds / (365 * 86_400)), "year");
}

/** Date and time to the second, in the reader's zone. */
export function moment(at: number, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" }).format(at);
}

/** The same with the zone's name, for titles. */
export function exact(at: number, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "long" }).format(at);
}
