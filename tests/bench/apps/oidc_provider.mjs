// npm's oidc-provider with clients, tokens and grants in Postgres, as it is set up for production.
// Environment: PORT, MODULES (its node_modules), DATABASE_URL, CLIENT_ID, CLIENT_SECRET, FORMAT of access tokens, and
// REFRESH_TOKENS: so many are given out at the start, each of a grant of its own, and written to refresh-tokens.
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { PORT, MODULES, DATABASE_URL, CLIENT_ID, CLIENT_SECRET } = process.env;
const { Provider } = await import(`${MODULES}/oidc-provider/lib/index.js`);
const { Pool } = createRequire(`${MODULES}/`)('pg');
const pool = new Pool({ connectionString: DATABASE_URL, max: 8 });

await pool.query(`CREATE TABLE IF NOT EXISTS store (
  kind text, id text, payload jsonb NOT NULL, grant_id text, expires_at timestamptz, PRIMARY KEY (kind, id))`);

class Store {
  constructor(kind) { this.kind = kind; }

  async upsert(id, payload, seconds) {
    await pool.query({
      name: 'upsert',
      text: `INSERT INTO store VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second')
             ON CONFLICT (kind, id) DO UPDATE SET payload = excluded.payload, expires_at = excluded.expires_at`,
      values: [this.kind, id, payload, payload.grantId ?? null, seconds ?? null],
    });
  }

  async find(id) {
    const { rows } = await pool.query({
      name: 'find',
      text: 'SELECT payload FROM store WHERE kind = $1 AND id = $2 AND (expires_at IS NULL OR expires_at > now())',
      values: [this.kind, id],
    });
    return rows[0]?.payload;
  }

  async destroy(id) { await pool.query('DELETE FROM store WHERE kind = $1 AND id = $2', [this.kind, id]); }

  async consume(id) {
    await pool.query(
      `UPDATE store SET payload = payload || jsonb_build_object('consumed', extract(epoch FROM now())::int)
       WHERE kind = $1 AND id = $2`, [this.kind, id]);
  }

  async revokeByGrantId(id) { await pool.query('DELETE FROM store WHERE grant_id = $1', [id]); }
}

await new Store('Client').upsert(CLIENT_ID, {
  client_id: CLIENT_ID,
  client_secret: CLIENT_SECRET,
  grant_types: ['client_credentials', 'authorization_code', 'refresh_token'],
  redirect_uris: ['https://client.example/back'],
  response_types: ['code'],
  scope: 'openid offline_access items:read items:write',
  token_endpoint_auth_method: 'client_secret_basic',
});

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'one' };

const provider = new Provider(`http://127.0.0.1:${PORT}`, {
  adapter: Store,
  jwks: { keys: [key] },
  scopes: ['openid', 'offline_access', 'items:read', 'items:write'],
  rotateRefreshToken: true,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:slipway',
      getResourceServerInfo: () => ({
        audience: 'slipway',
        scope: 'items:read items:write',
        accessTokenTTL: 300,
        accessTokenFormat: process.env.FORMAT ?? 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});
const count = Number(process.env.REFRESH_TOKENS ?? 0);
if (count) {
  const client = await provider.Client.find(CLIENT_ID);
  const scope = 'items:read offline_access';
  const tokens = await Promise.all(Array.from({ length: count }, async (_, number) => {
    const accountId = `person-${number % 200}`;
    const grant = new provider.Grant({ accountId, clientId: CLIENT_ID });
    grant.addOIDCScope('offline_access');
    grant.addResourceScope('urn:slipway', 'items:read');
    const grantId = await grant.save();
    return new provider.RefreshToken({
      accountId, client, grantId, scope, gty: 'authorization_code', resource: 'urn:slipway', claims: {},
    }).save();
  }));
  writeFileSync('refresh-tokens', tokens.join('\n'));
}
provider.listen(Number(PORT), '127.0.0.1');
