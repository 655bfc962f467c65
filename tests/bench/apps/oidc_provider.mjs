// npm's oidc-provider with clients, tokens and grants in Postgres, as it is set up for production.
// Environment: PORT, MODULES (its node_modules), DATABASE_URL, CLIENT_ID, CLIENT_SECRET.
import { generateKeyPairSync } from 'node:crypto';
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
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  scope: 'items:read items:write',
  token_endpoint_auth_method: 'client_secret_basic',
});

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'one' };

const provider = new Provider(`http://127.0.0.1:${PORT}`, {
  adapter: Store,
  jwks: { keys: [key] },
  scopes: ['items:read', 'items:write'],
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
provider.listen(Number(PORT), '127.0.0.1');
