// Vite plugins of this build: the early script as an asset of its own, and compressed siblings of every text asset.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, renameSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const EARLY = "/src/early.js";
const TEXT = /\.(html|js|css|svg|json|txt|webmanifest)$/;

/** Vite leaves a script without `type="module"` alone: hash it and write it beside the others. */
export function early() {
  return {
    name: "agp-early",
    apply: "build",
    transformIndexHtml: {
      order: "pre",
      handler(html) {
        return html.replace(EARLY, `/${name()}`);
      },
    },
    generateBundle() {
      this.emitFile({ type: "asset", fileName: name(), source: source() });
    },
  };
}

function source() {
  return readFileSync(new URL(`..${EARLY}`, import.meta.url), "utf8");
}

function name() {
  return `assets/early-${createHash("sha256").update(source()).digest("base64url").slice(0, 8)}.js`;
}

/** Where the build's manifest is kept: it is no part of the panel. */
export const MANIFEST = new URL("../node_modules/.manifest.json", import.meta.url);

/** X.br and X.gz beside each text file X, once the build is written; the manifest is put aside. */
export function compressed() {
  let folder = "dist";
  return {
    name: "agp-compressed",
    apply: "build",
    configResolved(config) {
      folder = join(config.root, config.build.outDir);
    },
    closeBundle() {
      renameSync(join(folder, ".vite/manifest.json"), MANIFEST);
      rmdirSync(join(folder, ".vite"));
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !TEXT.test(entry.name)) continue;
        const path = join(entry.parentPath, entry.name);
        const bytes = readFileSync(path);
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
        const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
        writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params }));
      }
    },
  };
}
