// What the first load of each view fetches of script: the entry, the view, what they import, one language, and what a view
// fetches by itself. Fails where a view is over the budget. Compressed as served: brotli to browsers, gzip to who can't take it.
import { readdirSync, readFileSync, statSync } from "node:fs";

import { MANIFEST } from "./assets.mjs";

const BUDGET = 300 * 1024;
/** Fetched by views without a person's doing, beside what they import. All else that is loaded later waits for a click. */
const UNASKED = ["src/components/chart-engine.ts", "src/views/config/help.zh.json"];
const LANGUAGES = /^src\/locales\/\w+\/index\.ts$/;
const dist = new URL("../dist/", import.meta.url);

let manifest;
try {
  manifest = JSON.parse(readFileSync(MANIFEST, "utf8"));
} catch {
  console.error("the build's manifest is missing: run `npm run build` first");
  process.exit(1);
}
const size = (file, ending) => statSync(new URL(`${file}${ending}`, dist)).size;

/** The scripts that come with an entry of the manifest, and what they fetch unasked. */
function scripts(key, into = new Set()) {
  const chunk = manifest[key];
  if (chunk === undefined || into.has(chunk.file)) return into;
  into.add(chunk.file);
  for (const next of chunk.imports ?? []) scripts(next, into);
  for (const next of chunk.dynamicImports ?? []) if (UNASKED.includes(next)) scripts(next, into);
  return into;
}

const [entry] = Object.keys(manifest).filter((key) => manifest[key].isEntry);
const views = manifest[entry].dynamicImports.filter((key) => key.startsWith("src/views/"));
const assets = readdirSync(new URL("assets/", dist)).map((name) => `assets/${name}`);
const early = assets.filter((file) => /\/early-[^/]*\.js$/.test(file));
// The larger language counts.
const languages = Object.keys(manifest).filter((key) => LANGUAGES.test(key));
const [language] = languages.sort((a, b) => size(manifest[b].file, ".br") - size(manifest[a].file, ".br"));

const sum = (files, ending) => [...files].reduce((total, file) => total + size(file, ending), 0);
const line = (name, files) =>
  console.log(`${String(sum(files, ".br")).padStart(8)} ${String(sum(files, ".gz")).padStart(8)} ${String([...files].length).padStart(6)}  ${name}`);

console.log("  brotli     gzip  files  first load of");
const loads = views.map((view) => [view, new Set([...early, ...scripts(entry), ...scripts(language), ...scripts(view)])]);
for (const [view, files] of loads.sort(([, a], [, b]) => sum(b, ".br") - sum(a, ".br"))) line(view, files);
line("all script there is", assets.filter((file) => file.endsWith(".js")));
const worst = Math.max(...loads.map(([, files]) => sum(files, ".br")));
if (views.length === 0 || early.length !== 1 || language === undefined) {
  console.error("the build is not as expected: a view, the early script or a language is missing");
  process.exit(1);
}
if (worst > BUDGET) {
  console.error(`a first load of ${worst} bytes is over the budget of ${BUDGET}`);
  process.exit(1);
}
