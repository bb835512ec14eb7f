// Runs in the browser: starts GraphiQL, which graphiql.js has put on the page as YogaGraphiQL, with queries and mutations
// over HTTP and subscriptions over a WebSocket, both with the headers of the headers editor.

const endpoint = new URL('graphql', document.baseURI);
const { createClient } = await import(new URL('graphiql/graphql-ws/client.js', endpoint).href);
const socketUrl = new URL(endpoint);
socketUrl.protocol = endpoint.protocol === 'https:' ? 'wss:' : 'ws:';

const WORKERS = { editorWorkerService: 'editor.js', json: 'json.js', graphql: 'graphql.js' };
globalThis.MonacoEnvironment = {
  globalAPI: false,
  getWorkerUrl: (_moduleId, label) => new URL(`graphiql/worker/${WORKERS[label]}`, endpoint).href,
};

/** A token in the address (`#token=...`, as the server prints it at its start) becomes a header, and leaves the address. */
function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token !== null) history.replaceState({}, '', location.pathname + location.search);
  return token;
}

async function fetchOverHttp(operation, headers) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(operation),
  });
  return response.json();
}

/** A socket per subscription: the token may have been edited since the last one. */
function subscribe(operation, headers) {
  const client = createClient({ url: socketUrl.href, connectionParams: headers, retryAttempts: 0 });
  return client.iterate(operation);
}

/** What GraphiQL calls to run an operation. */
function runOperation(operation, { headers = {}, documentAST } = {}) {
  const definition = documentAST?.definitions.find(
    ({ kind, name }) =>
      kind === 'OperationDefinition' &&
      (operation.operationName == null || name?.value === operation.operationName),
  );
  return definition?.operation === 'subscription'
    ? subscribe(operation, headers)
    : fetchOverHttp(operation, headers);
}

const FIRST_QUERY = `query Modes {
  viewer {
    modes {
      key
      title
      upToDateThrough
    }
  }
}
`;

const token = takeToken();
const typedHeaders = JSON.stringify({ Authorization: `Bearer ${token ?? ''}` }, null, 2);
globalThis.YogaGraphiQL.renderYogaGraphiQL(document.querySelector('#root'), {
  title: 'Attune',
  logo: '<span></span>',
  fetcher: runOperation,
  defaultQuery: FIRST_QUERY,
  headers: typedHeaders,
  // without a token in the address, what was typed the last time stays
  ...(token !== null && { initialHeaders: typedHeaders }),
});
