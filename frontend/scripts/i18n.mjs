// Checks the messages: both languages have the same keys with the same placeholders; each key is used; each used one exists.
//
// A key counts as used where it stands as a string in src/. A template literal such as `accounts.state.${state}` uses all
// keys that begin so.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const src = new URL("../src/", import.meta.url).pathname;
const mistakes = [];

function flatten(value, path, into) {
  if (typeof value === "string") into.set(path, value);
  else for (const [key, inner] of Object.entries(value)) flatten(inner, path ? `${path}.${key}` : key, into);
  return into;
}

function messages(language) {
  const folder = join(src, "locales", language);
  const all = new Map();
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".json"))) {
    flatten(JSON.parse(readFileSync(join(folder, file), "utf8")), file.slice(0, -5), all);
  }
  return all;
}

const placeholders = (text) => [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]))].sort().join(" ");

const en = messages("en");
const zh = messages("zh");
for (const [key, text] of en) {
  if (!zh.has(key)) mistakes.push(`zh lacks ${key}`);
  // A plural form may leave its number out, so only whole texts are compared.
  else if (!text.includes(" | ") && placeholders(text) !== placeholders(zh.get(key))) {
    mistakes.push(`${key}: placeholders differ: en has {${placeholders(text)}}, zh has {${placeholders(zh.get(key))}}`);
  }
}
for (const key of zh.keys()) if (!en.has(key)) mistakes.push(`en lacks ${key}`);

const areas = new Set([...en.keys()].map((key) => key.split(".")[0]));
const used = new Set();
const prefixes = new Set();
for (const entry of readdirSync(src, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !/\.(ts|vue)$/.test(entry.name)) continue;
  const path = join(entry.parentPath, entry.name);
  const text = readFileSync(path, "utf8");
  for (const [, , key] of text.matchAll(/(["'`])((?:\w+\.)+[\w-]+)\1/g)) if (en.has(key)) used.add(key);
  for (const [, prefix] of text.matchAll(/`((?:\w+\.)+[\w.-]*)\$\{/g)) {
    if (areas.has(prefix.split(".")[0])) prefixes.add(prefix);
  }
  for (const [, , key] of text.matchAll(/(?:\bt|\$t|keypath=)\(?\s*(["'])([^"'$]+)\1/g)) {
    if (/^(?:\w+\.)+[\w-]+$/.test(key) && !en.has(key)) mistakes.push(`${path.slice(src.length)} uses ${key}, which is not there`);
  }
}
for (const prefix of prefixes) {
  const found = [...en.keys()].filter((key) => key.startsWith(prefix));
  if (found.length === 0) mistakes.push(`no key begins with ${prefix}`);
  for (const key of found) used.add(key);
}
for (const key of en.keys()) if (!used.has(key)) mistakes.push(`${key} is not used`);

for (const mistake of mistakes) console.error(mistake);
console.log(`${en.size} messages, ${mistakes.length} mistakes`);
process.exit(mistakes.length === 0 ? 0 : 1);
