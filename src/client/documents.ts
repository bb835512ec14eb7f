// What the SDK asks for, in GraphQL.

const FILES = 'files { name url sizeBytes sha256 }';
const ADAPTER = `id version origin sha256 mode { key } base { sha256 } ${FILES}`;

export const DOCUMENTS = {
  Register: `mutation Register($input: RegisterDeviceInput!) { registerDevice(input: $input) {
    lastMutationId held { adapter { id } } } }`,
  Push: `mutation Push($input: PushChangesInput!) { pushChanges(input: $input) { __typename
    ... on PushAccepted { lastMutationId results { mutationId outcome reason changeSeq } }
    ... on PushGap { expectedMutationId } } }`,
  Feed: `query Feed($after: Cursor) { viewer {
    modes { shippedAdapter { ${ADAPTER} } }
    adapterFeed(after: $after) { __typename
    ... on AdapterFeedPage { cursor hasMore checksum events { __typename
      ... on AdapterReady { cursor adapter { ${ADAPTER} } }
      ... on AdapterRevoked { cursor adapterId modeKey reason } } }
    ... on ResyncRequired { code reason } } } }`,
  Acknowledge: `mutation Acknowledge($input: AcknowledgeAdapterInput!) { acknowledgeAdapter(input: $input) { id } }`,
  Report: `mutation Report($input: ReportCompletionInput!) { reportCompletion(input: $input) { id } }`,
  Rate: `mutation Rate($input: RateCompletionInput!) { rateCompletion(input: $input) { id } }`,
  Modes: `query Modes { viewer { id modes { key definition trainingFiles { name url sizeBytes sha256 } } } }`,
  Base: `query Base { viewer { modes { base { name sha256 ${FILES} } } } }`,
  BeginUpload: `mutation BeginUpload($input: BeginAdapterUploadInput!) { beginAdapterUpload(input: $input) {
    id url receivedBytes } }`,
  Publish: `mutation Publish($input: PublishAdapterInput!) { publishAdapter(input: $input) { id version } }`,
  Withdraw: `mutation Withdraw($adapterId: ID!) { withdrawAdapter(adapterId: $adapterId) { id } }`,
  Versions: `query Versions($mode: String!, $after: String) { viewer { mode(key: $mode) {
    adapters(first: 100, after: $after) { edges { node { id status files { sha256 } } }
      pageInfo { hasNextPage endCursor } } } } }`,
  Records: `query Records($source: String!, $after: String) { viewer {
    records(source: $source, first: 100, after: $after) {
      edges { node { recordId } } pageInfo { hasNextPage endCursor } } } }`,
  Complete: `mutation Complete($input: CompleteInput!) { complete(input: $input) {
    id text finishReason dataThrough adapter { id version sha256 }
    logprobs { token logprob topLogprobs { token logprob } } } }`,
} as const;

/** The names of the operations that the SDK sends. */
export type OperationName = keyof typeof DOCUMENTS;
