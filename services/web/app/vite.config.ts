import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [react()],
  build: {
    // Nothing is inlined: the content security policy allows no inline script, and data: only for images.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // MUI and the Markdown parser are most of it; one cached file is simpler than lazy parts everybody needs.
    chunkSizeWarningLimit: 900,
  },
  server: {
    // `npm run dev` beside a running fleet: everything but the page itself goes to the gateway.
    proxy: Object.fromEntries(
      ['/api', '/v1', '/connect', '/.well-known'].map((path) => [path, { target: 'http://localhost:8080' }]),
    ),
  },
  test: { environment: 'jsdom', restoreMocks: true },
});
