import { defineConfig } from "vite";

// The gateway serves what is built here under any path of any proxy, with a policy that allows no inline code.
export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  worker: { format: "es" },
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
    emptyOutDir: true,
    reportCompressedSize: false,
  },
});
