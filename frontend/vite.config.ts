import { fileURLToPath } from "node:url";

import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

import { compressed, early } from "./scripts/assets.mjs";

const GATEWAY = process.env["AGP_URL"] ?? "http://127.0.0.1:8088";

// The gateway checks Host and Origin: both are made its own on the way.
const forward = { target: GATEWAY, changeOrigin: true, headers: { origin: GATEWAY } };

// Packages, and parts of them, that only some views use.
const SOME = ["chart\\.js/", "@kurkle/", "@tanstack/(vue-virtual|virtual-core)/", "reka-ui/dist/(AlertDialog|Combobox|Listbox|RadioGroup|Switch|Tabs|TagsInput)/"];
const EVERYWHERE = new RegExp(`/node_modules/(?!${SOME.join("|")})`);

export default defineConfig({
  plugins: [vue(), early(), compressed()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  define: {
    __VUE_OPTIONS_API__: false,
    __VUE_PROD_DEVTOOLS__: false,
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: false,
    // Messages are interpreted, never made into code: the page may not `eval`.
    __VUE_I18N_FULL_INSTALL__: false,
    __VUE_I18N_LEGACY_API__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
  },
  build: {
    target: "es2022",
    sourcemap: false,
    // As a file, never as a data: URL.
    assetsInlineLimit: 0,
    // Every browser of the target preloads by itself.
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // For `npm run size`.
    manifest: true,
    rolldownOptions: {
      output: {
        // What every view needs and changes seldom is one chunk that stays in the browser's cache over releases. The rest comes
        // with the views that use it, Chart.js with the first chart.
        codeSplitting: { groups: [{ name: "vendor", test: EVERYWHERE }] },
      },
    },
  },
  server: {
    host: "127.0.0.1",
    port: 5173,
    proxy: { "/admin/api": forward, "/v1": forward, "/healthz": forward, "/oauth-callback": forward },
  },
});
