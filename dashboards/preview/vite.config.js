import react from '@vitejs/plugin-react';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  base: './',
  define: { 'process.env': {}, global: 'globalThis' },
  resolve: {
    // Its default export is not found where modules of both kinds meet, and Table needs it.
    alias: { 'react-custom-scrollbars-2': fileURLToPath(new URL('shims/scrollbars.js', import.meta.url)) },
  },
  build: { chunkSizeWarningLimit: 20000, sourcemap: false },
});
