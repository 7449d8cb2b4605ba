// oidc-provider in its best case: opaque tokens or JWTs, everything in the memory of one process; or,
// with the name of a file behind the other arguments, in SQLite, durably. Prints its address. Grants and codes for the load are made in process, outside of what is
// measured: GET /bench/codes?count=N and /bench/grants?count=N.

import { createServer } from "node:http";
import Provider from "oidc-provider";

const [client_id, client_secret, redirect_uri, codeChallenge, file] = process.argv.slice(2);

// Its own adapter for tests forgets all but the newest thousand.
class Memory {
  static rows = new Map();
  static byUid = new Map();
  static byGrant = new Map();

  constructor(name) {
    this.name = name;
  }

  key(id) {
    return `${this.name}:${id}`;
  }

  async upsert(id, payload) {
    const key = this.key(id);
    Memory.rows.set(key, payload);
    if (payload.uid) Memory.byUid.set(payload.uid, key);
    if (payload.grantId) {
      const keys = Memory.byGrant.get(payload.grantId) ?? [];
      keys.push(key);
      Memory.byGrant.set(payload.grantId, keys);
    }
  }

  async find(id) {
    return Memory.rows.get(this.key(id));
  }

  async findByUid(uid) {
    return Memory.rows.get(Memory.byUid.get(uid));
  }

  async findByUserCode() {
    return undefined;
  }

  async consume(id) {
    Memory.rows.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    Memory.rows.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    for (const key of Memory.byGrant.get(grantId) ?? []) Memory.rows.delete(key);
    Memory.byGrant.delete(grantId);
  }
}

// One table, as adapters for databases have it, each change on disk before it is answered.
async function durable(file) {
  const { default: Database } = await import("libsql");
  const db = new Database(file);
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.exec(`CREATE TABLE rows (key TEXT PRIMARY KEY, payload TEXT NOT NULL, uid TEXT, grant_id TEXT);
    CREATE INDEX by_uid ON rows (uid); CREATE INDEX by_grant ON rows (grant_id);`);
  const put = db.prepare("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)");
  const get = db.prepare("SELECT payload FROM rows WHERE key = ?");
  const getByUid = db.prepare("SELECT payload FROM rows WHERE uid = ?");
  const consume = db.prepare("UPDATE rows SET payload = json_set(payload, '$.consumed', ?) WHERE key = ?");
  const remove = db.prepare("DELETE FROM rows WHERE key = ?");
  const removeGrant = db.prepare("DELETE FROM rows WHERE grant_id = ?");
  const read = (row) => row && JSON.parse(row.payload);
  return class Sqlite {
    constructor(name) {
      this.name = name;
    }

    key(id) {
      return `${this.name}:${id}`;
    }

    async upsert(id, payload) {
      put.run(this.key(id), JSON.stringify(payload), payload.uid ?? null, payload.grantId ?? null);
    }

    async find(id) {
      return read(get.get(this.key(id)));
    }

    async findByUid(uid) {
      return read(getByUid.get(uid));
    }

    async findByUserCode() {
      return undefined;
    }

    async consume(id) {
      consume.run(Math.floor(Date.now() / 1000), this.key(id));
    }

    async destroy(id) {
      remove.run(this.key(id));
    }

    async revokeByGrantId(grantId) {
      removeGrant.run(grantId);
    }
  };
}

const formats = { opaque: {}, es256: { alg: "ES256" }, eddsa: { alg: "Ed25519" } };

async function keys() {
  const make = async (algorithm, alg) => {
    const { privateKey } = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    return { ...(await crypto.subtle.exportKey("jwk", privateKey)), alg, use: "sig" };
  };
  return [
    await make({ name: "ECDSA", namedCurve: "P-256" }, "ES256"),
    await make({ name: "Ed25519" }, "Ed25519"),
  ];
}

const configuration = {
  adapter: file ? await durable(file) : Memory,
  jwks: { keys: await keys() },
  clients: [
    {
      client_id,
      client_secret,
      redirect_uris: [redirect_uri],
      grant_types: ["authorization_code", "refresh_token", "client_credentials"],
      token_endpoint_auth_method: "client_secret_basic",
      id_token_signed_response_alg: "ES256",
    },
  ],
  scopes: ["offline_access", "items.read"],
  findAccount: (_, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  rotateRefreshToken: true,
  enabledJWA: { idTokenSigningAlgValues: ["ES256"] },
  ttl: { AccessToken: 3600, ClientCredentials: 3600, RefreshToken: 86400, AuthorizationCode: 600 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => "urn:items:opaque",
      useGrantedResource: () => true,
      getResourceServerInfo: (_, indicator) => {
        const sign = formats[indicator.split(":").pop()];
        const jwt = sign.alg ? { accessTokenFormat: "jwt", jwt: { sign } } : {};
        return { scope: "items.read", audience: indicator, accessTokenTTL: 3600, ...jwt };
      },
    },
  },
};

const provider = new Provider("http://127.0.0.1", configuration);

async function codes(count) {
  const client = await provider.Client.find(client_id);
  const values = [];
  for (let made = 0; made < count; made += 1) {
    const grant = new provider.Grant({ accountId: "user", clientId: client_id });
    grant.addOIDCScope("offline_access");
    grant.addResourceScope("urn:items:opaque", "items.read");
    const code = new provider.AuthorizationCode({
      accountId: "user",
      client,
      grantId: await grant.save(),
      gty: "authorization_code",
      redirectUri: redirect_uri,
      resource: "urn:items:opaque",
      scope: "offline_access items.read",
      codeChallenge,
      codeChallengeMethod: "S256",
      authTime: Math.floor(Date.now() / 1000),
    });
    values.push(await code.save());
  }
  return values;
}

const answer = provider.callback();
const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname !== "/bench/codes") return answer(request, response);
  response.end((await codes(Number(url.searchParams.get("count")))).join("\n"));
});
server.keepAliveTimeout = 600_000;
server.listen(0, "127.0.0.1", () => console.log(`127.0.0.1:${server.address().port}`));
