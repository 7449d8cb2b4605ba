// Drives the unmodified `oauth4webapi` through our standard endpoints. See README.md beside it.

import { webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

// Node 18 has it, but not as a global.
globalThis.crypto ??= webcrypto;

// Modules are looked up beside the script, and the package is installed elsewhere.
const folder = join(process.env.CONSENTRY_TEST_NODE_DIR, 'node_modules', 'oauth4webapi');
const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
const oauth = await import(pathToFileURL(join(folder, manifest.main)).href);

const config = JSON.parse(process.argv[2]);
const client = { client_id: config.client_id };
const authentication = config.client_secret
  ? oauth.ClientSecretBasic(config.client_secret)
  : oauth.None();
// Loopback speaks http; the library wants to be told.
const insecure = { [oauth.allowInsecureRequests]: true };

function print(object) {
  process.stdout.write(`${JSON.stringify(object)}\n`);
}

function check(condition, message) {
  if (!condition) throw new Error(message);
}

async function readLine() {
  for await (const line of createInterface({ input: process.stdin })) return line.trim();
  throw new Error('standard input ended before the callback address');
}

async function discover() {
  const issuer = new URL(config.issuer);
  const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
  const server = await oauth.processDiscoveryResponse(issuer, response);
  // The library compares parsed URLs. RFC 8414 §3.3 compares strings.
  check(server.issuer === config.issuer, `issuer is ${server.issuer}`);
  check(
    server.code_challenge_methods_supported?.includes('S256'),
    'code_challenge_methods_supported lacks S256',
  );
  check(
    server.authorization_response_iss_parameter_supported === true,
    'authorization_response_iss_parameter_supported is not true',
  );
  return server;
}

async function callApi(accessToken, { url, method = 'GET', body }) {
  const headers = new Headers({ accept: 'application/json' });
  if (body !== undefined) headers.set('content-type', 'application/json');
  const text = body === undefined ? null : JSON.stringify(body);
  try {
    const target = new URL(url);
    const response = await oauth.protectedResourceRequest(
      accessToken, method, target, headers, text, insecure,
    );
    return { status: response.status, body: parsed(await response.text()) };
  } catch (error) {
    // The library parses the challenge of a refusal and throws it.
    if (error.code !== oauth.WWW_AUTHENTICATE_CHALLENGE) throw error;
    const challenge = error.cause[0];
    const body = parsed(await error.response.text());
    return { status: error.status, scheme: challenge.scheme, ...challenge.parameters, body };
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function codeFlow(server) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const authorizeUrl = new URL(server.authorization_endpoint);
  for (const [name, value] of Object.entries({
    client_id: client.client_id,
    redirect_uri: config.redirect_uri,
    response_type: 'code',
    scope: config.scopes.join(' '),
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
  })) {
    authorizeUrl.searchParams.set(name, value);
  }
  print({ authorize_url: authorizeUrl.href });

  const callback = new URL(await readLine());
  const parameters = oauth.validateAuthResponse(server, client, callback, state);
  const response = await oauth.authorizationCodeGrantRequest(
    server, client, authentication, parameters, config.redirect_uri, verifier, insecure,
  );
  return oauth.processAuthorizationCodeResponse(server, client, response);
}

async function introspect(server, token) {
  if (!config.client_secret) return null;
  const response = await oauth.introspectionRequest(
    server, client, authentication, token, insecure,
  );
  return (await oauth.processIntrospectionResponse(server, client, response)).active;
}

async function throughTheUser(server) {
  const first = await codeFlow(server);
  check(first.refresh_token, 'the answer has no refresh_token');
  check(typeof first.expires_in === 'number', 'the answer has no expires_in');
  const calls = [await callApi(first.access_token, config.api)];

  const answer = await oauth.refreshTokenGrantRequest(
    server, client, authentication, first.refresh_token, insecure,
  );
  const second = await oauth.processRefreshTokenResponse(server, client, answer);
  check(second.access_token !== first.access_token, 'the refresh gave the same access token');
  calls.push(await callApi(second.access_token, config.api));
  const activeBefore = await introspect(server, second.access_token);

  const refreshToken = second.refresh_token ?? first.refresh_token;
  const revocation = await oauth.revocationRequest(
    server, client, authentication, refreshToken, insecure,
  );
  await oauth.processRevocationResponse(revocation);
  const activeAfter = await introspect(server, second.access_token);

  return {
    scope: second.scope,
    calls,
    rotated: second.refresh_token !== undefined && second.refresh_token !== first.refresh_token,
    introspected: activeBefore === null ? null : { before: activeBefore, after: activeAfter },
    revoked: true,
    after_revoke: await callApi(second.access_token, config.api),
  };
}

async function asItself(server) {
  const { scopes, api } = config.client_credentials;
  const response = await oauth.clientCredentialsGrantRequest(
    server, client, authentication, { scope: scopes.join(' ') }, insecure,
  );
  const tokens = await oauth.processClientCredentialsResponse(server, client, response);
  return { scope: tokens.scope, ...(await callApi(tokens.access_token, api)) };
}

try {
  const server = await discover();
  const result = { ok: true, library: `${manifest.name} ${manifest.version}` };
  if (config.redirect_uri) Object.assign(result, await throughTheUser(server));
  if (config.client_credentials) result.client_credentials = await asItself(server);
  print(result);
} catch (error) {
  // The library puts the server's own words into `cause`.
  const cause = error.cause instanceof Response ? await error.cause.text() : error.cause;
  const details = cause === undefined ? '' : ` (${parsedCause(cause)})`;
  print({ ok: false, error: `${error.code ?? error.name}: ${error.message}${details}` });
  process.exitCode = 1;
}
process.stdin.destroy();

function parsedCause(cause) {
  if (cause instanceof URLSearchParams) return cause.toString();
  return typeof cause === 'string' ? cause : JSON.stringify(cause) ?? String(cause);
}
