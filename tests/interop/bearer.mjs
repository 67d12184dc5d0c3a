// Loaded before the conformance suite, which cannot send a credential: adds `Authorization: Bearer $BEARER` to every
// request to $ORIGIN that has none, however the suite makes it (fetch, undici, node:http).

import http from 'node:http';

const { BEARER, ORIGIN, SDKS } = process.env;
const { Agent, setGlobalDispatcher } = await import(`${SDKS}/node_modules/undici/index.js`);
const { host } = new URL(ORIGIN);
const credential = `Bearer ${BEARER}`;

const addBearer = (dispatch) => (options, handler) => {
    if (new URL(options.origin).host !== host) return dispatch(options, handler);
    return dispatch({ ...options, headers: withBearer(options.headers) }, handler);
};
setGlobalDispatcher(new Agent().compose(addBearer));

function withBearer(headers) {
    const pairs = [...entries(headers)];
    if (!pairs.some(([name]) => name.toLowerCase() === 'authorization')) pairs.push(['authorization', credential]);
    return pairs.flat();
}

function* entries(headers) {
    if (Array.isArray(headers)) {
        for (let at = 0; at < headers.length; at += 2) yield [String(headers[at]), headers[at + 1]];
    } else if (headers) {
        yield* headers[Symbol.iterator] ? headers : Object.entries(headers);
    }
}

const request = http.request;
http.request = (...all) => {
    const made = request(...all);
    // The Host header may be forged on purpose; the address is what counts.
    const target = `${made.host}:${all.find((part) => part?.port)?.port ?? (all[0] instanceof URL ? all[0].port : '')}`;
    if (target === host && !made.hasHeader('authorization')) made.setHeader('authorization', credential);
    return made;
};
