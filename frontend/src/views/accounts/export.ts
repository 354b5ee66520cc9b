// Names and settings of accounts as a file. Never a secret: the gateway doesn't tell any.
import type { Account } from "./accounts";

const COLUMNS = ["name", "upstream", "email", "enabled", "weight", "rank", "max_concurrent", "allowed", "project", "tags", "credits"] as const;

type Exported = Pick<Account, (typeof COLUMNS)[number]>;

function plain(account: Account): Exported {
  return Object.fromEntries(COLUMNS.map((key) => [key, account[key]])) as unknown as Exported;
}

/** One cell. A text that a spreadsheet would take for a formula gets an apostrophe before it. */
function cell(value: Exported[keyof Exported]): string {
  const text = Array.isArray(value) ? value.join(" ") : value === null ? "" : String(value);
  const safe = typeof value !== "number" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function asJson(accounts: readonly Account[]): string {
  return `${JSON.stringify(accounts.map(plain), null, 2)}\n`;
}

export function asCsv(accounts: readonly Account[]): string {
  const lines = accounts.map(plain).map((account) => COLUMNS.map((key) => cell(account[key])).join(","));
  return `${[COLUMNS.join(","), ...lines].join("\r\n")}\r\n`;
}

/** Hands a text to the person as a file. */
export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
