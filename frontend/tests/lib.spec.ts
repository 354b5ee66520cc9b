// Pure helpers; no browser is started.
import { readFileSync } from "node:fs";

import { expect, test } from "@playwright/test";

import { sorted } from "../src/components/table";
import { parseDiff } from "../src/lib/diff";
import { bytes, compact, duration, money, percent, relative } from "../src/lib/format";
import { ofAccount, ofBudget, ofDrift, ofRestart, ofStore, refresh, verdict } from "../src/lib/said";
import { parseDuration, parseSize } from "../src/lib/units";
import { type Attention, told } from "../src/views/overview/attention";
import { SCENES } from "./scenes";
import { STATES, STILL, VIEWS } from "./states";

test("counts are short from a thousand on", () => {
  const cases: [number, string][] = [[0, "0"], [999, "999"], [1000, "1.0K"], [1234, "1.2K"], [999_949, "999.9K"], [999_950, "1.0M"], [1_250_000, "1.3M"], [-1500, "-1.5K"]];
  for (const [value, text] of cases) expect(compact(value)).toBe(text);
});

test("times, sizes, shares and money", () => {
  expect(duration(0)).toBe("0 ms");
  expect(duration(830)).toBe("830 ms");
  expect(duration(1234)).toBe("1.2 s");
  expect(duration(59_999)).toBe("1 m");
  expect(duration(75_000)).toBe("1 m 15 s");
  expect(duration(90_000_000)).toBe("1 d 1 h");
  expect(bytes(1023)).toBe("1023 B");
  expect(bytes(32 * 2 ** 20)).toBe("32 MiB");
  expect(percent(0.9944)).toBe("99.4%");
  expect(percent(1)).toBe("100%");
  expect(money(0, "en")).toBe("$0.00");
  expect(money(0.00123, "en")).toBe("$0.00123");
  expect(money(12.5, "en")).toBe("$12.50");
  expect(relative(0, 120_000, "en")).toBe("2 minutes ago");
  expect(relative(0, 3000, "en")).toBe("now");
});

test("durations and sizes are read as the file reads them", () => {
  expect(parseDuration("1h30m")).toBe(5_400_000);
  expect(parseDuration("0.1s")).toBe(100);
  for (const bad of ["", "3", "s", "3 s", "3x", "1h-2m"]) expect(parseDuration(bad)).toBeNull();
  expect(parseSize("32MiB")).toBe(33_554_432);
  for (const bad of ["", "32", "1.5MiB", "32 MiB", "32mib"]) expect(parseSize(bad)).toBeNull();
});

test("a diff is numbered line by line", () => {
  const lines = parseDiff("--- agp.toml\n+++ agp.toml\n@@ -3,2 +3,2 @@\n same\n-old\n+--- new\n");
  expect(lines.map(({ kind }) => kind)).toEqual(["file", "file", "hunk", "same", "del", "add"]);
  expect(lines.at(-1)).toEqual({ kind: "add", text: "--- new", before: null, after: 4 });
});

test("rows without a value stand last in either direction", () => {
  const rows = [{ n: 2 }, { n: null }, { n: 10 }, { n: 1 }];
  const columns = [{ key: "n", label: "N", value: (row: { n: number | null }) => row.n }];
  expect(sorted(rows, columns, { key: "n", descending: false }).map(({ n }) => n)).toEqual([1, 2, 10, null]);
  expect(sorted(rows, columns, { key: "n", descending: true }).map(({ n }) => n)).toEqual([10, 2, 1, null]);
});

test("the gateway's own sentences are taken apart, and what is not known is left to it", () => {
  const at = "2026-11-23T10:00:00.000Z";
  expect(verdict("usable")).toEqual({ is: "usable" });
  expect(verdict(`cooling until ${at}`)).toEqual({ is: "cooling", until: at, class: null });
  expect(verdict(`cooling until ${at} (rate_limited)`)).toEqual({ is: "cooling", until: at, class: "rate_limited" });
  expect(verdict(`no quota left until ${at}`)).toEqual({ is: "no_quota", until: at });
  expect(verdict(`the model cools until ${at}`)).toEqual({ is: "model_cooling", until: at });
  expect(verdict("its `models` leave this model out")).toEqual({ is: "not_its_model" });
  expect(verdict("disabled: closed by the provider")).toEqual({ is: "disabled", why: "closed by the provider" });
  for (const text of ["toString", "usable, and more", ""]) expect(verdict(text)).toBeNull();

  expect(ofAccount("account `a`: why (or not) (since 2026)")).toEqual({ reason: "why (or not)", since: "2026" });
  expect(ofAccount("account `a`: why")).toEqual({ reason: "why", since: null });
  expect(ofBudget("key `k` has used $0.80 of $1.00 a day", `raise its budget, or wait until ${at}`)).toEqual({ used: "$0.80", bound: "$1.00", per: "day", until: at });
  expect(ofBudget("key `k` has used $0.80 of $1.00 a week", `raise its budget, or wait until ${at}`)).toBeNull();
  expect(ofStore(`the log can't be written since ${at}: disk: full`)).toEqual({ file: "log", since: at, error: "disk: full" });
  expect(ofRestart("`server.listen` takes effect after a restart")).toBe("server.listen");
  expect(ofDrift("the files differ from what runs: not read yet")).toBe("unread");
  expect(ofDrift("the files differ from what runs: who knows")).toBeNull();

  const done = { is: "done", renewed: true, until: at, project: "p-1", tier: "pro", models: 3 };
  expect(refresh(`token renewed until ${at}, project p-1, tier pro, 3 models`)).toEqual(done);
  expect(refresh("token still good, 0 models")).toEqual({ is: "done", renewed: false, until: null, project: null, tier: null, models: 0 });
  expect(refresh("not asked, since it is needs_login: sign in again")).toEqual({ is: "not_asked", state: "needs_login" });
  expect(refresh("rate_limited: slow down; really")).toEqual({ is: "failed", class: "rate_limited", why: "slow down; really" });
  expect(refresh("Something else")).toBeNull();
});

test("what needs a person is told in the panel's words, or in the gateway's where they are all there is", () => {
  const of = (item: Partial<Attention>) => told({ kind: "account", urgency: "error", message: "", step: null, account: null, key: null, group: null, file: null, line: null, link: null, ...item });
  expect(of({ kind: "sign_in", account: "a", message: "account `a`: whatever (since T)" })).toMatchObject({ title: { key: "sign_in.one", values: { what: "a" } }, detail: { key: "sign_in.detail" }, since: "T" });
  expect(of({ account: "a", message: "account `a`: closed by the provider" })).toMatchObject({ detail: { key: "account.closed" }, raw: null });
  expect(of({ account: "a", message: "account `a`: by its own words" })).toMatchObject({ detail: null, raw: "by its own words" });
  expect(of({ kind: "reload", file: "agp.toml", line: 3, message: "error[AGP010]: x" })).toMatchObject({ title: { values: { what: "agp.toml:3" } }, raw: "error[AGP010]: x" });
  const budget = { kind: "budget", key: "k", message: "key `k` has used $1 of $1 a month", step: "raise its budget, or wait until T" } as const;
  expect(of(budget)).toMatchObject({ title: { key: "budget.over" }, detail: { key: "budget.month" }, until: "T" });
  expect(of({ ...budget, urgency: "warning" })).toMatchObject({ title: { key: "budget.one" } });
  expect(of({ ...budget, message: "it is used up" })).toMatchObject({ raw: "it is used up", until: null });
  expect(of({ kind: "store", message: "nothing can be written" })).toMatchObject({ title: { key: "store.some" }, raw: "nothing can be written" });
});

test("each view is pictured in each of its states, or it is said why it can't be in one", () => {
  const names = SCENES.map(({ name }) => name);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  for (const { name, empty } of VIEWS) {
    for (const state of STATES) expect(names.includes(`${name}-${state}`), `${name}-${state}`).toBe(state !== "empty" || typeof empty !== "string");
  }
  // Nobody is left out: neither a route nor a tab.
  const source = (file: string) => readFileSync(new URL(`../src/${file}`, import.meta.url), "utf8");
  const routes = [...source("router.ts").matchAll(/path: "(.*?)", component/g)].map(([, route]) => route);
  expect(routes.length).toBeGreaterThan(5);
  expect([...new Set([...VIEWS.map(({ route }) => route), ...STILL])].sort()).toEqual(routes.sort());
  const tabs = /TABS = \[(.*)\]/.exec(source("views/config/ConfigView.vue"))?.[1]?.match(/\w+/g) ?? [];
  expect(VIEWS.map(({ name }) => name).filter((name) => name.startsWith("config-"))).toEqual(tabs.map((tab) => `config-${tab}`));
});
