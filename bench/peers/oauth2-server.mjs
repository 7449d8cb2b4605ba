// @node-oauth/oauth2-server in its best case: a model of a few maps and the smallest server that
// can stand around it. Prints its address.

import { createServer } from "node:http";
import { randomBytes } from "node:crypto";
import OAuth2Server from "@node-oauth/oauth2-server";

const [id, secret] = process.argv.slice(2);
const client = { id, secret, grants: ["client_credentials"] };
const tokens = new Map();

const oauth = new OAuth2Server({
  accessTokenLifetime: 3600,
  model: {
    getClient: async (wanted, shown) => (wanted === id && shown === secret ? client : false),
    getUserFromClient: async () => ({ id: "app" }),
    generateAccessToken: async () => randomBytes(32).toString("base64url"),
    validateScope: async (_user, _client, scope) => scope ?? [],
    saveToken: async (token, of, user) => {
      const saved = { ...token, client: of, user };
      tokens.set(token.accessToken, saved);
      return saved;
    },
  },
});

async function read(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Object.fromEntries(new URLSearchParams(Buffer.concat(pieces).toString()));
}

const server = createServer(async (request, response) => {
  const { method, headers } = request;
  const asked = { method, headers, query: {}, body: await read(request) };
  const answer = new OAuth2Server.Response();
  await oauth.token(new OAuth2Server.Request(asked), answer).catch(() => {});
  response.writeHead(answer.status, { ...answer.headers, "content-type": "application/json" });
  response.end(JSON.stringify(answer.body));
});
server.keepAliveTimeout = 600_000;
server.listen(0, "127.0.0.1", () => console.log(`127.0.0.1:${server.address().port}`));
