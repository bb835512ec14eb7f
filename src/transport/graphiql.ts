// GraphiQL, the query editor for the browser, wholly from this server: its program comes out of an npm package.

import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import express, { type Request, type Response, type Router } from 'express';

const PAGE = fileURLToPath(new URL('./graphiql/page.html', import.meta.url));
const PAGE_SCRIPT = fileURLToPath(new URL('./graphiql/page.js', import.meta.url));
const GRAPHQL_WS_FOLDER = dirname(createRequire(import.meta.url).resolve('graphql-ws/client'));

/** The project may lie below a folder whose name starts with a dot. */
const SEND_OPTIONS = { dotfiles: 'allow' } as const;

/** Nothing may come from or go to another server; the editor makes styles and fonts as it goes. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "worker-src 'self' blob:",
  "connect-src 'self' ws: wss:",
  "frame-ancestors 'none'",
].join('; ');

/** The files of the program, by path under the router: which export of the package, and of what type. */
const PROGRAM = {
  '/graphiql.js': ['js', 'text/javascript'],
  '/graphiql.css': ['css', 'text/css'],
  '/worker/editor.js': ['editorWorkerService', 'text/javascript'],
  '/worker/json.js': ['jsonWorker', 'text/javascript'],
  '/worker/graphql.js': ['graphqlWorker', 'text/javascript'],
} as const;

/** Answers with the page; its relative addresses lead to the router at `/graphiql`. */
export function sendGraphiqlPage(_request: Request, response: Response): void {
  response.set('content-security-policy', CONTENT_SECURITY_POLICY);
  response.sendFile(PAGE, SEND_OPTIONS);
}

/** Serves what the page loads. */
export function graphiqlRouter(): Router {
  const router = express.Router();
  router.get(Object.keys(PROGRAM), async (request, response) => {
    // 9 MB of program text, which a server that no browser visits never loads
    const program = await import('@graphql-yoga/render-graphiql/graphiql');
    const [name, type] = PROGRAM[request.path as keyof typeof PROGRAM];
    response.type(type).set('cache-control', 'public, max-age=86400').send(program[name]);
  });
  router.get('/page.js', (_request, response) => {
    response.sendFile(PAGE_SCRIPT, SEND_OPTIONS);
  });
  router.use('/graphql-ws', express.static(GRAPHQL_WS_FOLDER));
  return router;
}
