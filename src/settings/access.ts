// Who may call, and how the server meets the world.

import { nonEmpty, path, type Setting, wholeNumber, yesOrNo } from './setting.ts';

export const ACCESS_SETTINGS = {
  jwks: {
    flag: '--jwks',
    env: 'ATTUNE_JWKS',
    placeholder: 'url|file',
    description: 'keys of the tokens that somebody else makes, instead of this server',
    expected: 'the URL or the path of a JSON Web Key Set',
    fallback: null,
    parse: nonEmpty,
  } satisfies Setting<string>,
  issuer: {
    flag: '--issuer',
    env: 'ATTUNE_ISSUER',
    placeholder: 'text',
    description: 'with --jwks: the iss of its tokens',
    expected: 'a text',
    fallback: 'attune',
    parse: nonEmpty,
  } satisfies Setting<string>,
  audience: {
    flag: '--audience',
    env: 'ATTUNE_AUDIENCE',
    placeholder: 'text',
    description: 'with --jwks: the aud of its tokens',
    expected: 'a text',
    fallback: 'attune',
    parse: nonEmpty,
  } satisfies Setting<string>,
  production: {
    flag: '--production',
    env: 'ATTUNE_PRODUCTION',
    placeholder: 'yes|no',
    description: 'open to the world: no introspection, no suggestions, no query editor',
    expected: 'yes or no',
    fallback: 'no',
    parse: yesOrNo,
  } satisfies Setting<boolean>,
  trustedDocuments: {
    flag: '--trusted-documents',
    env: 'ATTUNE_TRUSTED_DOCUMENTS',
    placeholder: 'file',
    description: "manifest of the apps' operations: then no others are run",
    expected: 'the path of a file',
    fallback: null,
    parse: path,
  } satisfies Setting<string>,
  proxies: {
    flag: '--proxies',
    env: 'ATTUNE_PROXIES',
    placeholder: 'number',
    description: 'proxies of your own before the server, which say who called',
    expected: 'a whole number from 0 to 10',
    fallback: '0',
    parse: (text) => wholeNumber(text, 0, 10),
  } satisfies Setting<number>,
};
