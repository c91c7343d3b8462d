// node shoot.mjs PAGE.html OUT.png: a picture of a built page, once everything on it is drawn.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { chromium } from 'playwright-core';

const [, , folder, out] = process.argv;
const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.svg': 'image/svg+xml' };
const server = createServer(async (request, response) => {
  const path = new URL(request.url, 'http://localhost').pathname;
  try {
    const body = await readFile(join(folder, path === '/' ? 'index.html' : path));
    response.setHeader('Content-Type', types[extname(path === '/' ? 'index.html' : path)] ?? 'application/octet-stream');
    response.end(body);
  } catch {
    response.statusCode = 404;
    response.end();
  }
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-component-update'],
});
const page = await browser.newPage({ viewport: { width: 1680, height: 1000 }, deviceScaleFactor: 1 });
page.on('pageerror', (error) => console.error(String(error)));
if (process.env.VERBOSE) page.on('console', (message) => console.error(message.text()));
await page.goto(`http://127.0.0.1:${server.address().port}/`);
await page.waitForSelector('#page');
await page.waitForTimeout(1500);
await (await page.$('#page')).screenshot({ path: out });
await browser.close();
server.close();
