// The TypeScript SDK that speaks both eras (`@modelcontextprotocol/client`).
//
//     sdk_v2.mjs ORIGIN PERSON ERA     ERA: modern or legacy; SDKS names the folder where the packages are installed

import assert from 'node:assert/strict';

import { Login, byDocument, connect, exercise, ok, revocation, stepUp } from './session.mjs';

const sdk = await import(`${process.env.SDKS}/node_modules/@modelcontextprotocol/client/dist/index.mjs`);
const [origin, person, era] = process.argv.slice(2);
const version = { modern: '2026-07-28', legacy: '2025-11-25' }[era];
// Modern is left for the SDK to find out, as clients in the field do.
const mode = era === 'modern' ? 'auto' : 'legacy';
const login = new Login(person, 'Interop: TypeScript, second SDK');
const makeFor = (authProvider) => () => ({
    client: new sdk.Client({ name: 'interop', version: '1' }, { versionNegotiation: { mode } }),
    transport: new sdk.StreamableHTTPClientTransport(new URL(`${origin}/mcp`), { authProvider }),
});
const finish = (transport, called) => transport.finishAuth(called);
const connected = await connect(login, sdk.UnauthorizedError, makeFor(login), finish);
const { client } = connected;
assert.equal(client.getNegotiatedProtocolVersion(), version);
ok(`logged in by dynamic registration, speaks ${version}`);
await exercise(client, login, person);
const ways = { unauthorized: sdk.UnauthorizedError, make: makeFor(login), finish };
await revocation(origin, login, connected, ways);
await client.close();
const another = new Login(person, 'Interop: TypeScript, second SDK, narrow');
await stepUp(another, sdk.UnauthorizedError, makeFor(another), finish);
const known = new Login(person, 'unused');
await byDocument(`typescript-2-${era}`, known, sdk.UnauthorizedError, makeFor(known), finish);
