// The TypeScript SDK of the 2025 revisions (`@modelcontextprotocol/sdk`), which many clients embed.
//
//     sdk_v1.mjs ORIGIN PERSON         with SDKS naming the folder where the packages are installed

import assert from 'node:assert/strict';

import { Login, byDocument, connect, exercise, ok, revocation } from './session.mjs';

const sdk = `${process.env.SDKS}/node_modules/@modelcontextprotocol/sdk/dist/esm/client`;
const { Client } = await import(`${sdk}/index.js`);
const { StreamableHTTPClientTransport } = await import(`${sdk}/streamableHttp.js`);
const { UnauthorizedError } = await import(`${sdk}/auth.js`);

const [origin, person] = process.argv.slice(2);
const login = new Login(person, 'Interop: TypeScript, first SDK');
const makeFor = (authProvider) => () => ({
    client: new Client({ name: 'interop', version: '1' }),
    transport: new StreamableHTTPClientTransport(new URL(`${origin}/mcp`), { authProvider }),
});
const finish = (transport, called) => transport.finishAuth(called.get('code'));
const connected = await connect(login, UnauthorizedError, makeFor(login), finish);
const { client, transport } = connected;
assert.equal(transport.protocolVersion, '2025-11-25');
ok(`logged in by dynamic registration, speaks ${transport.protocolVersion}`);
await exercise(client, login, person);
// Stepping up is left out: this SDK refreshes where it is told to ask for more, and gives up.
const ways = { unauthorized: UnauthorizedError, make: makeFor(login), finish };
await revocation(origin, login, connected, ways);
await client.close();
const known = new Login(person, 'unused');
await byDocument('typescript-1', known, UnauthorizedError, makeFor(known), finish);
