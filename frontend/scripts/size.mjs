// Fails where all script together, compressed by gzip, is larger than the budget.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const BUDGET = 300 * 1024;
const folder = new URL("../dist/assets/", import.meta.url).pathname;
const files = readdirSync(folder)
  .filter((name) => name.endsWith(".js.gz"))
  .map((name) => ({ name, size: statSync(join(folder, name)).size }))
  .sort((a, b) => b.size - a.size);
const total = files.reduce((sum, file) => sum + file.size, 0);
for (const { name, size } of files) console.log(`${String(size).padStart(8)}  ${name}`);
console.log(`${String(total).padStart(8)}  of ${BUDGET} bytes`);
if (files.length === 0 || total > BUDGET) {
  console.error(files.length === 0 ? "no compressed script in dist: run `npm run build` first" : "the script is over its budget");
  process.exit(1);
}
