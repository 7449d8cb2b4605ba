// A client of Bitport with the habits of the public one in JavaScript: `state`, a form, `data` as a
// list or as an object, `Location` read by hand. See README.md beside it.

import { createInterface } from 'node:readline';

const config = JSON.parse(process.argv[2]);

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

async function fetchToken(code, secret) {
  const body = new URLSearchParams({
    client_id: config.client_id,
    client_secret: secret,
    grant_type: 'authorization_code',
    code,
  });
  const response = await fetch(`${config.base}/v2/oauth2/access-token`, { method: 'POST', body });
  return response.json();
}

async function get(path, token) {
  const headers = { Authorization: `Bearer ${token}` };
  const response = await fetch(`${config.base}${path}`, { headers });
  const { status, data, errors } = await response.json();
  check(status === 'success' && errors === null, `${path}: ${JSON.stringify(errors)}`);
  return Array.isArray(data) ? data[0] : data;
}

async function firstBytes(code, token) {
  const headers = { Authorization: `Bearer ${token}` };
  const url = `${config.base}/v2/files/${code}/stream`;
  const link = await fetch(url, { headers, redirect: 'manual' });
  check(link.status === 302, `stream: HTTP ${link.status}`);
  const address = new URL(link.headers.get('location'), config.base);
  const part = await fetch(address, { headers: { Range: 'bytes=0-15' } });
  check(part.status === 206, `link: HTTP ${part.status}`);
  return (await part.arrayBuffer()).byteLength;
}

try {
  const state = 'a state';
  const query = new URLSearchParams({ response_type: 'code', client_id: config.client_id, state });
  print({ authorize_url: `${config.base}/v2/oauth2/authorize?${query}` });
  const callback = new URL(await readLine()).searchParams;
  check(callback.get('state') === state, `the callback says ${callback}`);
  check(!callback.has('iss'), `it would take iss for a mistake: ${callback}`);
  const wrong = await fetchToken(callback.get('code'), 'wrong');
  check(wrong.access_token === undefined, 'a wrong secret got a token');
  const token = await fetchToken(callback.get('code'), config.client_secret);
  const me = await get('/v2/me', token.access_token);
  const [file] = (await get('/v2/cloud', token.access_token)).files;
  print({
    ok: true,
    email: me.email,
    expires_in: token.expires_in,
    first_bytes: await firstBytes(file.code, token.access_token),
    wrong_secret: wrong.error_description,
  });
} catch (error) {
  print({ ok: false, error: `${error.name}: ${error.message}` });
  process.exitCode = 1;
}
process.stdin.destroy();
