// The checks of client.py for the JavaScript clients, which differ in how they are made and log in, not in how they
// are used. Prints a line for each check; throws on the first that does not hold.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

// Some of the tools: those that are used here.
const TOOLS = [
    'add_tracks_to_playlist', 'create_playlist', 'get_current_track', 'get_liked_songs', 'get_playlist_tracks',
    'get_status', 'get_user_playlists', 'search_tracks',
];
const REDIRECT = 'http://127.0.0.1:9/callback';
const BROWSER = fileURLToPath(new URL('browser.py', import.meta.url));
const PARALLEL = 8;
const EXPIRIES = Number(process.env.EXPIRIES ?? 1);
// The sandbox begins every id that it shows a person with that person's marker (docs/sandbox.md).
const MARKER = /\b(ada|ben|chiara)Z/g;

/** The SDKs' OAuthClientProvider: tokens in memory, the scripted browser in place of a person. */
export class Login {
    logins = 0;
    issued = 0;
    /** Whether the next login allows reading alone. */
    narrow = false;
    expiresAt = 0;
    redirectUrl = REDIRECT;
    /** The URL of the client's metadata document, if it is to log in by one. */
    clientMetadataUrl;
    called;
    #person;
    #name;
    #tokens;
    #client;
    #discovered;
    #verifier;
    #state;

    constructor(person, name) {
        this.#person = person;
        this.#name = name;
    }
    get clientMetadata() {
        return {
            client_name: this.#name,
            redirect_uris: [REDIRECT],
            grant_types: ['authorization_code', 'refresh_token'],
            token_endpoint_auth_method: 'none',
        };
    }
    state() {
        return (this.#state = crypto.randomUUID());
    }
    clientInformation() {
        return this.#client;
    }
    saveClientInformation(client) {
        this.#client = client;
    }
    tokens() {
        return this.#tokens;
    }
    saveTokens(tokens) {
        this.#tokens = tokens;
        this.issued += 1;
        this.expiresAt = Date.now() + tokens.expires_in * 1000;
    }
    saveDiscoveryState(state) {
        this.#discovered = state;
    }
    discoveryState() {
        return this.#discovered;
    }
    saveCodeVerifier(verifier) {
        this.#verifier = verifier;
    }
    codeVerifier() {
        return this.#verifier;
    }
    invalidateCredentials(kind) {
        if (kind === 'all' || kind === 'tokens') this.#tokens = undefined;
        if (kind === 'all' || kind === 'client') this.#client = undefined;
        if (kind === 'all' || kind === 'verifier') this.#verifier = undefined;
    }
    async redirectToAuthorization(url) {
        this.logins += 1;
        const asked = this.narrow ? await browser('narrow', url.href) : url.href;
        this.narrow = false;
        this.called = new URL(await browser('approve', asked, this.#person, REDIRECT)).searchParams;
        assert.equal(this.called.get('state'), this.#state, 'the state came back changed');
    }
}

async function browser(...args) {
    const { stdout } = await promisify(execFile)(process.env.PYTHON ?? 'python3', [BROWSER, ...args]);
    return stdout.trim();
}

/** Connects as the SDKs' documentation says: try, be sent to log in, finish, try again. */
export async function connect(login, unauthorized, make, finish) {
    const first = make();
    try {
        await first.client.connect(first.transport);
        assert.fail('connected without a token');
    } catch (failure) {
        if (!(failure instanceof unauthorized)) throw failure;
    }
    await finish(first.transport, login.called);
    const second = make();
    await second.client.connect(second.transport);
    return second;
}

// The SDKs warn where a schema has what their validator does not know. Ours have not.
const warned = [];
console.warn = (...words) => warned.push(words.join(' '));

/**
 * After its tokens were revoked the client is sent to log in again, and goes on; where it had a session, which ended with
 * what it belonged to, in a new one. To begin that is left to whoever uses these SDKs. `connected` is what connect() gave.
 */
export async function revocation(origin, login, { client, transport }, { unauthorized, make, finish }) {
    const { client_id } = login.clientInformation();
    await browser('revoke', origin, client_id, login.tokens().refresh_token);
    const { logins } = login;
    await assert.rejects(client.callTool({ name: 'get_current_track' }), unauthorized);
    await finish(transport, login.called);
    let going = client;
    if (transport.sessionId) {
        const gone = (failure) => (failure.data?.status ?? failure.code) === 404;
        await assert.rejects(client.callTool({ name: 'get_current_track' }), gone);
        const again = make();
        await again.client.connect(again.transport);
        going = again.client;
    }
    assert(!(await going.callTool({ name: 'get_current_track' })).isError);
    assert.equal(login.logins, logins + 1);
    ok(`its tokens were revoked, and it logged in again${going === client ? '' : ', in a new session'}`);
    if (going !== client) await going.close();
}

/** A client that has a metadata document needs no registration. Left out where no documents are served. */
export async function byDocument(name, login, unauthorized, make, finish) {
    if (!process.env.DOCUMENTS) return;
    login.clientMetadataUrl = `${process.env.DOCUMENTS}/${name}.json`;
    const { client } = await connect(login, unauthorized, make, finish);
    assert(!(await client.callTool({ name: 'get_current_track' })).isError);
    assert.equal(login.clientInformation().client_id, login.clientMetadataUrl);
    ok('logged in by its metadata document, without a registration');
    await client.close();
}

/** A client that was allowed to read alone asks for more when it needs more. */
export async function stepUp(login, unauthorized, make, finish) {
    login.narrow = true;
    const { client, transport } = await connect(login, unauthorized, make, finish);
    assert.equal(login.tokens().scope, 'read');
    const write = { name: 'create_playlist', arguments: { name: `Stepped up ${crypto.randomUUID()}` } };
    await assert.rejects(client.callTool(write), unauthorized);
    await finish(transport, login.called);
    assert(!(await client.callTool(write)).isError);
    assert(login.tokens().scope.split(' ').includes('write') && login.logins === 2);
    ok('was allowed to read alone, asked for more when it needed more, and got it');
    await client.close();
}

/** Every check on a connected client. */
export async function exercise(client, login, person) {
    await lists(client);
    const call = (name, args = {}) => called(client, person, name, args);
    await music(call);
    await status(client, call, person);
    assert.deepEqual(warned.filter((line) => line.includes('schema')), [], 'the SDK warns of our schemas');
    await expiry(call, login);
}

async function called(client, person, name, args) {
    const result = await client.callTool({ name, arguments: args });
    assert(!result.isError, `${name} failed: ${JSON.stringify(result.content)}`);
    return own(result.structuredContent, person, name);
}

function own(answer, person, name) {
    const seen = [...JSON.stringify(answer).matchAll(MARKER)].map((match) => match[1]);
    const strangers = seen.filter((marker) => marker !== person);
    assert.deepEqual(strangers, [], `${name} showed ${person} what belongs to others`);
    return answer;
}

async function lists(client) {
    const { tools } = await client.listTools();
    const names = tools.map((tool) => tool.name);
    assert.deepEqual(TOOLS.filter((tool) => !names.includes(tool)), []);
    for (const tool of tools) {
        assert.equal(tool.inputSchema.type, 'object', tool.name);
        assert.equal(tool.outputSchema.type, 'object', tool.name);
        assert(tool.title && tool.description && tool.annotations.readOnlyHint !== undefined, tool.name);
    }
    ok(`listed ${tools.length} tools; the SDK holds every answer to its output schema`);
}

async function music(call) {
    const found = await call('search_tracks', { query: "don't stop", limit: 3 });
    assert.match(found.tracks[0].name, /don't stop/i);
    ok('a search with an apostrophe is a search');
    const playing = await call('get_current_track');
    assert(['playing', 'paused', 'nothing'].includes(playing.state));
    const { playlists } = await call('get_user_playlists');
    assert(playlists.length > 0);
    ok('read what plays, and the playlists');
    const name = `Interop's list ${crypto.randomUUID()}`;
    const { playlist } = await call('create_playlist', { name });
    assert(playlist.name === name && !playlist.public);
    const track_uris = found.tracks.map((track) => track.uri);
    const added = await call('add_tracks_to_playlist', { playlist_id: playlist.uri, track_uris });
    assert.equal(added.added, track_uris.length);
    const kept = await call('get_playlist_tracks', { playlist_id: playlist.id });
    assert.deepEqual(kept.tracks.map((track) => track.uri), track_uris);
    ok('made a playlist, and added tracks that are there in order');
}

// What other clients that run beside this one change from one moment to the next is left out.
function lasting({ app: { shares, seats, ...app }, ...account }) {
    return { ...account, app };
}

async function status(client, call, person) {
    const told = await call('get_status');
    assert.deepEqual(told.accounts.map((account) => account.state), ['connected']);
    const read = await client.readResource({ uri: 'spotify://status' });
    const resource = own(JSON.parse(read.contents[0].text), person, 'spotify://status');
    assert.deepEqual(resource.accounts.map(lasting), told.accounts.map(lasting));
    const refused = await client.callTool({ name: 'get_playlist_tracks', arguments: { playlist_id: 'x'.repeat(22) } });
    assert(refused.isError && refused.structuredContent.error.code === 'NOT_FOUND');
    ok('status as tool and as resource agree; a refusal has its code');
}

async function expiry(call, login) {
    for (let round = 1; round <= EXPIRIES; round += 1) {
        const { issued } = login;
        // These SDKs do not look at the clock: they are refused, and then each refused call refreshes with the same
        // token.
        await new Promise((done) => setTimeout(done, Math.max(0, login.expiresAt - Date.now()) + GRACE_MS));
        await Promise.all(Array.from({ length: PARALLEL }, () => call('get_current_track')));
        assert.equal(login.logins, 1, `expiry ${round} needed a new login`);
        assert(login.issued > issued, 'nothing was refreshed');
    }
    ok(`outlived its access token, ${PARALLEL} calls at once, without a new login (times: ${EXPIRIES})`);
}

// A token works a little longer than was promised, so that nobody is refused before.
const GRACE_MS = 6000;

export function ok(what) {
    console.log(`ok ${what}`);
}
